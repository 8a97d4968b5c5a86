//! A gate whose payments another gate's facilitator settles.

use std::time::Duration;

use octroi::wire::WireOptions;
use octroi_testkit::{Fault, PATIENCE, Request, Setup, TestGate};
use octroi_x402::Version;
use sha2::{Digest, Sha256};

use crate::{CREDITED, FIRST, ITEM, PRICE, RELEASED, SENDS, SERVED};

const TOKEN: &str = "a-token-of-the-shop";

/// A facilitator, and a shop on the same chain that has it settle; both wait so long.
async fn pair(settle_wait: Duration) -> (TestGate, TestGate) {
    let patience = move |options: &mut WireOptions| options.payments.settle_wait = settle_wait;
    let hash = hex::encode(Sha256::digest(TOKEN));
    let section = format!("[facilitator]\nenabled = true\ntoken_sha256 = [\"{hash}\"]\n");
    let facilitator = Setup::new().await.sections(&section).options(patience);
    let facilitator = facilitator.start().await;
    let settlement = format!(
        "[network.base-sepolia.facilitator]\nurl = \"http://{}/facilitator\"\nbearer_file = \
         \"token\"\n",
        facilitator.client.address
    );
    let shop = Setup::beside(&facilitator)
        .await
        .settled_by(&settlement)
        .file("token", TOKEN)
        .options(patience);
    (facilitator, shop.start().await)
}

#[tokio::test]
async fn another_gate_settles_in_both_orders() {
    let (facilitator, shop) = pair(PATIENCE).await;
    for path in [ITEM, FIRST] {
        let answer = shop.buy(&shop.net.buyer(), &Request::get(path)).await;
        assert_eq!((answer.status, answer.text()), (200, "content"));
        let receipt = answer.receipt(Version::V2).unwrap();
        assert!(receipt.success && receipt.transaction.starts_with("0x"));
    }
    assert_eq!(shop.origin.calls(), 2);
    assert_eq!(shop.finish().await.states(), [SERVED; 2]);
    let books = facilitator.finish().await;
    assert_eq!(books.states(), [SERVED; 2]);
    assert_eq!(books.settled_units(), 2 * PRICE);
}

#[tokio::test]
async fn what_the_facilitator_does_not_know_is_pending_and_found_on_the_chain() {
    let (facilitator, shop) = pair(Duration::from_millis(300)).await;
    // The facilitator's node goes silent when it has sent.
    let silent = facilitator.node.rule(|method, _| match method {
        method if SENDS.contains(&method) => Some(Fault::AnswerLost),
        "eth_getTransactionReceipt" | "eth_getLogs" => Some(Fault::Silent),
        _ => None,
    });
    let (buyer, request) = (shop.net.buyer(), Request::get(ITEM));
    let answer = shop.buy(&buyer, &request).await;
    assert_eq!(answer.outcome(), (503, "settlement_pending".to_owned()));
    // The shop's own node tells.
    shop.books_say("a credit is there", |books| books.credit_units() == PRICE)
        .await;
    let covered = shop.buy(&buyer, &request).await;
    assert_eq!((covered.status, covered.text()), (200, "content"));
    assert_eq!(shop.paid_units(), PRICE);
    let books = shop.finish().await;
    assert_eq!(books.states()[0], CREDITED);
    drop(silent);
    facilitator
        .books_say("it knows too", |books| books.settled_units() == PRICE)
        .await;
    // Nobody collected the success there.
    facilitator.finish_with_open(1).await;
}

#[tokio::test]
async fn a_facilitator_that_is_not_there_keeps_no_payment() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settlement = format!("[network.base-sepolia.facilitator]\nurl = \"http://{address}\"\n");
    let shop = Setup::new().await.settled_by(&settlement).start().await;
    let buyer = shop.net.buyer();
    for path in [ITEM, FIRST] {
        let request = Request::get(path);
        let paid = shop.sign(&buyer, &request).await.on(request);
        for _ in 0..2 {
            let answer = shop.send(&paid).await;
            assert_eq!(
                answer.outcome(),
                (503, "settlement_unavailable".to_owned()),
                "{path}"
            );
        }
    }
    assert_eq!(shop.finish().await.states(), [RELEASED; 4]);
}

#[tokio::test]
async fn a_facilitator_that_refuses_serves_nothing() {
    let (facilitator, shop) = pair(Duration::from_millis(300)).await;
    let down = facilitator.node.down();
    let answer = shop.buy(&shop.net.buyer(), &Request::get(FIRST)).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(shop.origin.calls(), 0);
    assert_eq!(shop.paid_units(), 0);
    drop(down);
    shop.net.pass(600);
    shop.books_say("all is known", |books| books.open().count() == 0)
        .await;
    assert_eq!(shop.finish().await.settled_units(), 0);
    facilitator.finish().await;
}
