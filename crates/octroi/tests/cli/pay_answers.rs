//! `octroi pay` when the server, the network or the chain does not play along.

use std::collections::HashSet;
use std::io::Read as _;
use std::sync::Mutex;

use bytes::Bytes;
use http::Response;
use http::header::HeaderValue;
use octroi_x402::Version;

use crate::run::{Folder, KEY};
use crate::seller::{Seller, Selling, answer, ok, parts};

const PENDING: &str = r#"{"error":{"code":"settlement_pending","message":"wait"}}"#;

#[tokio::test]
async fn while_a_settlement_is_pending_the_same_payment_is_repeated() {
    for version in [Version::V1, Version::V2] {
        let selling = Selling {
            version,
            ..Selling::default()
        };
        let seller = Seller::start(selling, |_, before| {
            Some(if before < 3 {
                answer(503, &[("retry-after", "0")], PENDING)
            } else {
                ok("content")
            })
        })
        .await;
        let ran = Folder::new().pay(&[&seller.url()]).await;
        ran.expect(0, "content");
        let payments = seller.payments();
        assert_eq!(payments.len(), 4);
        let different: HashSet<_> = payments.into_iter().collect();
        assert_eq!(different.len(), 1, "a second payment was signed");
        assert_eq!(seller.got().len(), 5, "the terms were asked for again");
    }
}

#[tokio::test]
async fn a_settlement_that_stays_pending_is_not_given_up_as_failed() {
    let pending = |_: &_, _| Some(answer(503, &[("retry-after", "0")], PENDING));
    let seller = Seller::start(Selling::default(), pending).await;
    let args = ["--json", "--retries", "2", &seller.url()];
    let ran = Folder::new().pay(&args).await;
    assert_eq!(ran.exit, 5, "{}", ran.err);
    assert!(
        ran.err.contains("a new payment before that may pay twice"),
        "{}",
        ran.err
    );
    let story = ran.json();
    assert_eq!(story["outcome"], "unknown");
    assert_eq!(story["error"]["code"], "settlement_pending");
    assert_eq!(story["receipt"]["errorReason"], "settlement_pending");
    let payments = seller.payments();
    assert_eq!(payments.len(), 3);
    assert!(payments.iter().all(|payment| *payment == payments[0]));
}

#[tokio::test]
async fn who_waits_is_told_what_the_server_says() {
    let pending = |_: &_, _| Some(answer(503, &[("retry-after", "0")], PENDING));
    let seller = Seller::start(Selling::default(), pending).await;
    let ran = Folder::new().pay(&["--retries", "1", &seller.url()]).await;
    let said = "not yet: settlement_pending: The settlement was sent";
    assert!(ran.err.contains(said), "{}", ran.err);
    let again = "do not sign a new one; sending the same payment again in 0 s (0 tries left)";
    assert!(ran.err.contains(again), "{}", ran.err);
}

#[tokio::test]
async fn a_refused_payment_is_not_signed_again() {
    let refuse = |_: &_, _| {
        let body = r#"{"x402Version":1,"error":"insufficient_funds","accepts":[]}"#;
        Some(answer(402, &[], body))
    };
    let seller = Seller::start(Selling::default(), refuse).await;
    let ran = Folder::new().pay(&[&seller.url()]).await;
    ran.expect(4, "");
    assert!(
        ran.err
            .contains("insufficient_funds: The payer does not hold"),
        "{}",
        ran.err
    );
    assert_eq!(seller.payments().len(), 1);

    let used = |_: &_, _| {
        let body = r#"{"error":{"code":"payment_already_used","message":"m"}}"#;
        Some(answer(409, &[], body))
    };
    let seller = Seller::start(Selling::default(), used).await;
    let story = Folder::new().pay(&["--json", &seller.url()]).await.json();
    assert_eq!(story["error"]["code"], "payment_refused");
    assert_eq!(story["outcome"], "unknown");
}

