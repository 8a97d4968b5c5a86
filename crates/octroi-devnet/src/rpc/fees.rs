//! What gas costs.

use alloy_consensus::Transaction as _;
use serde_json::{Value, json};

use crate::history::Link;
use crate::node::DevNet;
use crate::rpc::params::Params;
use crate::rpc::{Answer, RpcErrorObject, values};
use crate::transaction::decode_envelope;

/// The tip that wallets are advised to offer, wei. Any tip will do, also none.
const PRIORITY_FEE_WEI: u64 = 1_000_000;
/// The most blocks that `eth_feeHistory` speaks of.
const FEE_HISTORY_BLOCKS_MAX: u64 = 1024;

pub(super) fn priority_fee() -> Value {
    values::quantity(PRIORITY_FEE_WEI)
}

impl DevNet {
    pub(super) fn gas_price(&self) -> Value {
        let next = self.chain.read().next_block(&self.rules, (self.clock)());
        values::quantity(next.base_fee.saturating_add(PRIORITY_FEE_WEI))
    }

    pub(super) fn fee_history(&self, params: &Params<'_>) -> Answer {
        let count = params.number(0)?.min(FEE_HISTORY_BLOCKS_MAX);
        let id = params.block(1)?;
        let percentiles = percentiles(params.get(2))?;
        let chain = self.chain.read();
        let newest = id
            .resolve(&chain, self.finality)
            .ok_or_else(|| RpcErrorObject::server("request beyond head block"))?;
        let oldest = (newest + 1)
            .saturating_sub(count)
            .max(chain.history.oldest().number());
        let links: Vec<_> = (oldest..=newest)
            .filter_map(|number| chain.history.link(number))
            .collect();
        let mut base_fees: Vec<_> = links.iter().map(|link| base_fee(link)).collect();
        let following = match chain.history.link(newest + 1) {
            Some(link) => base_fee(link),
            None => chain.next_block(&self.rules, (self.clock)()).base_fee,
        };
        base_fees.push(following);
        let base_fees: Vec<_> = base_fees.into_iter().map(values::quantity).collect();
        let ratios: Vec<_> = links.iter().map(|link| gas_used_ratio(link)).collect();
        let mut answer = json!({
            "baseFeePerGas": base_fees,
            "gasUsedRatio": ratios,
            "oldestBlock": values::quantity(oldest),
        });
        if let Some(percentiles) = percentiles {
            let rewards = links.iter().map(|link| rewards(link, &percentiles));
            answer["reward"] = rewards.collect();
        }
        Ok(answer)
    }
}

fn percentiles(value: Option<&Value>) -> Result<Option<Vec<f64>>, RpcErrorObject> {
    let Some(value) = value else {
        return Ok(None);
    };
    let numbers = value.as_array().and_then(|numbers| {
        let numbers: Option<Vec<_>> = numbers.iter().map(Value::as_f64).collect();
        numbers.filter(|numbers| {
            numbers.is_sorted() && numbers.iter().all(|p| (0.0..=100.0).contains(p))
        })
    });
    numbers.map(Some).ok_or_else(|| {
        RpcErrorObject::invalid_params("invalid argument 2: expected ascending percentiles")
    })
}

fn base_fee(link: &Link) -> u64 {
    link.block.header.base_fee_per_gas.unwrap_or_default()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "gas is far below what a float holds exactly, and this is advice"
)]
fn gas_used_ratio(link: &Link) -> f64 {
    link.block.header.gas_used as f64 / link.block.header.gas_limit as f64
}

/// The tips at these percentiles of the gas that a block used.
#[expect(
    clippy::cast_precision_loss,
    reason = "gas is far below what a float holds exactly, and this is advice"
)]
fn rewards(link: &Link, percentiles: &[f64]) -> Value {
    let base_fee = base_fee(link);
    let mut tips: Vec<_> = link
        .block
        .transactions
        .iter()
        .filter_map(|mined| {
            let tip = decode_envelope(&mined.raw)?.effective_tip_per_gas(base_fee)?;
            Some((tip, mined.gas_used))
        })
        .collect();
    tips.sort_unstable();
    let gas_used = link.block.header.gas_used as f64;
    let reward = |percentile: &f64| {
        let threshold = gas_used * percentile / 100.0;
        let mut gas_below = 0;
        let reached = tips.iter().find(|(_, gas)| {
            gas_below += gas;
            gas_below as f64 >= threshold
        });
        values::quantity(reached.map_or(0, |(tip, _)| *tip))
    };
    percentiles.iter().map(reward).collect()
}
