//! What a settlement comes to.

use octroi_claim::Claim;
use octroi_types::B256;
use octroi_x402::{CheckedAuthorization, Reason, Terms};

/// A claimed payment to be settled.
#[derive(Debug, Clone)]
pub struct SettleJob {
    /// The claim.
    pub claim: Box<Claim>,
    /// The payer's authorization.
    pub authorization: CheckedAuthorization,
    /// Our terms for it.
    pub terms: Terms,
}

/// Where a settlement was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Included {
    /// The transaction.
    pub tx_hash: B256,
    /// Its block's number.
    pub block_number: u64,
    /// Its block's hash.
    pub block_hash: B256,
}

/// What became of a job.
#[derive(Debug)]
pub enum SettleOutcome {
    /// The payee has the money, and the books say so.
    Settled {
        /// The claim as it is now.
        claim: Box<Claim>,
        /// Where it was seen.
        settlement: Included,
    },
    /// Nothing left the gate, and nothing will: the claim is released.
    Refused {
        /// Why it would not settle.
        reason: Reason,
    },
    /// It was sent and moved nothing. The claim is of unknown fate until its window has ended in a
    /// final block, for anybody may still send the authorization.
    Reverted {
        /// Why it did not settle.
        reason: Reason,
    },
    /// It cannot be sent now; nothing left the gate, and the claim is released.
    Unavailable,
    /// It was sent, and its fate is not known yet.
    Pending {
        /// The transaction that may settle it.
        tx_hash: Option<B256>,
    },
    /// The claim passed to another owner or was released meanwhile.
    Fenced,
}
