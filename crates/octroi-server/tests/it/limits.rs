//! What a client may not do: send too much, take too long, come too often.

use std::time::Duration;

use octroi_server::{Limits, ListenerRole, ListenerService, ListenerSocket, Server, ServerError};

use crate::gate::{GET, Gate, get, listener, options};

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn large_heads_are_refused_with_a_reason() {
    let gate = Gate::plain();
    let field = |bytes: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: gate.test\r\nX: {}\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    assert_eq!(
        gate.connect().await.ask(field(15 * 1_024)).await.status,
        200
    );
    let answer = gate.connect().await.ask(field(17 * 1_024)).await;
    assert_eq!(
        (answer.status, &*answer.error_code()),
        (431, "headers_too_large")
    );

    let answer = gate
        .connect()
        .await
        .ask(get(&format!("/{}", "x".repeat(9 * 1_024))))
        .await;
    assert_eq!(
        (answer.status, &*answer.error_code()),
        (414, "uri_too_long")
    );
    gate.stop().await;
}

#[tokio::test]
async fn endless_heads_are_not_read_to_the_end() {
    let gate = Gate::plain();
    let endless = |start: &str| format!("{start}{}", "x".repeat(60 * 1_024));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    for (request, status, code) in [
        (endless("GET / HTTP/1.1\r\nX: "), 431, "headers_too_large"),
        (endless("GET /"), 414, "uri_too_long"),
        (many, 431, "headers_too_large"),
    ] {
        let answer = gate.connect().await.ask(request).await;
        assert_eq!((answer.status, &*answer.error_code()), (status, code));
    }
    assert!(gate.lines().is_empty());
    gate.stop().await;
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let mut impatient = options();
    impatient.timeouts.head = SOON;
    let gate = Gate::start(impatient);
    let mut client = gate.connect().await;
    let answer = client.ask("GET / HTTP/1.1\r\nHost: ").await;
    let timed_out = (408, "request_timeout");
    assert_eq!((answer.status, &*answer.error_code()), timed_out);
    assert!(client.rest().await.is_empty());

    // The second request of a connection has no more time than the first.
    let mut client = gate.connect().await;
    assert_eq!(client.ask(GET).await.status, 200);
    let answer = client.ask("G").await;
    assert_eq!((answer.status, &*answer.error_code()), timed_out);
    assert!(client.rest().await.is_empty());
    assert_eq!(gate.lines(), ["GET /"]);
    gate.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let mut impatient = options();
    impatient.timeouts.handshake = SOON;
    let gate = Gate::start(impatient);
    assert!(gate.connect().await.rest().await.is_empty());
    gate.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let mut impatient = options();
    impatient.timeouts.idle = SOON;
    impatient.timeouts.head = SOON;
    let mut gate = Gate::start(impatient);
    let mut idle = gate.connect().await;
    let mut busy = gate.connect().await;
    busy.send(get("/hold")).await;
    gate.held().await;
    assert_eq!(idle.ask(GET).await.status, 200);
    assert!(idle.rest().await.is_empty());
    // The idle connection was closed although it is the younger one.
    gate.handler.release.add_permits(1);
    assert_eq!(busy.answer().await.unwrap().status, 200);
    gate.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let mut impatient = options();
    impatient.timeouts.stalled = SOON;
    let gate = Gate::start(impatient);
    let mut client = gate.connect().await;
    client.send(get("/flood")).await;
    // Nothing is read until the server has given up: then the end of the stream is all there is.
    let watcher = gate.connect().await;
    drop(watcher);
    let before = std::time::Instant::now();
    while !octroi_telemetry::metrics::render()
        .contains("octroi_connections_expired_total{reason=\"stalled\"} 1")
    {
        assert!(before.elapsed() < crate::gate::PATIENCE);
        tokio::task::yield_now().await;
    }
    client.rest().await;
    gate.stop().await;
}

#[tokio::test]
async fn connections_above_the_limit_are_closed_and_places_come_back() {
    let mut small = options();
    small.limits = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let gate = Gate::start(small);
    let mut first = gate.connect().await;
    let mut second = gate.connect().await;
    assert_eq!(first.ask(GET).await.status, 200);
    assert_eq!(second.ask(GET).await.status, 200);
    let mut third = gate.connect().await;
    third.send(GET).await;
    assert!(third.rest().await.is_empty());
    drop(first);
    // The place is free once the server has noticed.
    let answer = loop {
        let mut again = gate.connect().await;
        again.send(GET).await;
        if let Some(answer) = again.answer().await {
            break answer;
        }
    };
    assert_eq!(answer.status, 200);
    gate.stop().await;
}

/// The answer to a large body that nobody wants must arrive although the client is still sending.
#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let body = vec![b'x'; 8 * 1_024 * 1_024];
    let length = body.len();
    client
        .send(format!(
            "POST /unread HTTP/1.1\r\nHost: gate.test\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    use tokio::io::AsyncWriteExt;
    client.0.write_all(&body).await.unwrap();
    let answer = client.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.body), (402, "POST /unread 0"));
    assert!(client.rest().await.is_empty());
    drop(client);
    gate.stop().await;
}

#[tokio::test]
async fn plain_http_does_not_leave_the_machine() {
    let mut open = options();
    open.listeners[0].socket = ListenerSocket::Bind("0.0.0.0:0".parse().unwrap());
    let error = Server::bind(open).err().unwrap();
    assert!(
        matches!(error, ServerError::PlainBeyondLoopback { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("trusted_proxies"), "{error}");

    let mut mapped = options();
    mapped.listeners[0].socket = ListenerSocket::Bind("[::ffff:0.0.0.0]:0".parse().unwrap());
    assert!(Server::bind(mapped).is_err());

    let mut inherited = options();
    let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    inherited.listeners[0].socket = ListenerSocket::Inherited(socket);
    let error = Server::bind(inherited).err().unwrap();
    assert!(
        matches!(error, ServerError::PlainBeyondLoopback { .. }),
        "{error}"
    );

    let mut bare = options();
    bare.listeners = vec![listener(ListenerService::Tls(ListenerRole::Gate))];
    let error = Server::bind(bare).err().unwrap();
    assert!(
        matches!(error, ServerError::NoCertificates { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_taken_address_is_reported_and_a_handed_over_socket_serves() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut taken = options();
    taken.listeners[0].socket = ListenerSocket::Bind(address);
    let error = Server::bind(taken).err().unwrap();
    assert!(
        matches!(error, ServerError::Bind { address: a, .. } if a == address),
        "{error}"
    );

    let mut inherited = options();
    inherited.listeners[0].socket = ListenerSocket::Inherited(socket);
    let gate = Gate::start(inherited);
    assert_eq!(gate.addresses, [address]);
    assert_eq!(gate.connect().await.ask(GET).await.status, 200);
    gate.stop().await;
}
