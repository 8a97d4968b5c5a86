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
    async fn claim_make(&self, request: ClaimRequest) -> Result<ClaimOutcome, StoreError>;

    /// Takes steps in order, all or none, if the claim is still at `epoch`
    /// ([`octroi_claim::advance`]). Updates the transaction and appends events. `Deliver` captures
    /// a covering credit and `Break` without credit gives it back; `Break` with a credit opens that
    /// credit for the claim's amount and posts it. Chain facts go through
    /// [`crate::SettlementStore::facts_apply`] instead.
    async fn claim_advance(
        &self,
        key: ClaimKey,
        epoch: u32,
        steps: Vec<Step>,
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError>;

    /// Takes over the claims of dead nodes, at most `limit`, and applies [`octroi_claim::recover`]:
    /// raises the epoch, makes `owner` the owner, releases, marks unknown, or issues refund credits
    /// (ids derived from the claim, so that a repetition is harmless). Returns the claims as they
    /// are now.
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
    /// is still broadcast or unknown. Returns how many claims were dropped.
    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError>;

    /// One refund credit.
    async fn credit_get(&self, id: CreditId) -> Result<Option<crate::Credit>, StoreError>;
}
