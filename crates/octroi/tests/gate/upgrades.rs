//! WebSockets: refused where a price is, joined where none is.

use octroi_testkit::{Reply, Request, Setup, TestGate, eventually};

use crate::ITEM;

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"

[[site.route]]
pattern = "/paid"
price = "0.01"
"#;

fn websocket(target: &str) -> Request {
    Request::get(target)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[tokio::test]
async fn a_websocket_on_a_priced_route_is_refused_with_and_without_a_payment() {
    let gate = Setup::new().await.sections(SITE).start().await;
    let payment = gate.sign(&gate.net.buyer(), &Request::get(ITEM)).await;
    for request in [
        websocket(ITEM),
        payment.on(websocket(ITEM)),
        websocket("/paid").host("site.test"),
    ] {
        let answer = gate.send(&request).await;
        assert_eq!(answer.outcome(), (426, "upgrade_refused".to_owned()));
    }
    assert_eq!(gate.origin.calls(), 0);
    assert!(gate.finish().await.transactions.is_empty());
}

#[tokio::test]
async fn a_websocket_on_a_free_route_is_joined_byte_for_byte() {
    let gate = Setup::new().await.sections(SITE).start().await;
    gate.origin.answer(Reply::echo());
    let mut connection = gate.client.connect().await;
    connection.send(&websocket("/chat").host("site.test")).await;
    let head = connection.head().await;
    assert_eq!(head.status, 101);
    assert_eq!(head.header("upgrade").as_deref(), Some("websocket"));
    for message in [
        &b"hello"[..],
        b"\x00\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        connection.write(message).await;
        let mut echoed = Vec::new();
        while echoed.len() < message.len() {
            echoed.extend_from_slice(&connection.bytes().await.expect("an echo"));
        }
        assert_eq!(echoed, message);
    }
    let seen = gate.origin.last();
    assert_eq!(seen.header("upgrade").as_deref(), Some("websocket"));
    assert_eq!(
        seen.header("sec-websocket-key").as_deref(),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    drop(connection);
    gate.finish().await;
}

#[tokio::test]
async fn no_other_protocol_is_switched_to() {
    let gate = Setup::new().await.sections(SITE).start().await;
    gate.origin.answer_with(|seen| {
        let upgrade = seen.header("upgrade").unwrap_or_default();
        Reply::ok(upgrade + &seen.header("http2-settings").unwrap_or_default())
    });
    let request = Request::get("/free")
        .host("site.test")
        .header("connection", "Upgrade, HTTP2-Settings")
        .header("upgrade", "h2c")
        .header("http2-settings", "AAMAAABkAAQAoAAAAAIAAAAA");
    let answer = gate.send(&request).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    gate.finish().await;
}

#[tokio::test]
async fn an_origin_that_refuses_to_switch_is_passed_on() {
    let gate = Setup::new().await.sections(SITE).start().await;
    gate.origin.answer(Reply::status(403, "no"));
    let answer = gate.send(&websocket("/chat").host("site.test")).await;
    assert_eq!((answer.status, answer.text()), (403, "no"));
    gate.finish().await;
}

#[tokio::test]
async fn a_gate_that_stops_ends_joined_connections() {
    let setup = Setup::new().await.server("drain_timeout_ms = 100");
    let gate = setup.sections(SITE).start().await;
    gate.origin.answer(Reply::echo());
    let mut connection = gate.client.connect().await;
    connection.send(&websocket("/chat").host("site.test")).await;
    assert_eq!(connection.head().await.status, 101);
    gate.finish().await;
    eventually("the connection ends", async || {
        connection.bytes().await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_header_without_the_connection_option_is_an_ordinary_request() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM).header("upgrade", "websocket");
    assert_eq!(gate.send(&request).await.status, 402);
    gate.finish().await;
}
