//! Every request that is compared. This table is where the gate is meant to differ from the reference.

use octroi_interop::BUYERS;
use serde_json::Value;

use super::change::{Change, STRANGER, high_s};

/// The reference says it in prose, or as an error of its own; the gate says it with a code.
const CODED: &str = "a code where the reference has none";
const SAME: &str = "";

/// A request, what the reference and the gate answer, and why not the same where they differ. An answer is
/// its status, then the machine-readable reason in its terms, then that of its receipt.
pub(super) type Case = (
    &'static str,
    Change,
    &'static str,
    &'static str,
    &'static str,
);

pub(super) const CASES: &[Case] = &[
    ("no payment", Change::Absent, "402", "402", SAME),
    // What cannot be read, or is no payment.
    (
        "no base64",
        Change::Text("!hello!"),
        "402",
        "402 invalid_payload",
        CODED,
    ),
    (
        "no JSON",
        Change::Text("aGVsbG8="),
        "402",
        "402 invalid_payload",
        CODED,
    ),
    (
        "null",
        Change::Text("bnVsbA=="),
        "402",
        "402 invalid_x402_version",
        CODED,
    ),
    (
        "an empty object",
        Change::Text("e30="),
        "402",
        "402 invalid_x402_version",
        CODED,
    ),
    (
        "a list",
        Change::Text("W10="),
        "402",
        "402 invalid_x402_version",
        CODED,
    ),
    (
        "nothing but a version",
        Change::Json(|payment| *payment = serde_json::json!({"x402Version": 2})),
        "402",
        "402 invalid_payload",
        CODED,
    ),
    (
        "a version that does not exist",
        Change::Json(|payment| payment["x402Version"] = 3.into()),
        "402",
        "402 invalid_x402_version",
        CODED,
    ),
    (
        "version 1 in the header of version 2",
        Change::Version1In("payment-signature"),
        "402",
        "402 invalid_x402_version",
        CODED,
    ),
    (
        "no signature",
        Change::Json(|payment| remove(&mut payment["payload"], "signature")),
        "402",
        "402 invalid_payload",
        CODED,
    ),
    (
        "no authorization",
        Change::Json(|payment| remove(&mut payment["payload"], "authorization")),
        "402",
        "402 unsupported_payload_type",
        CODED,
    ),
    (
        "no payload",
        Change::Json(|payment| remove(payment, "payload")),
        "402",
        "402 invalid_payload",
        CODED,
    ),
    // Other terms than those on offer.
    (
        "another amount accepted",
        Change::Json(|payment| payment["accepted"]["amount"] = "1".into()),
        "402",
        "402 invalid_payment_requirements",
        CODED,
    ),
    (
        "another payee accepted",
        Change::Json(|payment| payment["accepted"]["payTo"] = STRANGER.into()),
        "402",
        "402 invalid_payment_requirements",
        CODED,
    ),
    (
        "another asset accepted",
        Change::Json(|payment| payment["accepted"]["asset"] = STRANGER.into()),
        "402",
        "402 invalid_payment_requirements",
        CODED,
    ),
    (
        "another token name accepted",
        Change::Json(|payment| payment["accepted"]["extra"]["name"] = "USD Coin".into()),
        "402",
        "402 invalid_payment_requirements",
        CODED,
    ),
    (
        "another network accepted",
        Change::Json(|payment| payment["accepted"]["network"] = "eip155:8453".into()),
        "402",
        "402 invalid_exact_evm_network_mismatch",
        CODED,
    ),
    (
        "another scheme accepted",
        Change::Json(|payment| payment["accepted"]["scheme"] = "upto".into()),
        "402",
        "402 invalid_exact_evm_scheme",
        CODED,
    ),
    // Another authorization than the terms ask for, signed by the payer.
    (
        "less than the price",
        Change::Draft(|draft| draft.value = "999".to_owned()),
        "402 invalid_exact_evm_payload_authorization_value_mismatch",
        "402 invalid_exact_evm_payload_authorization_value_mismatch",
        SAME,
    ),
    (
        "more than the price",
        Change::Draft(|draft| draft.value = "1001".to_owned()),
        "402 invalid_exact_evm_payload_authorization_value_mismatch",
        "402 invalid_exact_evm_payload_authorization_value_mismatch",
        SAME,
    ),
    (
        "to somebody else",
        Change::Draft(|draft| draft.to = BUYERS[5].address),
        "402 invalid_exact_evm_recipient_mismatch",
        "402 invalid_exact_evm_recipient_mismatch",
        SAME,
    ),
    (
        "expired",
        Change::Window(0, -60),
        "402 invalid_exact_evm_payload_authorization_valid_before",
        "402 invalid_exact_evm_payload_authorization_valid_before",
        SAME,
    ),
    (
        "about to expire",
        Change::Window(0, 4),
        "402 invalid_exact_evm_payload_authorization_valid_before",
        "402 invalid_exact_evm_payload_authorization_valid_before",
        SAME,
    ),
    (
        "not valid yet",
        Change::Window(120, 300),
        "402 invalid_exact_evm_payload_authorization_valid_after",
        "402 invalid_exact_evm_payload_authorization_valid_after",
        SAME,
    ),
    (
        "expires before a slow origin and its settlement are done",
        Change::Window(0, 40),
        "200 paid",
        "402 invalid_exact_evm_payload_authorization_valid_before",
        "the window has to last for the route's time-out and the settlement",
    ),
    (
        "valid for two days",
        Change::Window(0, 2 * 86_400),
        "200 paid",
        "402 invalid_exact_evm_payload_authorization_valid_before",
        "until it ends a signature is as good as money; a day is the most that is taken",
    ),
    // Signatures.
    (
        "of somebody else",
        Change::SignedBy(BUYERS[4]),
        "402 invalid_exact_evm_signature",
        "402 invalid_exact_evm_signature",
        SAME,
    ),
    (
        "an empty signature",
        Change::Signature(|_| "0x".to_owned()),
        "402 invalid_exact_evm_signature",
        "402 invalid_exact_evm_signature",
        SAME,
    ),
    (
        "half a signature",
        Change::Signature(|signature| signature[..66].to_owned()),
        "402 invalid_exact_evm_signature",
        "402 invalid_exact_evm_signature",
        SAME,
    ),
    (
        "a malleated signature",
        Change::Signature(high_s),
        "402 invalid_exact_evm_transaction_simulation_failed",
        "402 invalid_exact_evm_signature",
        "the token refuses a high s; that needs no node to be told",
    ),
    // Facts of the chain.
    (
        "no money",
        Change::FromPauper,
        "402 invalid_exact_evm_insufficient_balance",
        "402 invalid_exact_evm_insufficient_balance",
        SAME,
    ),
    (
        "a nonce that was used",
        Change::Used,
        "402 invalid_exact_evm_nonce_already_used",
        "402 invalid_exact_evm_nonce_already_used, not paid: invalid_exact_evm_nonce_already_used",
        "found when it is to be settled, one call to the node for all checks; the origin was asked",
    ),
    // Numbers are decimal text.
    (
        "a number as a number",
        Change::Json(|payment| payment["payload"]["authorization"]["value"] = 1_000.into()),
        "200 paid",
        "402 invalid_payload",
        "the protocol says text, because JSON numbers lose digits",
    ),
    (
        "a negative value",
        Change::Json(|payment| payment["payload"]["authorization"]["value"] = "-1000".into()),
        "402 invalid_exact_evm_signature",
        "402 invalid_payload",
        "told by its shape",
    ),
    (
        "a nonce of two bytes",
        Change::Json(|payment| payment["payload"]["authorization"]["nonce"] = "0x1234".into()),
        "402 invalid_exact_evm_signature",
        "402 invalid_payload",
        "told by its shape",
    ),
    // Good payments in every spelling.
    ("good", Change::Nothing, "200 paid", "200 paid", SAME),
    (
        "unpadded",
        Change::Spelling(|text| text.trim_end_matches('=').to_owned()),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "in the URL-safe alphabet",
        Change::Spelling(|text| text.replace('+', "-").replace('/', "_")),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "with more than was asked for",
        Change::Json(|payment| {
            payment["accepted"]["extra"]["memo"] = "mine".into();
            payment["extensions"] = serde_json::json!({"something": {"info": {}}});
            payment["more"] = true.into();
        }),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "with null for what is absent",
        Change::Json(|payment| payment["extensions"] = Value::Null),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "with the recovery id of other signers",
        Change::Signature(|signature| {
            let (rest, v) = signature.split_at(signature.len() - 2);
            let id = if v == "1b" { "00" } else { "01" };
            format!("{rest}{id}")
        }),
        "402 invalid_exact_evm_transaction_simulation_failed",
        "200 paid",
        "the token wants 27 or 28; the gate rewrites 0 and 1",
    ),
    (
        "of version 1",
        Change::Version1In("x-payment"),
        "402",
        "200 paid",
        "the gate sells to clients of both versions at one address",
    ),
    (
        "of version 2 in the header of version 1",
        Change::Header("x-payment"),
        "402",
        "402 invalid_x402_version",
        CODED,
    ),
];

fn remove(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}
