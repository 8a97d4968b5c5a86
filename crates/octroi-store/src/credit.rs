//! Refund credits: money that arrived for an answer that was not given (money rules 14 and 22).

use octroi_claim::NewClaim;
use octroi_types::{Address, Amount, ChainId, CreditId, Mode, TenantId, TransactionId, UnixMicros};
use serde::Serialize;

/// What a payer has left at a tenant after a settled payment was not served. It covers the payer's
/// next request; its id is a name and not a bearer secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credit {
    /// Its id.
    pub id: CreditId,
    /// Where it can be spent.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// Whose it is.
    pub payer: Address,
    /// The chain of the payment.
    pub chain: ChainId,
    /// The token.
    pub asset: Address,
    /// What it was opened with.
    pub amount: Amount,
    /// What is neither spent nor held.
    pub available: Amount,
    /// The transaction that led to it.
    pub transaction: TransactionId,
    /// When it was opened.
    pub created_at: UnixMicros,
}

impl Credit {
    /// Whether it may pay for a claim, if there is enough of it: the same payer at the same tenant,
    /// in the same token and mode.
    #[must_use]
    pub fn covers(&self, claim: &NewClaim) -> bool {
        (self.tenant, self.mode, self.payer, self.chain, self.asset)
            == (
                claim.tenant,
                claim.mode,
                claim.payer,
                claim.chain,
                claim.asset,
            )
    }
}
