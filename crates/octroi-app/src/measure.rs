//! Counting what became of payments.

use octroi_claim::RefusedClaim;
use octroi_telemetry::metrics::PaymentReason;
use octroi_x402::Reason;

use crate::refusal::Refusal;

/// The metric label of a refusal.
pub(crate) const fn label(refusal: &Refusal) -> PaymentReason {
    match refusal {
        Refusal::Invalid(reason) => reason_label(*reason),
        Refusal::Denied => PaymentReason::Denied,
        Refusal::Unavailable(_) => PaymentReason::Unavailable,
        Refusal::Claim(refused) => match refused {
            RefusedClaim::BoundElsewhere => PaymentReason::BoundElsewhere,
            RefusedClaim::InUse { .. } => PaymentReason::InUse,
            RefusedClaim::AlreadyUsed { .. } => PaymentReason::AlreadyUsed,
            RefusedClaim::Pending { .. } | RefusedClaim::AwaitEarlier { .. } => {
                PaymentReason::Unavailable
            }
            RefusedClaim::Expired => PaymentReason::Window,
            RefusedClaim::Unfunded => PaymentReason::Funds,
        },
    }
}

const fn reason_label(reason: Reason) -> PaymentReason {
    match reason {
        Reason::ValidBefore | Reason::ValidAfter => PaymentReason::Window,
        Reason::InvalidSignature | Reason::FailedToParseSignature => PaymentReason::Signature,
        Reason::FactoryNotAllowed
        | Reason::UndeployedSmartWallet
        | Reason::SmartWalletDeploymentFailed => PaymentReason::Payer,
        Reason::InsufficientBalance | Reason::InsufficientFunds => PaymentReason::Funds,
        Reason::NonceAlreadyUsed => PaymentReason::NonceUsed,
        Reason::InvalidPayload | Reason::InvalidVersion => PaymentReason::Malformed,
        _ => PaymentReason::Terms,
    }
}
