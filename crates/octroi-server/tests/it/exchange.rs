//! Ids, hosts and addresses of ordinary requests.

use octroi_server::{
    ForwardedField, ListenerRole, ListenerService, TrustedProxies, client_address,
};
use octroi_types::RequestId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gate::{GET, Gate, listener, options};

fn behind_loopback_proxy() -> TrustedProxies {
    let loopback = "127.0.0.0/8".parse().unwrap();
    TrustedProxies::new(vec![loopback], ForwardedField::XForwardedFor)
}

const WITH_ID: &str = "GET / HTTP/1.1\r\nHost: gate.test\r\nX-Request-ID: ";

#[tokio::test]
async fn every_request_has_an_id_of_its_own() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = client.ask(GET).await;
        let id: RequestId = answer.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(gate.last().request_id, id);
        assert!(!ids.contains(&id));
        ids.push(id);
    }
    gate.stop().await;
}

#[tokio::test]
async fn only_a_trusted_proxy_may_name_a_request() {
    let theirs = RequestId::generate();
    let gate = Gate::plain();
    let answer = gate
        .connect()
        .await
        .ask(format!("{WITH_ID}{theirs}\r\n\r\n"))
        .await;
    assert_ne!(answer.header("x-request-id"), Some(&*theirs.to_string()));
    gate.stop().await;

    let mut behind = options();
    behind.trusted_proxies = behind_loopback_proxy();
    let gate = Gate::start(behind);
    let answer = gate
        .connect()
        .await
        .ask(format!("{WITH_ID}{theirs}\r\n\r\n"))
        .await;
    assert_eq!(answer.header("x-request-id"), Some(&*theirs.to_string()));
    assert_eq!(gate.last().request_id, theirs);
    let answer = gate
        .connect()
        .await
        .ask(format!("{WITH_ID}evil\r\n\r\n"))
        .await;
    answer
        .header("x-request-id")
        .unwrap()
        .parse::<RequestId>()
        .unwrap();
    gate.stop().await;
}

#[tokio::test]
async fn connections_know_their_ends_and_their_listener() {
    let mut two = options();
    two.listeners
        .push(listener(ListenerService::Plain(ListenerRole::Management)));
    let gate = Gate::start(two);
    let mut client = gate.connect().await;
    client.ask(GET).await;
    let seen = gate.last().connection;
    assert_eq!(seen.peer, client.0.local_addr().unwrap());
    assert_eq!(seen.local, gate.addresses[0]);
    assert_eq!(seen.role, ListenerRole::Gate);
    assert_eq!(seen.tls, None);

    let stream = tokio::net::TcpStream::connect(gate.addresses[1])
        .await
        .unwrap();
    crate::gate::Raw(stream).ask(GET).await;
    assert_eq!(gate.last().connection.role, ListenerRole::Management);
    let headers = "X-Forwarded-For: 192.0.2.9";
    let request = format!("GET / HTTP/1.1\r\nHost: gate.test\r\n{headers}\r\n\r\n");
    gate.connect().await.ask(request).await;
    let peer = gate.last().connection.peer.ip();
    let mut map = http::HeaderMap::new();
    map.insert("x-forwarded-for", "192.0.2.9".parse().unwrap());
    assert_eq!(client_address(peer, &map, &TrustedProxies::default()), peer);
    let proxied = client_address(peer, &map, &behind_loopback_proxy());
    assert_eq!(proxied.to_string(), "192.0.2.9");
    gate.stop().await;
}

#[tokio::test]
async fn refusals_name_their_reason_and_close() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a b\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.error_code(), "malformed_host");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.rest().await.is_empty());
    gate.stop().await;
}

#[tokio::test]
async fn absolute_targets_are_taken_if_they_agree_with_the_host() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let answer = client
        .ask("GET http://Gate.test/a?b HTTP/1.1\r\nHost: gate.test\r\n\r\n")
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(gate.last().line, "GET /a");
    assert_eq!(gate.last().headers["host"], "gate.test");
    gate.stop().await;
}

#[tokio::test]
async fn http_1_0_is_served_and_closed() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let answer = client
        .ask("GET / HTTP/1.0\r\nHost: gate.test\r\n\r\n")
        .await;
    assert_eq!(answer.status, 200);
    assert!(client.rest().await.is_empty());
    gate.stop().await;
}

#[tokio::test]
async fn an_upgraded_connection_belongs_to_its_handler_and_is_waited_for() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let head = "GET /upgrade HTTP/1.1\r\nHost: gate.test\r\n";
    let answer = client
        .ask(format!(
            "{head}Connection: upgrade\r\nUpgrade: echo\r\n\r\n"
        ))
        .await;
    assert_eq!(answer.status, 101);
    gate.begin_shutdown();
    client.send("still here").await;
    let mut echo = [0; 10];
    client.0.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"still here");
    client.0.shutdown().await.unwrap();
    assert!(client.rest().await.is_empty());
    let report = gate.finished().await;
    assert_eq!(
        (report.connections_open, report.connections_aborted),
        (1, 0)
    );
}

#[tokio::test]
async fn a_clients_own_id_does_not_reach_the_handler() {
    let gate = Gate::plain();
    gate.connect()
        .await
        .ask(format!("{WITH_ID}evil\r\n\r\n"))
        .await;
    assert!(!gate.last().headers.contains_key("x-request-id"));
    gate.stop().await;
}
