//! Every request that is compared. This table is where the gate is meant to differ from the reference.

use octroi_interop::{BASE_SEPOLIA_USDC, BUYERS, PAYEE, PRICE};
use serde_json::{Value, json};

use super::ask::Ask;
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
        "with an identifier",
        Change::Json(|payment| identified(payment, "pay_7d5d747be160e280504c099d984bcfe0")),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "with an identifier that is none",
        Change::Json(|payment| identified(payment, "short")),
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

/// A request that differs in anything but the payment, and as above. Here an answer is its status, what its
/// receipt says, the methods that it allows, and whether it is empty.
pub(super) type Asked = (&'static str, Ask, &'static str, &'static str, &'static str);

/// The headers of a browser that asks whether a page of another site may pay.
const PREFLIGHT: &[(&str, &str)] = &[
    ("origin", "https://shop.example"),
    ("access-control-request-method", "GET"),
    ("access-control-request-headers", "payment-signature"),
];
/// The reference guards exactly the methods that its seller writes down; Express answers HEAD by the page all
/// the same, which has then been sold for nothing.
const HEAD: &str = "who may GET may HEAD, for the same price";
const CLOSED: &str = "pricing some methods closes the others, and says which are open";

pub(super) const REQUESTS: &[Asked] = &[
    ("HEAD", Ask::of("HEAD"), "200, empty", "402, empty", HEAD),
    (
        "HEAD with a payment",
        Ask::paying("HEAD"),
        "200, empty",
        "200 paid, empty",
        HEAD,
    ),
    (
        "OPTIONS",
        Ask::of("OPTIONS"),
        "200, allow: GET, HEAD, POST",
        "204, allow: GET, POST, HEAD, OPTIONS, empty",
        "an answer without a body says so",
    ),
    (
        "a browser's question",
        Ask {
            headers: PREFLIGHT,
            ..Ask::of("OPTIONS")
        },
        "200, allow: GET, HEAD, POST",
        "204, access-control-allow-methods: GET, POST, HEAD, OPTIONS, empty",
        "pages of other sites may pay, without the seller adding a package for it",
    ),
    ("POST", Ask::of("POST"), "402", "402", SAME),
    (
        "POST of something",
        Ask::of("POST").with_body("hello"),
        "402",
        "402",
        SAME,
    ),
    (
        "POST with a payment",
        Ask::paying("POST"),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "POST of something with a payment",
        Ask::paying("POST").with_body("hello"),
        "200 paid",
        "200 paid",
        SAME,
    ),
    (
        "PUT",
        Ask::of("PUT").with_body("hello"),
        "404",
        "405, allow: GET, POST, HEAD, OPTIONS",
        CLOSED,
    ),
    (
        "PUT with a payment",
        Ask::paying("PUT").with_body("hello"),
        "404",
        "405, allow: GET, POST, HEAD, OPTIONS",
        CLOSED,
    ),
    (
        "DELETE",
        Ask::of("DELETE"),
        "404",
        "405, allow: GET, POST, HEAD, OPTIONS",
        CLOSED,
    ),
    (
        "a method that does not exist",
        Ask::of("GOT"),
        "400, empty",
        "405, allow: GET, POST, HEAD, OPTIONS",
        "Node's parser knows a fixed list of methods",
    ),
    (
        "an unknown path",
        Ask::of("GET").at_nothing(),
        "404",
        "404",
        SAME,
    ),
    (
        "an unknown path with a payment",
        Ask::paying("GET").at_nothing(),
        "404",
        "404",
        SAME,
    ),
    (
        "POST to an unknown path",
        Ask::of("POST").with_body("hello").at_nothing(),
        "404",
        "404",
        SAME,
    ),
];

/// Stand for what is another one each time.
pub(super) const ITS_URL: &str = "its URL";
pub(super) const ITS_HASH: &str = "its hash";

/// A field of a document, what the reference and the gate write there, and why not the same.
pub(super) type Field = (&'static str, Value, Value, &'static str);

fn same(key: &'static str, value: Value) -> Field {
    (key, value.clone(), value, SAME)
}

/// What the terms of a 402 say.
pub(super) fn terms() -> Vec<Field> {
    let accepted = json!([{
        "scheme": "exact",
        "network": "eip155:84532",
        "amount": PRICE.to_string(),
        "asset": BASE_SEPOLIA_USDC,
        "payTo": PAYEE.address,
        "maxTimeoutSeconds": 300,
        "extra": {"name": "USDC", "version": "2"},
    }]);
    vec![
        same("x402Version", json!(2)),
        same("accepts", accepted),
        (
            "error",
            json!("Payment required"),
            json!("PAYMENT-SIGNATURE or X-PAYMENT header is required"),
            "the gate sells to clients of both versions, and names what either sends",
        ),
        (
            "resource",
            json!({"url": ITS_URL, "description": "", "mimeType": ""}),
            json!({"url": ITS_URL}),
            "what the seller has not said is left out",
        ),
        (
            "extensions",
            Value::Null,
            identifiers(),
            "the gate recalls answers, and says so; the reference's seller writes down what it declares",
        ),
    ]
}

/// What the receipt of a purchase says.
pub(super) fn receipt() -> Vec<Field> {
    vec![
        same("success", json!(true)),
        same("transaction", json!(ITS_HASH)),
        same("network", json!("eip155:84532")),
        same("payer", json!(BUYERS[0].address)),
        (
            "amount",
            Value::Null,
            json!(PRICE.to_string()),
            "optional; the buyer is told what was taken",
        ),
    ]
}

/// What the gate declares beside its terms: what the reference's own `declarePaymentIdentifierExtension`
/// gives a seller to declare.
pub(super) fn identifiers() -> Value {
    json!({"payment-identifier": {
        "info": {"required": false},
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": {"type": "boolean"},
                "id": {
                    "type": "string",
                    "minLength": 16,
                    "maxLength": 128,
                    "pattern": "^[a-zA-Z0-9_-]+$",
                },
            },
            "required": ["required"],
        },
    }})
}

fn identified(payment: &mut Value, id: &str) {
    payment["extensions"] = identifiers();
    payment["extensions"]["payment-identifier"]["info"]["id"] = id.into();
}

fn remove(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}
