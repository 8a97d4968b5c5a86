//! Offering more for a settlement that is stuck.

use octroi_store::Attempt;
use octroi_types::{Redacted, UnixMicros};
use tracing::{error, warn};

use crate::engine::Engine;
use crate::fees::FeeQuote;
use crate::follow::InFlight;
use crate::status::LaneState;
use crate::wallet::{Draft, Wallet, read_sent};

/// Gas of a transfer that does nothing.
const EMPTY_GAS: u64 = 21_000;

/// Adds an attempt with a higher fee, durable before it is sent. When everything it carries has
/// expired, the attempt is an empty transfer that only uses up the nonce.
pub(crate) async fn raise_fee(engine: &Engine, flight: &mut InFlight) -> bool {
    let Some(wallet) = engine.wallet(flight.wallet) else {
        return false;
    };
    let Some(draft) = bumped_draft(engine, wallet, flight).await else {
        return false;
    };
    let (raw_tx, tx_hash) = wallet.sign(&draft);
    let attempt = Attempt {
        tx_hash,
        raw_tx,
        max_fee_per_gas: draft.max_fee_per_gas,
        max_priority_fee_per_gas: draft.max_priority_fee_per_gas,
        created_at: UnixMicros::now(),
    };
    match engine
        .store
        .settlement_attempt(flight.id, attempt.clone())
        .await
    {
        Ok(()) => {
            flight.attempts.push(attempt);
            true
        }
        Err(error) => {
            error!(chain = engine.name(), error = %error, "could not store a fee bump");
            false
        }
    }
}

async fn bumped_draft(engine: &Engine, wallet: &Wallet, flight: &InFlight) -> Option<Draft> {
    let last = flight.attempts.last()?;
    let head = (*engine.heads.borrow())?;
    let now = engine
        .tips
        .quote(&engine.options, &engine.rpc, head)
        .await
        .ok()?;
    let expired = !flight.queued.is_empty()
        && flight
            .queued
            .iter()
            .all(|queued| queued.call.transfer.valid_before <= head.timestamp);
    let last_fees = FeeQuote {
        max_fee_per_gas: last.max_fee_per_gas,
        max_priority_fee_per_gas: last.max_priority_fee_per_gas,
    };
    let bumped = match now {
        Ok(now) => last_fees.bumped(now, engine.options.max_fee_per_gas),
        Err(spike) => {
            if engine.lanes.set(flight.wallet, LaneState::GasTooDear) {
                warn!(chain = engine.name(), nonce = flight.nonce, error = %spike, "stuck");
            }
            None
        }
    };
    let fees = match bumped {
        Some(fees) => fees,
        // At the cap nothing can be replaced, but what the node has dropped can still be filled in.
        None if expired => last_fees,
        None => return None,
    };
    let (to, data, gas_limit) = if expired {
        (wallet.address(), Redacted::new(Vec::new()), EMPTY_GAS)
    } else {
        let sent = read_sent(last.raw_tx.expose())?;
        (sent.to, sent.data, sent.gas_limit)
    };
    let FeeQuote {
        max_fee_per_gas,
        max_priority_fee_per_gas,
    } = fees;
    let (chain, nonce) = (engine.options.chain, flight.nonce);
    Some(Draft {
        chain,
        nonce,
        to,
        data,
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas,
    })
}
