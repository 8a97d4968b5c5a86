//! Why a payment bought nothing.

use octroi_claim::RefusedClaim;
use octroi_types::ErrorCode;
use octroi_x402::Reason;

/// Why [`crate::Payments::admit`] gave no grant. Nothing was charged in any of these cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The payment does not meet the terms: 402 with the reason and fresh terms.
    Invalid(Reason),
    /// Its payer is screened out: 403 without terms, for a client would only sign again.
    Denied,
    /// The payment is known already.
    Claim(RefusedClaim),
    /// Something the decision needs cannot be asked now: 503, come again with the same payment.
    Unavailable(ErrorCode),
}
