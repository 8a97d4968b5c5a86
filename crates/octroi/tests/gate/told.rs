//! What an answer says about money is what the books say, in both orders of settlement.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_claim::{PaymentState, WorkState};
use octroi_store::Transaction;
use octroi_testkit::{Answer, Buyer, Fault, Hold, Origin, Reply, Request, Setup, TestGate};
use sha2::{Digest as _, Sha256};

use crate::SENDS;

/// Every service has a paywall that settles when the origin has answered, and one that settles before.
const ORDERS: [&str; 2] = ["item", "first"];

/// An origin that is not there, one that is slow, and one whose answers wait for a safe block.
fn sections(nowhere: impl std::fmt::Display) -> String {
    let service = |name: &str, origin: &str, keys: &str| {
        format!(
            r#"
[[service]]
name = "{name}"
origin = "http://{origin}"
timeout_ms = 300
[[service.paywall]]
slug = "item"
price = "0.01"
{keys}
[[service.paywall]]
slug = "first"
price = "0.01"
settle = "before_origin"
{keys}
"#
        )
    };
    let limits = "[server.limits]\nbody_read_timeout_ms = 300\nbody_bytes_max = 300000\n";
    limits.to_owned()
        + &service("down", &nowhere.to_string(), "")
        + &service("slow", "ORIGIN", "")
        + &service("safe", "ORIGIN", "settle_level = \"safe\"")
}

async fn setup() -> Setup {
    let sections = sections(Origin::nowhere().await);
    Setup::new().await.sections(&sections)
}

/// What an answer says became of the money.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Credit(String),
    Open,
}

#[track_caller]
fn said(answer: &Answer) -> Said {
    let json = answer.json();
    let message = json["error"]["message"].as_str().expect("a message");
    let words = ["Nothing was charged", "X-Refund-Credit", "not known"];
    let found = words.map(|words| message.contains(words));
    match (found, answer.credit()) {
        ([true, false, false], None) => Said::Nothing,
        ([false, true, false], Some(credit)) => Said::Credit(credit),
        ([false, false, true], None) => Said::Open,
        (_, credit) => panic!("{message} ({credit:?})"),
    }
}

/// What the books say of a payment; nothing if it was never claimed.
fn written(row: Option<&Transaction>) -> Said {
    let Some(row) = row else { return Said::Nothing };
    match (row.payment, row.work, row.refund_credit) {
        (PaymentState::Released | PaymentState::Failed, _, None) => Said::Nothing,
        (PaymentState::Settled, WorkState::Broken, Some(credit)) => {
            Said::Credit(credit.to_string())
        }
        (PaymentState::Broadcast | PaymentState::Unknown, _, None) => Said::Open,
        // Settled, and not as surely as the route asks for.
        (PaymentState::Settled, WorkState::NotStarted | WorkState::Answered, None) => Said::Open,
        other => panic!("{other:?}"),
    }
}

/// The answer to a payment for a request, against what the books say then.
async fn is_true(gate: &TestGate, buyer: &Buyer, request: Request, status: u16) -> Said {
    let before = gate.books().await.transactions.len();
    let payment = gate.sign(buyer, &Request::get(&request.target)).await;
    let mut connection = gate.client.connect().await;
    connection.send(&payment.on(request.clone())).await;
    let answer = connection.answer().await;
    assert_eq!(answer.status, status, "{request:?}: {:?}", answer.body);
    let said = said(&answer);
    let books = gate.books().await;
    let rows = &books.transactions[before..];
    assert!(rows.len() <= 1, "{rows:#?}");
    assert_eq!(said, written(rows.first()), "{request:?}");
    said
}

fn path(service: &str, order: &str) -> String {
    format!("/api/x402/pay/{service}/{order}")
}

