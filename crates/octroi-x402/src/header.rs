//! Names of payment headers, in the lower case that HTTP libraries compare with.

/// v2: the terms, on a 402.
pub const PAYMENT_REQUIRED: &str = "payment-required";
/// v2: the payment, on a request.
pub const PAYMENT_SIGNATURE: &str = "payment-signature";
/// v2: the outcome of the settlement, on success and on failure.
pub const PAYMENT_RESPONSE: &str = "payment-response";
/// v1: the payment, on a request.
pub const X_PAYMENT: &str = "x-payment";
/// v1: the outcome of the settlement.
pub const X_PAYMENT_RESPONSE: &str = "x-payment-response";
/// What a metered origin reports about the amount to charge; it never reaches a buyer.
pub const PAYMENT_SETTLEMENT: &str = "payment-settlement";
/// The v2 SDKs' name for the same report.
pub const SETTLEMENT_OVERRIDES: &str = "settlement-overrides";
/// A wallet login that can stand for an earlier payment.
pub const SIGN_IN_WITH_X: &str = "sign-in-with-x";
/// What a facilitator says about extensions; for the server only.
pub const EXTENSION_RESPONSES: &str = "extension-responses";
/// MPP: receipt of a payment.
pub const PAYMENT_RECEIPT: &str = "payment-receipt";
/// MPP: the credential where `Authorization` belongs to the application.
pub const PAYMENT_AUTHORIZATION: &str = "payment-authorization";
/// MPP: which offers a client prefers.
pub const ACCEPT_PAYMENT: &str = "accept-payment";
/// Names a refund credit that the gate granted.
pub const X_REFUND_CREDIT: &str = "x-refund-credit";

/// The payment headers that pass neither from buyer to origin nor from origin to buyer, so that an
/// origin sees no payload and cannot forge a receipt. [`is_payment_header`] covers these and what
/// future versions put under the same prefixes.
pub const STRIPPED: &[&str] = &[
    PAYMENT_REQUIRED,
    PAYMENT_SIGNATURE,
    PAYMENT_RESPONSE,
    PAYMENT_SETTLEMENT,
    PAYMENT_RECEIPT,
    PAYMENT_AUTHORIZATION,
    X_PAYMENT,
    X_PAYMENT_RESPONSE,
    ACCEPT_PAYMENT,
    SETTLEMENT_OVERRIDES,
    SIGN_IN_WITH_X,
    EXTENSION_RESPONSES,
    X_REFUND_CREDIT,
];

/// Whether a header of this name (any case) is stripped both ways.
///
/// `Authorization` is not among them, because it is the application's as often as ours: ask
/// [`is_payment_credential`] about its value.
#[must_use]
pub fn is_payment_header(name: &str) -> bool {
    let starts_with = |prefix: &str| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    starts_with("payment-")
        || starts_with("x-payment")
        || STRIPPED
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether the value of `Authorization` (or one challenge of `WWW-Authenticate`) is of the scheme
/// `Payment`.
#[must_use]
pub fn is_payment_credential(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let (scheme, rest) = value.split_at(value.len().min("Payment".len()));
    scheme.eq_ignore_ascii_case(b"Payment") && rest.first().is_none_or(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_listed_is_recognised_in_any_case() {
        for name in STRIPPED {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert!(is_payment_header(name), "{name}");
            assert!(is_payment_header(&name.to_ascii_uppercase()), "{name}");
        }
        assert!(is_payment_header("Payment-Something-New"));
        assert!(is_payment_header("X-Payment-Hint"));
        for name in ["authorization", "accept", "payments", "x-pay", "", "é"] {
            assert!(!is_payment_header(name), "{name}");
        }
    }

    #[test]
    fn payment_credentials_are_told_from_others() {
        for value in ["Payment abc", "payment\tabc", " PAYMENT x", "Payment"] {
            assert!(is_payment_credential(value.as_bytes()), "{value}");
        }
        for value in ["", "Bearer Payment", "Payments x", "Paymen", "Basic x"] {
            assert!(!is_payment_credential(value.as_bytes()), "{value}");
        }
    }
}
