//! Our own facilitator: each success is handed out once.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{Fault, Payment, Request, Setup, TestGate, eventually};
use octroi_x402::{SettleResponse, VerifyResponse, Version};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{ITEM, PRICE, SENDS};

const TOKEN: &str = "a-token-of-another-server";

/// Turns the facilitator on.
pub(crate) fn section() -> String {
    let hash = hex::encode(Sha256::digest(TOKEN));
    format!("[facilitator]\nenabled = true\ntoken_sha256 = [\"{hash}\"]\n")
}

async fn setup() -> Setup {
    Setup::new().await.sections(&section())
}

/// What a server asks of us about a payment, with the terms that its buyer accepted.
pub(crate) fn asked(endpoint: &str, payment: &Payment) -> Request {
    posted(endpoint, &question(payment))
}

fn question(payment: &Payment) -> Value {
    let payload = payload(payment);
    json!({
        "x402Version": 2,
        "paymentRequirements": payload["accepted"],
        "paymentPayload": payload,
    })
}

fn payload(payment: &Payment) -> Value {
    serde_json::from_slice(&STANDARD.decode(&payment.header_value).unwrap()).unwrap()
}

fn posted(endpoint: &str, body: &Value) -> Request {
    Request::post(&format!("/facilitator/{endpoint}"), body.to_string())
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {TOKEN}"))
}

