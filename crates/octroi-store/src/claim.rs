//! The port for claims.

use async_trait::async_trait;
use octroi_claim::{AdvanceError, Claim, ClaimKey, NewClaim, NodeId, RefusedClaim, Step};
use octroi_types::{Amount, CreditId, UnixMicros, UnixSeconds};

use crate::error::StoreError;
use crate::transaction::NewTransaction;

/// A payment that asks for its grant.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The claim to make.
    pub claim: NewClaim,
    /// The transaction that shows it to the seller, written with it.
    pub transaction: NewTransaction,
    /// The payer's balance on the chain, at most one block old; `None` counts as enough.
    pub payer_balance: Option<Amount>,
    /// Failures since then make the payer settle first (money rule 12).
    pub failed_since: UnixMicros,
    /// Now.
    pub now: UnixMicros,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The claim as stored. If it is covered, the credit is held.
    Granted(Box<Claim>),
    /// Nothing was stored.
    Refused(RefusedClaim),
}

/// Claims: made before work, changed by compare-and-set, recovered by table.
#[async_trait]
pub trait ClaimStore: Send + Sync + 'static {
    /// Announces a node, or renews its lease on all its claims. A backend that admits one process
    /// only may treat every other node as dead at once.
    async fn node_beat(
        &self,
        node: NodeId,
        lease_until: UnixMicros,
        now: UnixMicros,
    ) -> Result<(), StoreError>;

    /// Claims a payment: decides by [`octroi_claim::decide_claim`] on what stands in the store, and
    /// if granted makes claim, transaction and event durable (and holds the covering credit).
    ///
    /// A claim that a dead node left unsent under the same identity is released first, whatever is
    /// decided then. The same call again (same claim, transaction and owner) is granted again while
    /// nothing happened to the claim.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if the transaction's id is in use, is not the one that the claim
    /// names, or the amount is nothing.
    async fn claim_make(&self, request: ClaimRequest) -> Result<ClaimOutcome, StoreError>;

    /// Takes steps in order, all or none, if the claim is still at `epoch`
    /// ([`crate::plan::advance`]). Updates the transaction and appends events. `Deliver` captures
    /// a covering credit and `Break` without credit gives it back; `Break` with a credit opens the
    /// claim's refund credit for its amount and posts it. That credit's id is
    /// [`refund_credit_id`](crate::refund_credit_id), whatever id the step names, because facts and
    /// recovery open the same one.
    ///
    /// Of many callers that try the same steps from one state, one succeeds. A step alone that led
    /// to the present state may be repeated: it changes nothing and is answered with the claim.
    ///
    /// `Broadcast`, `Settle`, `Fail` and `Vanish` are no steps of an owner: they come with a
    /// settlement or as facts ([`crate::SettlementStore`]), and are refused here.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such claim.
    async fn claim_advance(
        &self,
        key: ClaimKey,
        epoch: u32,
        steps: Vec<Step>,
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError>;

    /// Takes over unfinished claims of dead nodes, oldest first, at most `limit`, and applies
    /// [`octroi_claim::recover`]: raises the epoch, makes `owner` the owner, releases, marks
    /// unknown, or issues refund credits. Returns the claims as they are now. Whoever asks is
    /// alive.
    async fn claims_recover(
        &self,
        owner: NodeId,
        limit: usize,
        now: UnixMicros,
    ) -> Result<Vec<Claim>, StoreError>;

    /// One claim.
    async fn claim_get(&self, key: ClaimKey) -> Result<Option<Claim>, StoreError>;

    /// Claims of unknown fate, oldest first.
    async fn claims_unknown(&self, limit: usize) -> Result<Vec<Claim>, StoreError>;

    /// Drops whole days of claims that ended before `before`, except days that hold a claim that
    /// is not finished (one that is broadcast or unknown above all), that a settlement carries which
    /// is not final, or that is watched by itself. Returns how many claims were dropped. Their transactions stay.
    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError>;

    /// One refund credit.
    async fn credit_get(&self, id: CreditId) -> Result<Option<crate::Credit>, StoreError>;
}
