//! What to offer for gas.

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::options::ChainOptions;
use crate::rpc::{BlockHead, Rpc, RpcError};

/// An offer for gas, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeeQuote {
    pub(crate) max_fee_per_gas: u64,
    pub(crate) max_priority_fee_per_gas: u64,
}

/// Gas costs more than the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("gas costs {needed} wei, more than the cap of {cap}")]
pub(crate) struct GasSpike {
    pub(crate) needed: u64,
    pub(crate) cap: u64,
}

impl FeeQuote {
    /// Room for the base fee to double, within the cap.
    pub(crate) fn new(base_fee: u64, tip: u64, cap: u64) -> Result<Self, GasSpike> {
        let needed = base_fee.saturating_add(tip);
        if needed > cap {
            return Err(GasSpike { needed, cap });
        }
        let max_fee_per_gas = base_fee.saturating_mul(2).saturating_add(tip).min(cap);
        Ok(Self {
            max_fee_per_gas,
            max_priority_fee_per_gas: tip.min(max_fee_per_gas),
        })
    }

    /// What so much gas costs at most, in wei.
    pub(crate) fn cost_max(self, gas_limit: u64) -> u128 {
        u128::from(gas_limit).saturating_mul(u128::from(self.max_fee_per_gas))
    }

    /// An offer that nodes accept as a replacement (an eighth more, and at least what the chain asks
    /// for now). `None` if that is above the cap.
    pub(crate) fn bumped(self, now: Self, cap: u64) -> Option<Self> {
        let raise = |fee: u64| fee.saturating_add(fee / 8).saturating_add(1);
        let max_fee_per_gas = raise(self.max_fee_per_gas).max(now.max_fee_per_gas);
        let max_priority_fee_per_gas =
            raise(self.max_priority_fee_per_gas).max(now.max_priority_fee_per_gas);
        (max_fee_per_gas <= cap && max_priority_fee_per_gas <= max_fee_per_gas).then_some(Self {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        })
    }
}

/// The tip, asked for once a block.
#[derive(Default)]
pub(crate) struct TipCache {
    asked: Mutex<Option<(Instant, u64)>>,
}

impl TipCache {
    pub(crate) async fn quote(
        &self,
        options: &ChainOptions,
        rpc: &Rpc,
        head: BlockHead,
    ) -> Result<Result<FeeQuote, GasSpike>, RpcError> {
        let known = *self.asked.lock();
        let tip = match known {
            Some((at, tip)) if at.elapsed() < options.block_time => tip,
            _ => {
                let tip = match rpc.priority_fee().await {
                    Ok(tip) => tip,
                    // Not every node knows the method.
                    Err(RpcError::Refused { .. }) => options.priority_fee_per_gas,
                    Err(error) => return Err(error),
                };
                *self.asked.lock() = Some((Instant::now(), tip));
                tip
            }
        };
        Ok(FeeQuote::new(
            head.base_fee_per_gas,
            tip,
            options.max_fee_per_gas,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_bumps_stay_under_the_cap() {
        let quote = FeeQuote::new(100, 10, 1_000).unwrap();
        assert_eq!(
            (quote.max_fee_per_gas, quote.max_priority_fee_per_gas),
            (210, 10)
        );
        assert_eq!(
            FeeQuote::new(900, 101, 1_000),
            Err(GasSpike {
                needed: 1_001,
                cap: 1_000
            })
        );
        let mut last = quote;
        let mut bumps = 0;
        while let Some(next) = last.bumped(quote, 1_000) {
            // The rule of thumb of nodes: at least 10 % on both.
            assert!(next.max_fee_per_gas * 10 >= last.max_fee_per_gas * 11);
            assert!(next.max_priority_fee_per_gas * 10 >= last.max_priority_fee_per_gas * 11);
            assert!(next.max_fee_per_gas <= 1_000);
            last = next;
            bumps += 1;
        }
        assert!(bumps > 8);
    }
}