async fn verify(gate: &TestGate, payment: &Payment) -> VerifyResponse {
    let answer = gate.send(&asked("verify", payment)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    VerifyResponse::from_body(&answer.body).unwrap()
}

async fn settle(gate: &TestGate, payment: &Payment) -> SettleResponse {
    let answer = gate.send(&asked("settle", payment)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// A payment of a new buyer. Where it was offered does not matter here.
async fn payment(gate: &TestGate) -> Payment {
    gate.sign(&gate.net.buyer(), &Request::get(ITEM)).await
}

#[tokio::test]
async fn a_payment_is_verified_settled_and_then_used_up() {
    let gate = setup().await.start().await;
    let payment = payment(&gate).await;
    for _ in 0..2 {
        assert!(verify(&gate, &payment).await.is_valid);
    }
    assert_eq!(gate.paid_units(), 0);
    let settled = settle(&gate, &payment).await;
    assert!(settled.success, "{settled:?}");
    assert_eq!(
        (settled.network.as_str(), settled.transaction.len()),
        ("eip155:84532", 66)
    );
    assert_eq!(gate.paid_units(), PRICE);
    let verified = verify(&gate, &payment).await;
    assert_eq!(
        verified.invalid_reason.as_deref(),
        Some("invalid_exact_evm_nonce_already_used")
    );
    let again = settle(&gate, &payment).await;
    assert_eq!(
        (again.success, again.error_reason.as_deref()),
        (false, Some("duplicate_settlement"))
    );
    assert_eq!(again.transaction, settled.transaction);
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_settlements_of_one_payment_have_one_success() {
    let gate = setup().await.start().await;
    let payment = payment(&gate).await;
    let asked = asked("settle", &payment);
    let sent: Vec<_> = (0..64)
        .map(|_| {
            let (client, asked) = (gate.client, asked.clone());
            tokio::spawn(async move { client.send(&asked).await })
        })
        .collect();
    let mut outcomes = BTreeMap::<_, usize>::new();
    for answer in sent {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 200);
        let settled: SettleResponse = serde_json::from_slice(&answer.body).unwrap();
        *outcomes
            .entry((settled.success, settled.error_reason))
            .or_default() += 1;
    }
    let count = |success, reason: Option<&str>| {
        outcomes
            .get(&(success, reason.map(str::to_owned)))
            .copied()
            .unwrap_or_default()
    };
    let duplicates = count(false, Some("duplicate_settlement"));
    let pending = count(false, Some("settlement_pending"));
    assert_eq!(
        (count(true, None), duplicates + pending),
        (1, 63),
        "{outcomes:?}"
    );
    assert_eq!(gate.paid_units(), PRICE);
    let late = settle(&gate, &payment).await;
    assert_eq!(late.error_reason.as_deref(), Some("duplicate_settlement"));
    assert_eq!(gate.finish().await.transactions.len(), 1);
}

#[tokio::test]
async fn an_unknown_settlement_is_pending_and_collected_once_after_a_restart() {
    let setup = setup().await;
    let setup = setup.options(|options| {
        options.payments.settle_wait = Duration::from_millis(200);
    });
    let mut gate = setup.start().await;
    let payment = payment(&gate).await;
    let silent = gate.node.rule(|method, _| match method {
        method if SENDS.contains(&method) => Some(Fault::AnswerLost),
        "eth_getTransactionReceipt" | "eth_getLogs" => Some(Fault::Silent),
        _ => None,
    });
    for _ in 0..2 {
        let settled = settle(&gate, &payment).await;
        assert_eq!(settled.error_reason.as_deref(), Some("settlement_pending"));
        assert_eq!(settled.transaction.len(), 66, "the hash is named");
    }
    assert!(!verify(&gate, &payment).await.is_valid);
    gate.restart().await;
    let settled = settle(&gate, &payment).await;
    assert_eq!(settled.error_reason.as_deref(), Some("settlement_pending"));
    drop(silent);
    let collected = eventually("the success is collected", async || {
        Some(settle(&gate, &payment).await).filter(|settled| settled.success)
    })
    .await;
    gate.restart().await;
    let again = settle(&gate, &payment).await;
    assert_eq!(
        (again.success, again.error_reason.as_deref()),
        (false, Some("duplicate_settlement"))
    );
    assert_eq!(again.transaction, collected.transaction);
    assert_eq!(gate.paid_units(), PRICE);
    gate.finish().await;
}

#[tokio::test]
async fn a_success_that_nobody_collected_waits_across_a_restart() {
    let setup = setup().await;
    let setup = setup.options(|options| {
        options.payments.settle_wait = Duration::from_millis(200);
    });
    let mut gate = setup.start().await;
    let payment = payment(&gate).await;
    let slow = gate
        .node
        .always(&["eth_getTransactionReceipt", "eth_getLogs"], || {
            Fault::Silent
        });
    let pending = settle(&gate, &payment).await;
    assert_eq!(pending.error_reason.as_deref(), Some("settlement_pending"));
    drop(slow);
    gate.books_say("it is settled", |books| books.settled_units() == PRICE)
        .await;
    gate.restart().await;
    assert!(settle(&gate, &payment).await.success);
    assert!(!settle(&gate, &payment).await.success);
    gate.finish().await;
}

#[tokio::test]
async fn a_payment_that_was_facilitated_does_not_buy_at_the_gate_and_the_other_way_round() {
    let gate = setup().await.start().await;
    let facilitated = payment(&gate).await;
    assert!(settle(&gate, &facilitated).await.success);
    let answer = gate.send(&facilitated.on(Request::get(ITEM))).await;
    assert_eq!(
        answer.outcome(),
        (409, "payment_bound_elsewhere".to_owned())
    );

    let bought = payment(&gate).await;
    assert_eq!(gate.send(&bought.on(Request::get(ITEM))).await.status, 200);
    assert!(!verify(&gate, &bought).await.is_valid);
    let settled = settle(&gate, &bought).await;
    assert_eq!(
        settled.error_reason.as_deref(),
        Some("duplicate_settlement")
    );
    assert_eq!(gate.paid_units(), 2 * PRICE);
    gate.finish().await;
}

#[tokio::test]
async fn a_payer_without_the_money_and_a_wrong_price_are_invalid_and_cost_no_gas() {
    let gate = setup().await.start().await;
    let terms = gate.send(&Request::get(ITEM)).await.required(Version::V2);
    let poor = gate.net.buyer_with(1).sign(&terms);
    let verified = verify(&gate, &poor).await;
    assert_eq!(
        verified.invalid_reason.as_deref(),
        Some("invalid_exact_evm_insufficient_balance")
    );
    let settled = settle(&gate, &poor).await;
    assert_eq!(
        settled.error_reason.as_deref(),
        Some("invalid_exact_evm_insufficient_balance")
    );
    assert_eq!(gate.node.count("eth_sendRawTransaction"), 0);
    assert!(gate.finish().await.transactions.is_empty());
}

/// Somebody who plays no part.
const STRANGER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// What is wrong with a question, and what is told about it.
type Wrong = (&'static str, fn(&mut Value), &'static str);

/// Questions about a payment of version 2.
const WRONG: &[Wrong] = &[
    // The terms that the server demands.
    (
        "another token name",
        |asked| asked["paymentRequirements"]["extra"]["name"] = json!("USD Coin"),
        "invalid_exact_evm_token_name_mismatch",
    ),
    (
        "another token version",
        |asked| asked["paymentRequirements"]["extra"]["version"] = json!("1"),
        "invalid_exact_evm_token_version_mismatch",
    ),
    (
        "no token name",
        |asked| asked["paymentRequirements"]["extra"] = json!({"version": "2"}),
        "invalid_exact_evm_missing_eip712_domain",
    ),
    (
        "a token that is not settled here",
        |asked| asked["paymentRequirements"]["asset"] = json!(STRANGER),
        "invalid_payment_requirements",
    ),
    (
        "a network that is not settled on here",
        |asked| asked["paymentRequirements"]["network"] = json!("eip155:8453"),
        "invalid_payment_requirements",
    ),
    (
        "a network of another kind",
        |asked| asked["paymentRequirements"]["network"] = json!("solana:mainnet"),
        "invalid_network",
    ),
    (
        "another scheme",
        |asked| asked["paymentRequirements"]["scheme"] = json!("upto"),
        "invalid_exact_evm_scheme",
    ),
    (
        "another way to transfer",
        |asked| asked["paymentRequirements"]["extra"]["assetTransferMethod"] = json!("permit2"),
        "unsupported_payload_type",
    ),
    (
        "no time",
        |asked| asked["paymentRequirements"]["maxTimeoutSeconds"] = json!(0),
        "invalid_payment_requirements",
    ),
    (
        "a price that is none",
        |asked| asked["paymentRequirements"]["amount"] = json!("-1"),
        "invalid_payment_requirements",
    ),
    // Others than the buyer says that it accepted, and others than it signed.
    (
        "another price",
        |asked| asked["paymentRequirements"]["amount"] = json!("10001"),
        "invalid_payment_requirements",
    ),
    (
        "another price, accepted",
        |asked| on_both_sides(asked, "amount", "10001"),
        "invalid_exact_evm_payload_authorization_value_mismatch",
    ),
    (
        "another payee",
        |asked| asked["paymentRequirements"]["payTo"] = json!(STRANGER),
        "invalid_payment_requirements",
    ),
    (
        "another payee, accepted",
        |asked| on_both_sides(asked, "payTo", STRANGER),
        "invalid_exact_evm_recipient_mismatch",
    ),
    (
        "another network accepted",
        |asked| asked["paymentPayload"]["accepted"]["network"] = json!("eip155:8453"),
        "invalid_exact_evm_network_mismatch",
    ),
    (
        "another scheme accepted",
        |asked| asked["paymentPayload"]["accepted"]["scheme"] = json!("upto"),
        "invalid_exact_evm_scheme",
    ),
    // The authorization and its signature.
    (
        "no authorization",
        |asked| asked["paymentPayload"]["payload"] = json!({"signature": "0x00"}),
        "unsupported_payload_type",
    ),
    (
        "expired",
        |asked| authorized(asked, "validBefore", "1"),
        "invalid_exact_evm_payload_authorization_valid_before",
    ),
    (
        "valid for ever",
        |asked| authorized(asked, "validBefore", "99999999999"),
        "invalid_exact_evm_payload_authorization_valid_before",
    ),
    (
        "not valid yet",
        |asked| authorized(asked, "validAfter", "99999999999"),
        "invalid_exact_evm_payload_authorization_valid_after",
    ),
    (
        "less than was signed",
        |asked| authorized(asked, "value", "9999"),
        "invalid_exact_evm_payload_authorization_value_mismatch",
    ),
    (
        "another nonce than was signed",
        |asked| authorized(asked, "nonce", &format!("0x{:064x}", 7)),
        "invalid_exact_evm_signature",
    ),
    (
        "no signature",
        |asked| asked["paymentPayload"]["payload"]["signature"] = json!("0x"),
        "invalid_exact_evm_signature",
    ),
    (
        "a wrapper around nothing",
        |asked| {
            let wrapper = format!("0x{}", "6492".repeat(16));
            asked["paymentPayload"]["payload"]["signature"] = json!(wrapper);
        },
        "invalid_exact_evm_failed_to_parse_signature",
    ),
];

/// Questions about a payment of version 1.
const WRONG_V1: &[Wrong] = &[
    (
        "another token name",
        |asked| asked["paymentRequirements"]["extra"]["name"] = json!("USD Coin"),
        "invalid_exact_evm_token_name_mismatch",
    ),
    (
        "another token version",
        |asked| asked["paymentRequirements"]["extra"]["version"] = json!("1"),
        "invalid_exact_evm_token_version_mismatch",
    ),
    (
        "a network without a name",
        |asked| asked["paymentRequirements"]["network"] = json!("eip155:84532"),
        "invalid_network",
    ),
    (
        "a dearer one",
        |asked| asked["paymentRequirements"]["maxAmountRequired"] = json!("10001"),
        "invalid_exact_evm_authorization_value",
    ),
    (
        "another payee",
        |asked| asked["paymentRequirements"]["payTo"] = json!(STRANGER),
        "invalid_exact_evm_recipient_mismatch",
    ),
    (
        "another network paid on",
        |asked| asked["paymentPayload"]["network"] = json!("base"),
        "invalid_exact_evm_network_mismatch",
    ),
];

fn on_both_sides(asked: &mut Value, key: &str, value: &str) {
    asked["paymentRequirements"][key] = json!(value);
    asked["paymentPayload"]["accepted"][key] = json!(value);
}

fn authorized(asked: &mut Value, key: &str, value: &str) {
    asked["paymentPayload"]["payload"]["authorization"][key] = json!(value);
}

#[tokio::test]
async fn what_is_wrong_is_told_by_its_own_code_and_costs_nothing() {
    let gate = setup().await.start().await;
    let good = question(&payment(&gate).await);
    let unpaid = gate.send(&Request::get(ITEM)).await;
    let buyer = gate.net.buyer();
    let good_v1 = json!({
        "x402Version": 1,
        "paymentRequirements": unpaid.json()["accepts"][0],
        "paymentPayload": payload(&buyer.sign(&unpaid.required(Version::V1))),
    });
    for (good, wrong) in [(&good, WRONG), (&good_v1, WRONG_V1)] {
        for (what, spoil, reason) in wrong {
            let mut asked = good.clone();
            spoil(&mut asked);
            assert_ne!(asked, *good, "{what}");
            let verified = gate.send(&posted("verify", &asked)).await.json();
            assert_eq!(verified["isValid"], false, "{what}");
            assert_eq!(verified["invalidReason"], *reason, "{what}");
            let settled = gate.send(&posted("settle", &asked)).await.json();
            assert_eq!(settled["success"], false, "{what}");
            assert_eq!(settled["errorReason"], *reason, "{what}");
        }
    }
    assert_eq!(gate.node.count("eth_sendRawTransaction"), 0);
    // Nothing of that has used the payments up.
    for good in [&good, &good_v1] {
        let settled = gate.send(&posted("settle", good)).await.json();
        assert_eq!(settled["success"], true, "{settled}");
    }
    assert_eq!(gate.finish().await.transactions.len(), 2);
}

#[tokio::test]
async fn only_holders_of_a_token_are_answered() {
    let gate = setup().await.start().await;
    let payment = payment(&gate).await;
    for header in [
        None,
        Some("Bearer other"),
        Some("Basic YTpi"),
        Some("Bearer "),
    ] {
        for endpoint in ["verify", "settle"] {
            let mut request = asked(endpoint, &payment);
            request.headers.retain(|(name, _)| name != "authorization");
            if let Some(value) = header {
                request = request.header("authorization", value);
            }
            let answer = gate.send(&request).await;
            assert_eq!(answer.outcome(), (401, "unauthorized".to_owned()));
        }
        let supported = gate.send(&Request::get("/facilitator/supported")).await;
        assert_eq!(supported.status, 401);
    }
    let request =
        Request::get("/facilitator/supported").header("authorization", format!("Bearer {TOKEN}"));
    let supported = gate.send(&request).await.json();
    let networks: Vec<_> = supported["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| &kind["network"])
        .collect();
    assert!(networks.contains(&&json!("eip155:84532")), "{supported}");
    assert_eq!(gate.paid_units(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn a_body_that_is_no_question_is_refused() {
    let gate = setup().await.start().await;
    let payment = payment(&gate).await;
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "{\"x402Version\":3}",
        &"x".repeat(70_000),
    ] {
        for endpoint in ["verify", "settle"] {
            let request = Request {
                body: body.to_owned().into(),
                ..asked(endpoint, &payment)
            };
            let answer = gate.send(&request).await;
            assert_eq!(
                answer.outcome(),
                (400, "bad_request".to_owned()),
                "{endpoint}: {body:.20}"
            );
        }
    }
    gate.finish().await;
}
