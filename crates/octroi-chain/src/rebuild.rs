//! From a stored settlement back to what it carries, and back into the queue.

use std::collections::HashMap;

use octroi_claim::{Claim, PaymentState};
use octroi_store::{Fact, Settlement};
use octroi_types::{Address, B256, Redacted};
use tracing::error;

use crate::abi::{SentAuthorization, aggregate3_calls, read_transfer};
use crate::call::{Transfer, TransferCall};
use crate::engine::Engine;
use crate::follow::InFlight;
use crate::queue::Queued;
use crate::wallet::read_sent;

/// Rebuilds a stored settlement from its signed bytes and its claims; `None` if the gate stops.
///
/// A claim whose authorization is not in the bytes cannot be sent again, so it is left to
/// reconciliation.
pub(crate) async fn rebuild(engine: &Engine, settlement: Settlement) -> Option<InFlight> {
    let mut sent = sent_authorizations(&settlement);
    let mut queued = Vec::with_capacity(settlement.claims.len());
    for key in settlement.claims {
        let stored = engine
            .insist("a claim", || engine.store.claim_get(key))
            .await?;
        let Some(claim) = stored else { continue };
        let payment = (claim.terms.asset, claim.terms.payer, claim.terms.nonce);
        let Some(authorization) = sent.remove(&payment) else {
            error!(
                chain = engine.name(),
                "a settlement does not hold a claim's authorization"
            );
            engine.learn(vec![(key, Fact::Unknown)]).await?;
            continue;
        };
        queued.extend(engine.queue.resume(call(&claim, authorization)));
    }
    Some(InFlight {
        id: settlement.id,
        wallet: settlement.wallet,
        nonce: settlement.nonce,
        attempts: settlement.attempts,
        queued,
        is_new: false,
    })
}

/// Token, payer and nonce.
type Payment = (Address, Address, B256);

fn call(claim: &Claim, sent: SentAuthorization) -> TransferCall {
    TransferCall {
        transfer: Transfer::of(claim),
        valid_after: sent.valid_after,
        signature: Redacted::new(sent.signature),
        // What was sent had its wallet deployed before.
        deployment: None,
    }
}

/// Every authorization in every attempt: the newest may be the empty one that fills a gap.
fn sent_authorizations(settlement: &Settlement) -> HashMap<Payment, SentAuthorization> {
    let mut found = HashMap::new();
    for attempt in &settlement.attempts {
        let Some(sent) = read_sent(attempt.raw_tx.expose()) else {
            continue;
        };
        let data = sent.data.expose();
        let calls = match aggregate3_calls(data) {
            Some(calls) => calls,
            None => vec![(sent.to, data.clone())],
        };
        for (token, call) in calls {
            if let Some(authorization) = read_transfer(&call) {
                found.insert(
                    (token, authorization.from, authorization.nonce),
                    authorization,
                );
            }
        }
    }
    found
}

impl Engine {
    /// Queues transfers again that must be sent under another nonce, as their claims stand now: some
    /// may have been settled otherwise, or have passed to another owner, for whom they are sent all
    /// the same.
    pub(crate) async fn send_again(&self, queued: Vec<Queued>) {
        for mut queued in queued {
            let key = queued.call.transfer.claim;
            let stored = self
                .insist("a claim", || self.store.claim_get(key))
                .await
                .flatten();
            let Some(claim) = stored else { continue };
            if matches!(
                claim.payment,
                PaymentState::Broadcast | PaymentState::Unknown
            ) {
                queued.call.transfer.epoch = claim.epoch;
                self.queue.put(queued);
            }
        }
    }
}
