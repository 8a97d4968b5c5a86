//! `octroi pay` when all goes well: what is sent, what is printed where.

use std::io::{BufRead as _, BufReader, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Response};
use octroi_x402::Version;
use sha2::{Digest as _, Sha256};

use crate::run::{Folder, KEY, run};
use crate::seller::{Seller, Selling, TX_HASH, ok, parts, whole};

#[tokio::test]
async fn content_goes_to_stdout_and_the_receipt_to_stderr() {
    for version in [Version::V1, Version::V2] {
        let selling = Selling {
            version,
            ..Selling::default()
        };
        let seller = Seller::of(selling, "the content").await;
        let folder = Folder::new();
        let ran = folder.pay(&[&seller.url()]).await;
        ran.expect(0, "the content");
        for shown in [
            "402 Payment Required",
            "$0.01 = 10000 units of USDC 0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "base-sepolia, play money",
            "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE",
            "paid $0.01",
            &TX_HASH.to_string(),
            "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23",
        ] {
            assert!(ran.err.contains(shown), "{version:?} {shown}: {}", ran.err);
        }
        assert!(
            !ran.err.contains('\u{1b}'),
            "the server steers the terminal"
        );
        assert_eq!(seller.got().len(), 2);
        assert_eq!(seller.payments().len(), 1);
    }
}

#[tokio::test]
async fn json_is_one_object_with_the_whole_story() {
    let seller = Seller::of(Selling::default(), "{\"a\":1}").await;
    let ran = Folder::new().pay(&["--json", &seller.url()]).await;
    assert_eq!((ran.exit, ran.err.as_str()), (0, ""));
    let story = ran.json();
    assert_eq!(story["outcome"], "paid");
    assert_eq!(story["status"], 200);
    assert_eq!(story["terms"]["x402Version"], 2);
    assert_eq!(story["terms"]["network"], "eip155:84532");
    assert_eq!(story["terms"]["networkName"], "base-sepolia");
    assert_eq!(story["terms"]["mode"], "test");
    assert_eq!(story["terms"]["amount"], "10000");
    assert_eq!(story["terms"]["amountDecimal"], "0.01");
    assert_eq!(story["terms"]["resource"], seller.url());
    let payer = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    assert_eq!(story["payment"]["payer"], payer);
    assert_eq!(story["payment"]["sent"], true);
    assert_eq!(story["payment"]["amount"], "10000");
    assert_eq!(story["payment"]["network"], "eip155:84532");
    assert_eq!(story["receipt"]["success"], true);
    assert_eq!(story["receipt"]["transaction"], TX_HASH.to_string());
    assert_eq!(story["body"], "{\"a\":1}");
    assert_eq!(story["bodyEncoding"], "utf-8");
    assert_eq!(story["error"], serde_json::Value::Null);
    let payment = seller.payments().remove(0);
    assert!(
        !ran.text().contains(&payment),
        "the payment itself is shown"
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_come_as_base64() {
    let bytes: &[u8] = &[0xff, 0, 0xfe];
    let respond = move |_: &_, _| Some(Response::new(whole(Bytes::from_static(bytes))));
    let seller = Seller::start(Selling::default(), respond).await;
    let story = Folder::new().pay(&["--json", &seller.url()]).await.json();
    assert_eq!(story["body"], STANDARD.encode(bytes));
    assert_eq!(story["bodyEncoding"], "base64");
    // And unchanged to standard output.
    let ran = Folder::new().pay(&[&seller.url()]).await;
    assert_eq!((ran.exit, ran.out.as_slice()), (0, bytes));
}

#[tokio::test]
async fn method_headers_and_body_are_those_of_the_user_both_times() {
    let seller = Seller::of(Selling::default(), "thanks").await;
    let folder = Folder::new();
    let body = b"line one\r\nline two \xff";
    folder.write("body.bin", body);
    let ran = folder
        .pay(&[
            "-X",
            "PUT",
            "-d",
            "@body.bin",
            "-H",
            "Content-Type: application/octet-stream",
            "-H",
            "X-Api-Key: hunter2",
            "-v",
            &seller.url(),
        ])
        .await;
    ran.expect(0, "thanks");
    let got = seller.got();
    assert_eq!(got.len(), 2);
    let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
    for request in got {
        assert_eq!(request.method, Method::PUT);
        assert_eq!(request.target, "/thing?q=1");
        assert_eq!(&request.body[..], body);
        assert_eq!(request.headers["content-type"], "application/octet-stream");
        assert_eq!(request.headers["x-api-key"], "hunter2");
        assert_eq!(request.headers["content-digest"], digest);
    }
    assert!(ran.err.contains("> PUT /thing?q=1") && ran.err.contains("< HTTP/1.1 402"));
    for secret in ["hunter2", &seller.payments()[0], KEY] {
        assert!(!ran.err.contains(secret), "{secret} is shown: {}", ran.err);
    }
}

#[tokio::test]
async fn data_makes_a_post_like_curl_does() {
    let seller = Seller::of(Selling::default(), "ok").await;
    Folder::new()
        .pay(&["-d", "a=b", &seller.url()])
        .await
        .expect(0, "ok");
    for request in seller.got() {
        assert_eq!(request.method, Method::POST);
        assert_eq!(&request.body[..], b"a=b");
        let form = "application/x-www-form-urlencoded";
        assert_eq!(request.headers["content-type"], form);
    }
}

#[tokio::test]
async fn events_are_printed_as_they_arrive() {
    let (send, body) = parts();
    let body = std::sync::Mutex::new(Some(body));
    let respond = move |_: &_, _| body.lock().unwrap().take().map(Response::new);
    let seller = Seller::start(Selling::default(), respond).await;
    let folder = Folder::new();
    let url = seller.url();
    let mut command = folder.command(&["pay", &url]);
    command.env("OCTROI_BUYER_KEY", KEY);
    let read = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        // The next event is made only when the one before has been seen: a buyer that waits for
        // more never gets it.
        for number in 0..5 {
            let event = format!("data: {number}\n\n");
            send.send(Bytes::from(event.clone())).unwrap();
            let mut seen = String::new();
            while !seen.ends_with("\n\n") {
                assert_ne!(out.read_line(&mut seen).unwrap(), 0, "ended early");
            }
            assert_eq!(seen, event);
        }
        drop(send);
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        (rest, output)
    });
    let (rest, output) = read.await.unwrap();
    assert_eq!((rest.as_str(), output.status.code()), ("", Some(0)));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("paid $0.01")
    );
}

