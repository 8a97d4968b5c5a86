//! Large request bodies: what binds a payment to them, and how they travel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{Connection, Hold, Reply, Request, Setup, TestGate, VERSIONS};
use octroi_x402::Version;
use sha2::{Digest, Sha256};

use crate::{FIRST, ITEM, PRICE, RELEASED, SERVED};

/// A paywall that sells to a request's head, and its twin that does not.
const SERVICE: &str = r#"
[[service]]
name = "up"
origin = "http://ORIGIN"
[[service.paywall]]
slug = "head"
price = "0.01"
bind = "head"
[[service.paywall]]
slug = "full"
price = "0.01"
"#;

const HEAD: &str = "/api/x402/pay/up/head";
const FULL: &str = "/api/x402/pay/up/full";
/// More than the gate reads before it claims a payment.
const LARGE: usize = 200_000;
/// Far more than any buffer on the way holds.
const HUGE: usize = 8 << 20;

async fn gate() -> TestGate {
    Setup::new().await.sections(SERVICE).start().await
}

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

fn large(path: &str, letter: u8) -> Request {
    Request::post(path, vec![letter; LARGE])
}

#[tokio::test]
async fn a_large_upload_without_a_digest_is_sold_where_bodies_do_not_bind() {
    let gate = gate().await;
    for version in VERSIONS {
        let payment = gate
            .sign_in(version, &gate.net.buyer(), &Request::post(HEAD, ""))
            .await;
        let answer = gate.send(&payment.on(large(HEAD, b'a'))).await;
        assert_eq!((answer.status, answer.text()), (200, "content"));
        assert!(answer.receipt(version).unwrap().success);
        assert_eq!(gate.origin.last().body, vec![b'a'; LARGE]);
    }
    // Where they do, it is not.
    let payment = gate.sign(&gate.net.buyer(), &Request::post(FULL, "")).await;
    let answer = gate.send(&payment.on(large(FULL, b'a'))).await;
    assert_eq!(answer.outcome(), (400, "digest_required".to_owned()));
    assert_eq!(gate.origin.calls(), 2);
    assert_eq!(gate.finish().await.states(), [SERVED; 2]);
}

#[tokio::test]
async fn a_payment_for_a_head_is_one_payment_whatever_the_body() {
    let gate = gate().await;
    let payment = gate.sign(&gate.net.buyer(), &Request::post(HEAD, "")).await;
    let hold = Hold::new();
    gate.origin.answer(Reply::ok("content").held(&hold));
    let mut first = gate.client.connect().await;
    first.send(&payment.on(large(HEAD, b'a'))).await;
    hold.reached().await;
    // While the first is under way, and after it.
    let others = [
        large(HEAD, b'b'),
        Request::post(HEAD, "small"),
        Request::post(HEAD, ""),
    ];
    for other in &others {
        assert_eq!(gate.send(&payment.on(other.clone())).await.status, 409);
    }
    hold.release();
    assert_eq!(first.answer().await.status, 200);
    for other in &others {
        let again = gate.send(&payment.on(other.clone())).await;
        assert_eq!(again.outcome(), (409, "payment_already_used".to_owned()));
    }
    // The rest of the head binds it as ever.
    for (method, target) in [("GET", HEAD.to_owned()), ("POST", format!("{HEAD}?a=b"))] {
        let elsewhere = gate.send(&payment.on(Request::new(method, &target))).await;
        assert_eq!(
            elsewhere.outcome(),
            (409, "payment_bound_elsewhere".to_owned())
        );
    }
    assert_eq!(gate.origin.calls(), 1);
    assert_eq!(
        (gate.paid_units(), gate.finish().await.states()),
        (PRICE, vec![SERVED])
    );
}

/// Opens a paid upload and sends its first half. Most of it must reach the origin by itself: only a
/// buffer's worth waits for what follows, lest a wrong body is complete.
async fn half_way(
    gate: &TestGate,
    path: &str,
    body: &[u8],
    digest: &str,
    chunked: bool,
) -> Connection {
    let payment = gate.sign(&gate.net.buyer(), &Request::post(path, "")).await;
    let (name, value) = match chunked {
        true => ("transfer-encoding", "chunked".to_owned()),
        false => ("content-length", body.len().to_string()),
    };
    let request = Request::new("POST", path)
        .header(name, value)
        .header("content-digest", digest);
    let before = gate.origin.body_bytes();
    let mut connection = gate.client.connect().await;
    connection.send_head(&payment.on(request)).await;
    let half = &body[..body.len() / 2];
    match chunked {
        true => connection.write_chunk(half).await,
        false => connection.write(half).await,
    }
    gate.origin.received(before + half.len() / 2).await;
    connection
}

#[tokio::test]
async fn a_large_upload_reaches_the_origin_part_by_part() {
    let gate = gate().await;
    let body: Vec<u8> = (0..HUGE)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect();
    let (_, rest) = body.split_at(HUGE / 2);
    for path in [ITEM, FIRST] {
        for chunked in [false, true] {
            let mut connection = half_way(&gate, path, &body, &digest(&body), chunked).await;
            if chunked {
                connection.write_chunk(rest).await;
                connection.write(b"0\r\n\r\n").await;
            } else {
                connection.write(rest).await;
            }
            let answer = connection.answer().await;
            assert_eq!((answer.status, answer.text()), (200, "content"));
            assert!(answer.receipt(Version::V2).unwrap().success);
            assert_eq!(gate.origin.last().body, body);
        }
    }
    assert_eq!(gate.finish().await.states(), [SERVED; 4]);
}

#[tokio::test]
async fn a_large_upload_whose_end_is_not_what_was_announced_is_not_sold() {
    let gate = gate().await;
    let body = vec![b'a'; HUGE];
    for chunked in [false, true] {
        let mut connection = half_way(&gate, ITEM, &body, &digest(&body), chunked).await;
        let other = vec![b'b'; HUGE / 2];
        if chunked {
            connection.write_chunk(&other).await;
            connection.write(b"0\r\n\r\n").await;
        } else {
            connection.write(&other).await;
        }
        let answer = connection.answer().await;
        assert_eq!(answer.outcome(), (400, "digest_mismatch".to_owned()));
    }
    assert!(gate.origin.seen().iter().all(|seen| !seen.complete));
    assert_eq!(gate.paid_units(), 0);
    assert_eq!(gate.finish().await.states(), [RELEASED; 2]);
}
