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
    let payload: Value =
        serde_json::from_slice(&STANDARD.decode(&payment.header_value).unwrap()).unwrap();
    let body = json!({
        "x402Version": 2,
        "paymentRequirements": payload["accepted"],
        "paymentPayload": payload,
    });
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