#[tokio::test]
async fn an_error_of_the_origin_shows_the_refund_credit() {
    let respond = |_: &_, _| {
        let credit = [("x-refund-credit", "cr_0192f0c1d2e37a4b8c5d6e7f8091a2b3")];
        Some(answer(502, &credit, "bad gateway"))
    };
    let seller = Seller::start(Selling::default(), respond).await;
    let ran = Folder::new().pay(&[&seller.url()]).await;
    ran.expect(22, "bad gateway");
    assert!(
        ran.err.contains("cr_0192f0c1d2e37a4b8c5d6e7f8091a2b3"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("502"), "{}", ran.err);
}

#[tokio::test]
async fn what_costs_nothing_is_shown_and_needs_no_key() {
    let respond = |got: &crate::seller::Got, _| {
        Some(match got.target.as_str() {
            "/free" => ok("free"),
            "/free/away" => answer(302, &[("location", "http://127.0.0.1:1/away")], ""),
            _ => answer(404, &[], "not here"),
        })
    };
    let seller = Seller::start(Selling::default(), respond).await;
    let folder = Folder::new();
    let url = |path| format!("http://{}{path}", seller.address);
    let ran = folder.run(&["pay", &url("/free")]).await;
    ran.expect(0, "free");
    assert_eq!(ran.err, "");
    let ran = folder.run(&["pay", &url("/free/away")]).await;
    ran.expect(0, "");
    assert!(ran.err.contains("http://127.0.0.1:1/away"), "{}", ran.err);
    folder
        .run(&["pay", &url("/free/lost")])
        .await
        .expect(22, "not here");
    let story = folder.run(&["pay", "--json", &url("/free")]).await.json();
    assert_eq!(
        (&story["outcome"], &story["body"]),
        (&"free".into(), &"free".into())
    );
}

#[tokio::test]
async fn a_402_in_another_language_is_shown() {
    let respond = |_: &_, _| Some(answer(402, &[("www-authenticate", "L402 x")], "pay me"));
    let seller = Seller::start(Selling::default(), respond).await;
    let url = format!("http://{}/free", seller.address);
    Folder::new().pay(&[&url]).await.expect(22, "pay me");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_network_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ran = Folder::new()
        .pay(&["--json", &format!("http://{address}/x")])
        .await;
    assert_eq!(ran.exit, 6, "{}", ran.err);
    let story = ran.json();
    assert_eq!(story["outcome"], "not_paid");
    assert_eq!(story["error"]["code"], "network_error");
}

#[tokio::test]
async fn a_connection_cut_after_the_payment_leaves_its_fate_open() {
    let seller = Seller::start(Selling::default(), |_, _| None).await;
    let ran = Folder::new().pay(&["--json", &seller.url()]).await;
    assert_eq!(ran.exit, 6, "{}", ran.err);
    assert!(
        ran.err.contains("a new payment before that may pay twice"),
        "{}",
        ran.err
    );
    let story = ran.json();
    assert_eq!(story["outcome"], "unknown");
    assert_eq!(story["payment"]["sent"], true);
    let different: HashSet<_> = seller.payments().into_iter().collect();
    assert_eq!(different.len(), 1, "a second payment was signed");
}

#[tokio::test]
async fn content_that_breaks_off_is_told_with_the_receipt() {
    let (send, body) = parts();
    let body = Mutex::new(Some(body));
    let respond = move |_: &_, _| {
        let mut response = Response::new(body.lock().unwrap().take()?);
        let headers = response.headers_mut();
        headers.insert("content-length", HeaderValue::from_static("8"));
        Some(response)
    };
    let seller = Seller::start(Selling::default(), respond).await;
    let folder = Folder::new();
    let mut command = folder.command(&["pay", &seller.url()]);
    command.env("OCTROI_BUYER_KEY", KEY);
    let read = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        send.send(Bytes::from_static(b"half")).unwrap();
        let mut half = [0; 4];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut half)
            .unwrap();
        // Half of what was announced was seen; now the server goes away.
        drop(send);
        (half, child.wait_with_output().unwrap())
    });
    let (half, output) = read.await.unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((&half, output.status.code()), (b"half", Some(6)), "{err}");
    assert!(err.contains("paid $0.01"), "{err}");
    assert!(err.contains("the answer broke off"), "{err}");
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let seller = Seller::start(Selling::default(), |_, before| {
        (before > 0).then(|| ok("ok"))
    })
    .await;
    Folder::new().pay(&[&seller.url()]).await.expect(0, "ok");
    let payments = seller.payments();
    assert_eq!(payments.len(), 2);
    assert_eq!(payments[0], payments[1]);
}
