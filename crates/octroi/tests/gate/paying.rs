//! A payment buys its answer, in every way in which clients write it.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose};
use octroi_testkit::{Answer, Payment, Request, Setup, TestGate, VERSIONS};
use octroi_x402::Version;

use crate::{FIRST, ITEM, PRICE, SERVED};

#[track_caller]
fn sold(answer: &Answer, version: Version, content: &str) {
    assert_eq!((answer.status, answer.text()), (200, content));
    let receipt = answer.receipt(version).expect("a receipt");
    assert!(receipt.success, "{receipt:?}");
    assert!(receipt.transaction.starts_with("0x"), "{receipt:?}");
}

#[tokio::test]
async fn a_paid_request_gets_its_answer_and_a_receipt_in_both_orders_and_versions() {
    let gate = TestGate::start().await;
    for path in [ITEM, FIRST] {
        for version in VERSIONS {
            let buyer = gate.net.buyer();
            let request = Request::get(path);
            let payment = gate.sign_in(version, &buyer, &request).await;
            let answer = gate.send(&payment.on(request)).await;
            sold(&answer, version, "content");
            let hash = answer.receipt(version).unwrap().transaction;
            let paid = gate
                .net
                .rpc("eth_getTransactionReceipt", &serde_json::json!([hash]));
            assert_eq!(paid["status"], "0x1");
            assert!(gate.net.is_used(buyer.address, payment.authorization.nonce));
        }
    }
    assert_eq!(gate.origin.calls(), 4);
    let books = gate.finish().await;
    assert_eq!(books.states(), [SERVED; 4]);
    assert_eq!(books.revenue_units(), 4 * PRICE);
}

/// A payment, written again in another alphabet and padding.
fn rewritten(payment: &Payment, alphabet: &Alphabet, padded: bool) -> Payment {
    let json = general_purpose::STANDARD
        .decode(&payment.header_value)
        .unwrap();
    let config = GeneralPurposeConfig::new().with_encode_padding(padded);
    let header_value = GeneralPurpose::new(alphabet, config).encode(json);
    Payment {
        header_value,
        ..payment.clone()
    }
}

#[tokio::test]
async fn payments_are_read_in_both_base64_alphabets_with_and_without_padding() {
    let gate = TestGate::start().await;
    for version in VERSIONS {
        for alphabet in [&STANDARD, &URL_SAFE] {
            for padded in [true, false] {
                let buyer = gate.net.buyer();
                let request = Request::get(&format!("{ITEM}?q=~~~~????"));
                let payment = gate.sign_in(version, &buyer, &request).await;
                let payment = rewritten(&payment, alphabet, padded);
                let answer = gate.send(&payment.on(request)).await;
                sold(&answer, version, "content");
            }
        }
    }
    gate.finish().await;
}

#[tokio::test]
async fn books_in_memory_sell_as_well() {
    let mut gate = Setup::new().await.in_memory().start().await;
    let buyer = gate.net.buyer();
    sold(
        &gate.buy(&buyer, &Request::get(ITEM)).await,
        Version::V2,
        "content",
    );
    gate.restart().await;
    sold(
        &gate.buy(&buyer, &Request::get(FIRST)).await,
        Version::V2,
        "content",
    );
    assert_eq!(gate.finish().await.settled_units(), 2 * PRICE);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_run_ended() {
    let mut gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    sold(
        &gate.send(&payment.on(request.clone())).await,
        Version::V2,
        "content",
    );
    gate.restart().await;
    let again = gate.send(&payment.on(request.clone())).await;
    assert_eq!(again.outcome(), (409, "payment_already_used".to_owned()));
    sold(&gate.buy(&buyer, &request).await, Version::V2, "content");
    assert_eq!(gate.finish().await.settled_units(), 2 * PRICE);
}

#[tokio::test]
async fn the_offer_names_the_public_address_and_never_the_host_header() {
    let gate = TestGate::start().await;
    let answer = gate
        .send(&Request::get(&format!("{ITEM}?a=1")).host("127.0.0.1:1"))
        .await;
    let url = format!("http://127.0.0.1:8402{ITEM}?a=1");
    let octroi_x402::client::Required::V2(v2) = answer.required(Version::V2) else {
        panic!()
    };
    assert_eq!(v2.resource.url, url);
    assert_eq!(answer.json()["accepts"][0]["resource"], url);
    gate.finish().await;
}
