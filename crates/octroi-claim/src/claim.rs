//! A claim and what is known when it is made.

use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, CreditId, Mode, PaywallId, TenantId, TransactionId,
    UnixMicros, UnixSeconds,
};
use serde::{Deserialize, Serialize};

use crate::binding::{Binding, SecretHash};
use crate::state::{PaymentState, WorkState};

/// One running process. A restart is another node.
///
/// The lease on a claim is the lease of the node that owns it: a node proves that it is alive with
/// one heartbeat for all its claims, however long their streams run. When the heartbeat stops, all
/// of them are up for recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub u64);

/// When a payment is settled, relative to the origin's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettleOrder {
    /// At the origin's response head, before the head goes to the buyer. Serves streams too.
    ResponseHead,
    /// Before the origin is called, for work that must not start unpaid.
    BeforeOrigin,
    /// On behalf of somebody else's server, through our facilitator. There is no work of ours; the
    /// success is handed out once, to whoever asks first after the settlement (money rule 21).
    Facilitated,
}

/// What is known when a claim is made. Everything the books, recovery and reconciliation need
/// later; nothing of the request's or the answer's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// The claim's own id, made by the caller.
    pub id: ClaimId,
    /// The payment's identity: hash of (network, asset, payer, nonce) for EIP-3009.
    pub identity: B256,
    /// The seller.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// What is sold.
    pub paywall: PaywallId,
    /// The transaction that shows this attempt to the seller.
    pub transaction: TransactionId,
    /// The request that the payment buys.
    pub binding: Binding,
    /// Hash of the secret that lets the payer fetch the answer again.
    pub secret: Option<SecretHash>,
    /// When the payment is settled.
    pub order: SettleOrder,
    /// The chain of the payment.
    pub chain: ChainId,
    /// The token contract.
    pub asset: Address,
    /// Who pays.
    pub payer: Address,
    /// Who is paid.
    pub pay_to: Address,
    /// The authorized value, in the token's smallest unit.
    pub amount: Amount,
    /// The authorization's nonce.
    pub nonce: B256,
    /// The authorization's end.
    pub valid_before: UnixSeconds,
    /// Who works on it.
    pub owner: NodeId,
    /// Now.
    pub created_at: UnixMicros,
}

/// Names a stored claim.
///
/// Claims live in tables by the day of their `validBefore` (money rule 32), so a key carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimKey {
    /// The authorization's end.
    pub valid_before: UnixSeconds,
    /// The payment's identity.
    pub identity: B256,
}

impl ClaimKey {
    /// The key of a claim.
    #[must_use]
    pub fn of(claim: &NewClaim) -> Self {
        Self {
            valid_before: claim.valid_before,
            identity: claim.identity,
        }
    }

    /// The day whose table holds it, counted from 1970.
    #[must_use]
    pub const fn day(&self) -> u64 {
        self.valid_before.0 / 86_400
    }
}

/// A claim as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What was known when it was made.
    pub terms: NewClaim,
    /// What happened to the money.
    pub payment: PaymentState,
    /// What happened to the work.
    pub work: WorkState,
    /// Raised whenever the claim changes hands; every change names the epoch it believes in.
    pub epoch: u32,
    /// The refund credit of the payer that pays instead of this payment; held while the work runs.
    pub covered_by: Option<CreditId>,
    /// The refund credit that this claim led to, if any.
    pub credit: Option<CreditId>,
    /// The chain transaction that settled it, or that may have.
    pub tx_hash: Option<B256>,
}

impl Claim {
    /// What names it.
    #[must_use]
    pub fn key(&self) -> ClaimKey {
        ClaimKey::of(&self.terms)
    }
}