#[tokio::test]
async fn the_test_buyers_key_is_found_on_this_machine() {
    let seller = Seller::of(Selling::default(), "content").await;
    let folder = Folder::new();
    folder.write("octroi-dev/buyer.key", format!("0x{KEY}\n"));
    let ran = run(folder.command(&["pay", &seller.url()])).await;
    ran.expect(0, "content");
    assert!(ran.err.contains("octroi-dev/buyer.key"), "{}", ran.err);
    // A named file comes first.
    folder.write("other.key", "no key");
    let args = ["pay", "--key-file", "other.key", &seller.url()];
    let ran = run(folder.command(&args)).await;
    assert_eq!(ran.exit, 2, "{}", ran.err);
    assert!(!ran.err.contains("no key"), "{}", ran.err);
}

#[tokio::test]
async fn content_can_go_to_a_file_with_the_head() {
    let seller = Seller::start(Selling::default(), |_, _| Some(ok("content"))).await;
    let folder = Folder::new();
    folder.write("out.txt", "something longer that was there before");
    let args = ["-o", "out.txt", &seller.url()];
    folder.pay(&args).await.expect(0, "");
    assert_eq!(folder.read("out.txt"), "content");

    let args = ["--json", "-o", "out.txt", &seller.url()];
    let story = folder.pay(&args).await.json();
    assert_eq!(
        (&story["output"], story["body"].is_null()),
        (&"out.txt".into(), true)
    );

    let ran = folder.pay(&["-i", &seller.url()]).await;
    let text = ran.text();
    assert!(
        text.starts_with("HTTP 200 OK\r\n") && text.ends_with("\r\n\r\ncontent"),
        "{text}"
    );
}
