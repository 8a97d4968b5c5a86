//! What a settlement that is in a block did, claim by claim.

use futures_util::future::join_all;
use octroi_claim::{Claim, PaymentState};
use octroi_store::{Fact, FactOutcome, Inclusion};
use octroi_types::{B256, UnixMicros};
use octroi_x402::Reason;

use crate::call::Transfer;
use crate::engine::Engine;
use crate::event::SettlementEnd;
use crate::finality::{Subject, Watched};
use crate::follow::{Followed, InFlight};
use crate::outcome::{Included, SettleOutcome};
use crate::receipt::{mentions, proof};
use crate::rpc::TransactionReceipt;
use crate::token;
use crate::uses::{Use, find_use};

/// What is known of one claim.
struct Finding {
    fact: Fact,
    /// For the caller, if it did not settle.
    reason: Reason,
}

/// Writes what became of each claim, then tells the callers and watches the block until it is
/// final.
pub(crate) async fn resolve(
    engine: &Engine,
    flight: InFlight,
    receipt: &TransactionReceipt,
) -> Followed {
    let included = Included {
        tx_hash: receipt.tx_hash,
        block_number: receipt.block_number,
        block_hash: receipt.block_hash,
    };
    let findings = join_all(
        flight
            .queued
            .iter()
            .map(|queued| examine(engine, &queued.call.transfer, receipt)),
    )
    .await;
    let facts: Vec<_> = flight
        .queued
        .iter()
        .zip(&findings)
        .map(|(queued, finding)| (queued.call.transfer.claim, finding.fact))
        .collect();
    let inclusion = included.into();
    let written = engine
        .insist("an included settlement", || {
            engine
                .store
                .settlement_included(flight.id, inclusion, facts.clone(), UnixMicros::now())
        })
        .await;
    let Some(outcomes) = written else {
        return Followed::Stopped;
    };
    let first = flight.attempts.first();
    let since = first.map_or_else(UnixMicros::now, |attempt| attempt.created_at);
    for end in outcomes.iter().filter_map(end_of) {
        engine.tell_ended(end, since);
    }
    engine.watch(Watched::new(Subject::Settlement(flight.id), included));
    for ((mut queued, finding), outcome) in flight.queued.into_iter().zip(findings).zip(outcomes) {
        let transfer = queued.call.transfer;
        if let Fact::Settled { inclusion, .. } = finding.fact
            && inclusion.tx_hash != receipt.tx_hash
        {
            let subject = Subject::Claim(transfer);
            engine.watch(Watched::new(subject, inclusion.into()));
        }
        queued.answer(answer(&transfer, &finding, outcome, included));
    }
    Followed::Resolved
}

/// How the settlement of a claim ended to which this happened, if that is news. What is not settled
/// may be settled by anybody yet.
pub(crate) fn end_of(outcome: &FactOutcome) -> Option<SettlementEnd> {
    let is_settled = |claim: &Claim| claim.payment == PaymentState::Settled;
    match outcome {
        FactOutcome::Applied(claim) if is_settled(claim) => Some(SettlementEnd::Settled),
        // Whoever found it told.
        FactOutcome::Unchanged(claim) | FactOutcome::Refused(claim) if is_settled(claim) => None,
        FactOutcome::Applied(_)
        | FactOutcome::Unchanged(_)
        | FactOutcome::Refused(_)
        | FactOutcome::LogTaken { .. }
        | FactOutcome::NoSuchClaim => Some(SettlementEnd::Unknown),
    }
}

async fn examine(engine: &Engine, transfer: &Transfer, receipt: &TransactionReceipt) -> Finding {
    let at = Inclusion {
        tx_hash: receipt.tx_hash,
        block_number: receipt.block_number,
        block_hash: receipt.block_hash,
    };
    let unknown = |reason| Finding {
        fact: Fact::Unknown,
        reason,
    };
    if let Some(log_index) = proof(&receipt.logs, transfer) {
        let fact = Fact::Settled {
            inclusion: at,
            log_index,
        };
        return Finding {
            fact,
            reason: Reason::UnexpectedSettleError,
        };
    }
    if mentions(&receipt.logs, transfer) {
        return unknown(Reason::TransferEventMismatch);
    }
    // Somebody else may have sent the authorization first, and then the payee has the money all the
    // same (money rule 17).
    match find_use(engine, transfer).await {
        Ok(Use::Ours {
            inclusion,
            log_index,
        }) => Finding {
            fact: Fact::Settled {
                inclusion,
                log_index,
            },
            reason: Reason::UnexpectedSettleError,
        },
        Ok(Use::Foreign { .. } | Use::Hidden) => unknown(Reason::NonceAlreadyUsed),
        Ok(Use::None) => {
            let balance = token::balance(&engine.rpc, transfer.token, transfer.from).await;
            if balance.is_ok_and(|balance| balance < transfer.value) {
                unknown(Reason::InsufficientBalance)
            } else {
                unknown(Reason::TransactionFailed)
            }
        }
        Err(_) => unknown(Reason::InvalidTransactionState),
    }
}

fn answer(
    transfer: &Transfer,
    finding: &Finding,
    outcome: FactOutcome,
    included: Included,
) -> SettleOutcome {
    let claim = match outcome {
        FactOutcome::Applied(claim)
        | FactOutcome::Unchanged(claim)
        | FactOutcome::Refused(claim) => claim,
        FactOutcome::LogTaken { .. } => {
            return SettleOutcome::Reverted {
                reason: Reason::DuplicateSettlement,
            };
        }
        FactOutcome::NoSuchClaim => return SettleOutcome::Fenced,
    };
    settled_or(transfer, claim, &finding.fact, included).unwrap_or(SettleOutcome::Reverted {
        reason: finding.reason,
    })
}

/// The answer for a claim that is settled now. A claim that passed to somebody else is theirs to
/// answer for, settled or not.
pub(crate) fn settled_or(
    transfer: &Transfer,
    claim: Box<Claim>,
    fact: &Fact,
    included: Included,
) -> Option<SettleOutcome> {
    if claim.epoch != transfer.epoch {
        return Some(SettleOutcome::Fenced);
    }
    if claim.payment != PaymentState::Settled {
        return None;
    }
    let settlement = match fact {
        Fact::Settled { inclusion, .. } => (*inclusion).into(),
        // Somebody else was told before us.
        _ => Included {
            tx_hash: claim.tx_hash.unwrap_or(B256::ZERO),
            ..included
        },
    };
    Some(SettleOutcome::Settled { claim, settlement })
}

impl From<Included> for Inclusion {
    fn from(included: Included) -> Self {
        let Included {
            tx_hash,
            block_number,
            block_hash,
        } = included;
        Self {
            tx_hash,
            block_number,
            block_hash,
        }
    }
}

impl From<Inclusion> for Included {
    fn from(inclusion: Inclusion) -> Self {
        let Inclusion {
            tx_hash,
            block_number,
            block_hash,
        } = inclusion;
        Self {
            tx_hash,
            block_number,
            block_hash,
        }
    }
}
