//! What becomes of a payment that arrives (money rules 6–14).

use octroi_types::{Amount, B256, CreditId, TransactionId};

use crate::claim::{Claim, ClaimKey, NewClaim, SettleOrder};
use crate::recovery::{Recovery, recover};
use crate::state::{PaymentState, WorkState};

/// What the store knows of the payer, read in the same store transaction as the decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayerStanding {
    /// The payer's balance of the asset on the chain, at most one block old; `None` if nobody
    /// asked, which counts as enough.
    pub balance: Option<Amount>,
    /// What the payer's open claims (claimed or broadcast) of this asset sum up to, in the whole
    /// store.
    pub open: Amount,
    /// Whether a payment of this payer failed lately.
    pub failed_lately: bool,
    /// A refund credit of the payer at this tenant, in this asset and mode, that suffices.
    pub credit: Option<CreditId>,
    /// An earlier payment of the same payer for the same request whose fate is unknown.
    pub unknown_earlier: Option<ClaimKey>,
}

/// Why a payment is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedClaim {
    /// The payment was first used for another request.
    BoundElsewhere,
    /// The payment is buying this answer right now.
    InUse {
        /// The transaction it belongs to.
        transaction: TransactionId,
    },
    /// The payment already bought its answer. `same_secret` tells that the caller repeated the
    /// secret that was bound to it and so is the payer.
    AlreadyUsed {
        /// The transaction it belongs to.
        transaction: TransactionId,
        /// The chain transaction that settled it.
        tx_hash: Option<B256>,
        /// Whether the caller proved to be the one who paid.
        same_secret: bool,
    },
    /// Its settlement is not known yet: come again with the same payment, never with a new one.
    Pending {
        /// The transaction it belongs to.
        transaction: TransactionId,
        /// The chain transaction that may settle it.
        tx_hash: Option<B256>,
    },
    /// It ended unused and can never be settled.
    Expired,
    /// The payer does not have the money, and nothing that was paid before covers it.
    Unfunded,
    /// An earlier payment for the same request is of unknown fate; this one is not used before
    /// that is known, so that nobody pays twice.
    AwaitEarlier {
        /// The earlier claim.
        earlier: ClaimKey,
    },
}

/// What becomes of a payment that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimDecision {
    /// Store this claim (inserting it, or replacing the released one) and go on.
    Grant(Box<Claim>),
    /// Store nothing.
    Refuse(RefusedClaim),
}

/// Decides on a payment.
///
/// `existing` is the claim that already stands under the same identity; `owner_alive` tells whether
/// the node that owns it still beats.
#[must_use]
pub fn decide_claim(
    existing: Option<(&Claim, bool)>,
    new: NewClaim,
    standing: &PayerStanding,
) -> ClaimDecision {
    let epoch = match existing {
        None => 0,
        Some((claim, owner_alive)) => match refuse_existing(claim, owner_alive, &new) {
            Some(refused) => return ClaimDecision::Refuse(refused),
            // Released, or left by a dead owner before anything was sent.
            None => claim.epoch.saturating_add(1),
        },
    };
    if let Some(refused) = refuse_payer(&new, standing) {
        return ClaimDecision::Refuse(refused);
    }
    ClaimDecision::Grant(Box::new(grant(new, epoch, standing)))
}

/// A payer whose money went into an earlier payment may have nothing left: what was paid is looked
/// at before the purse.
fn refuse_payer(new: &NewClaim, standing: &PayerStanding) -> Option<RefusedClaim> {
    if new.order == SettleOrder::Facilitated || standing.credit.is_some() {
        return None;
    }
    if let Some(earlier) = standing.unknown_earlier {
        return Some(RefusedClaim::AwaitEarlier { earlier });
    }
    let is_unfunded = standing.balance.is_some_and(|balance| balance < new.amount);
    is_unfunded.then_some(RefusedClaim::Unfunded)
}

fn refuse_existing(claim: &Claim, owner_alive: bool, new: &NewClaim) -> Option<RefusedClaim> {
    if claim.terms.binding != new.binding {
        return Some(RefusedClaim::BoundElsewhere);
    }
    let transaction = claim.terms.transaction;
    match claim.payment {
        PaymentState::Released => None,
        PaymentState::Claimed | PaymentState::Covered
            if !owner_alive && recover(claim) == Recovery::Release =>
        {
            None
        }
        PaymentState::Claimed => Some(RefusedClaim::InUse { transaction }),
        PaymentState::Broadcast if owner_alive => Some(RefusedClaim::InUse { transaction }),
        PaymentState::Broadcast | PaymentState::Unknown => Some(RefusedClaim::Pending {
            transaction,
            tx_hash: claim.tx_hash,
        }),
        PaymentState::Failed => Some(RefusedClaim::Expired),
        PaymentState::Settled | PaymentState::Covered => match claim.work {
            WorkState::NotStarted | WorkState::Executing | WorkState::Answered if owner_alive => {
                Some(RefusedClaim::InUse { transaction })
            }
            WorkState::NotStarted
            | WorkState::Executing
            | WorkState::Answered
            | WorkState::Delivered
            | WorkState::Broken => Some(RefusedClaim::AlreadyUsed {
                transaction,
                tx_hash: claim.tx_hash,
                same_secret: claim.terms.secret.is_some() && claim.terms.secret == new.secret,
            }),
        },
    }
}

fn grant(mut new: NewClaim, epoch: u32, standing: &PayerStanding) -> Claim {
    // Credits are spent at the gate; a facilitator's client wants money moved.
    if let Some(credit) = standing.credit
        && new.order != SettleOrder::Facilitated
    {
        return Claim {
            terms: new,
            payment: PaymentState::Covered,
            work: WorkState::Executing,
            epoch,
            covered_by: Some(credit),
            credit: None,
            tx_hash: None,
        };
    }
    if new.order == SettleOrder::ResponseHead && must_settle_first(&new, standing) {
        new.order = SettleOrder::BeforeOrigin;
    }
    let work = match new.order {
        SettleOrder::ResponseHead => WorkState::Executing,
        SettleOrder::BeforeOrigin | SettleOrder::Facilitated => WorkState::NotStarted,
    };
    Claim {
        terms: new,
        payment: PaymentState::Claimed,
        work,
        epoch,
        covered_by: None,
        credit: None,
        tx_hash: None,
    }
}

/// Money rule 12: work is done on trust only as far as the payer's balance reaches.
fn must_settle_first(new: &NewClaim, standing: &PayerStanding) -> bool {
    let beyond_balance = standing.balance.is_some_and(|balance| {
        standing
            .open
            .checked_add(new.amount)
            .is_none_or(|open| open > balance)
    });
    beyond_balance || standing.failed_lately
}