fn large(path: &str) -> Request {
    Request::post(path, vec![b'x'; 100 * 1_024])
}

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Every failure of the origin and of the request itself.
#[tokio::test]
async fn what_goes_wrong_while_the_origin_is_called() {
    let gate = setup().await.start().await;
    let hold = Hold::new();
    for order in ORDERS {
        let shop = path("shop", order);
        let chunks = [b"30D40\r\n".as_slice(), &vec![b'x'; 200_000], b"\r\n"].concat();
        let too_large = Request {
            body: [chunks.clone(), chunks, b"0\r\n\r\n".to_vec()]
                .concat()
                .into(),
            ..Request::new("POST", &shop)
                .header("transfer-encoding", "chunked")
                .header("content-digest", digest(b"other"))
        };
        let stalled = Request {
            body: vec![b'x'; 100_000].into(),
            ..Request::new("POST", &shop)
                .header("content-length", "200000")
                .header("content-digest", digest(b"other"))
        };
        let cases = [
            (Request::get(&path("down", order)), Reply::ok(""), 502),
            (Request::get(&shop), Reply::cut(), 502),
            (
                Request::get(&path("slow", order)),
                Reply::ok("").held(&hold),
                504,
            ),
            (
                large(&shop).header("content-digest", digest(b"other")),
                Reply::ok(""),
                400,
            ),
            (too_large, Reply::ok(""), 413),
            (stalled, Reply::ok(""), 408),
        ];
        for (request, reply, status) in cases {
            gate.origin.answer(reply);
            let said = is_true(&gate, &gate.net.buyer(), request, status).await;
            assert_eq!(said == Said::Nothing, order == "item", "{status}: {said:?}");
        }
    }
    hold.release();
    gate.finish().await;
}

/// A request that is refused before anything is claimed for it.
#[tokio::test]
async fn what_goes_wrong_before_a_claim() {
    let gate = setup().await.start().await;
    for order in ORDERS {
        let shop = path("shop", order);
        let small = Request::post(&shop, "x");
        for (request, status) in [
            (large(&shop), 400),
            (small.clone().header("content-digest", "sha-256=abc"), 400),
            (small.header("content-digest", digest(b"other")), 400),
            (Request::post(&shop, vec![b'x'; 300_001]), 413),
            (
                Request::new("POST", &shop).header("content-length", "9"),
                408,
            ),
        ] {
            let said = is_true(&gate, &gate.net.buyer(), request, status).await;
            assert_eq!(said, Said::Nothing);
        }
    }
    assert!(gate.finish().await.transactions.is_empty());
}

#[tokio::test]
async fn what_goes_wrong_with_the_settlement() {
    for order in ORDERS {
        let impatient = setup().await.options(|options| {
            options.payments.settle_wait = Duration::from_secs(1);
        });
        let gate = impatient.start().await;
        let request = || Request::get(&path("shop", order));
        let refuses = gate.node.rule(|method, params| {
            let simulates = method == "eth_call" && !params.to_string().contains("0x70a08231");
            (SENDS.contains(&method) || simulates).then_some(Fault::Unreachable)
        });
        let said = is_true(&gate, &gate.net.buyer(), request(), 503).await;
        assert_eq!(said, Said::Nothing);
        drop(refuses);

        // On the chain, and not known to be as final as the route asks for.
        let undecided = gate.node.rule(|_, params| {
            let level = params.get(0).and_then(serde_json::Value::as_str);
            (level == Some("safe")).then_some(Fault::Unreachable)
        });
        let safe = Request::get(&path("safe", order));
        let said = is_true(&gate, &gate.net.buyer(), safe, 503).await;
        assert_eq!(said, Said::Open);
        drop(undecided);
        gate.books_say("it is sure, and a credit", |books| {
            books.credit_units() == crate::PRICE
        })
        .await;

        let silent = gate
            .node
            .always(&["eth_getTransactionReceipt", "eth_getLogs"], || {
                Fault::Silent
            });
        let said = is_true(&gate, &gate.net.buyer(), request(), 503).await;
        assert_eq!(said, Said::Open);
        drop(silent);
        gate.books_say("every fate is known", |books| books.open().count() == 0)
            .await;
        gate.finish().await;
    }
}

/// A payer who has to settle first, whatever the route says.
#[tokio::test]
async fn what_goes_wrong_for_a_payer_who_settles_first() {
    let gate = setup().await.start().await;
    let (buyer, hold) = (gate.net.buyer_with(crate::PRICE), Hold::new());
    let shop = path("shop", "item");
    gate.origin.answer(Reply::ok("content").held(&hold));
    let first = gate.sign(&buyer, &Request::get(&shop)).await;
    let second = gate.sign(&buyer, &Request::get(&shop)).await;
    let mut connection = gate.client.connect().await;
    connection.send(&first.on(Request::get(&shop))).await;
    hold.reached().await;
    // The purse covers one of the two: the second is settled before the origin is called.
    gate.origin.answer(Reply::cut());
    let answer = gate.send(&second.on(Request::get(&shop))).await;
    assert_eq!(answer.outcome().0, 502);
    assert!(matches!(said(&answer), Said::Credit(_)));
    hold.release();
    // And the first finds the purse empty.
    assert_eq!(connection.answer().await.status, 402);
    assert_eq!(gate.books().await.credit_units(), crate::PRICE);
    gate.finish().await;
}
