//! Claims that a settlement carries.

use std::collections::HashSet;

use octroi_claim::{Claim, ClaimKey, PaymentState, Step};
use octroi_types::Mode;

use super::Change;
use crate::error::StoreError;
use crate::settlement::{NewSettlement, OpenOutcome, Settlement};

/// What becomes of the claims of a settlement that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// Write them, with the settlement.
    Broadcast(Vec<Change>),
    /// Write nothing: these cannot be sent by this owner, or not any more.
    Fenced(Vec<ClaimKey>),
}

/// Decides whether a settlement may carry its claims. `claims` are those it names, in its order,
/// as they stand.
#[must_use]
pub fn carry(new: &NewSettlement, claims: Vec<Option<Claim>>) -> Carried {
    let mut changes: Vec<Change> = Vec::with_capacity(claims.len());
    let mut fenced = Vec::new();
    let mut carried = HashSet::with_capacity(claims.len());
    for ((key, epoch), claim) in new.claims.iter().zip(claims) {
        // One authorization works once: twice in one transaction, the second call reverts.
        let first = carried.insert(key.identity);
        match claim
            .filter(|_| first)
            .and_then(|claim| broadcast(new, claim, *epoch))
        {
            Some(change) => changes.push(change),
            None => fenced.push(*key),
        }
    }
    if fenced.is_empty() {
        Carried::Broadcast(changes)
    } else {
        Carried::Fenced(fenced)
    }
}

/// The mode of a settlement's claims; `None` if it has none.
///
/// # Errors
/// [`StoreError::Inconsistent`] if they differ: a chain has either play money or real.
pub fn mode_carried(changes: &[Change]) -> Result<Option<Mode>, StoreError> {
    let mut modes = changes.iter().map(|change| change.claim.terms.mode);
    let first = modes.next();
    if modes.any(|mode| Some(mode) != first) {
        return Err(StoreError::Inconsistent {
            reason: "a settlement would carry claims of both modes".to_owned(),
        });
    }
    Ok(first)
}

fn broadcast(new: &NewSettlement, claim: Claim, epoch: u32) -> Option<Change> {
    if claim.epoch != epoch || claim.terms.chain != new.chain {
        return None;
    }
    let mut change = Change::of(claim);
    let tx_hash = new.attempt.tx_hash;
    change
        .take(Step::Broadcast { tx_hash }, new.attempt.created_at)
        .ok()?;
    Some(change)
}

/// The answer where a settlement has the id of one that exists.
#[must_use]
pub fn reopen(existing: &Settlement, new: &NewSettlement) -> OpenOutcome {
    let repeated = (existing.chain, existing.wallet, existing.nonce)
        == (new.chain, new.wallet, new.nonce)
        && existing.attempts.first().map(|first| first.tx_hash) == Some(new.attempt.tx_hash);
    if repeated {
        OpenOutcome::Opened
    } else {
        OpenOutcome::NonceTaken
    }
}

/// Whether it is this settlement that settled a claim it carries, and not another one.
#[must_use]
pub fn is_settled_by(claim: &Claim, settlement: &Settlement) -> bool {
    claim.payment == PaymentState::Settled
        && settlement
            .attempts
            .iter()
            .any(|attempt| Some(attempt.tx_hash) == claim.tx_hash)
}
