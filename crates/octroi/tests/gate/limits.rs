//! What one client may ask for, as `[server.limits]` says.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use octroi_testkit::{Client, Hold, Reply, Request, Setup, TestGate, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tls_client::{SelfSigned, TlsClient};

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"
"#;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
/// RFC 9113, 7.
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A request for a page of the site, with every field spelled out (RFC 7541, 6.2.2).
fn request(stream: u8) -> Vec<u8> {
    const END_STREAM_AND_HEADERS: u8 = 0x5;
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "site.test"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    frame(HEADERS, END_STREAM_AND_HEADERS, stream, &block)
}

/// The next frame: its kind, its stream and its payload.
async fn next(stream: &mut TcpStream) -> (u8, u8, Vec<u8>) {
    let mut head = [0; 9];
    within("a frame", stream.read_exact(&mut head))
        .await
        .unwrap();
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    within("its payload", stream.read_exact(&mut payload))
        .await
        .unwrap();
    (head[3], head[8], payload)
}

#[tokio::test]
async fn a_request_above_the_limit_of_a_connection_is_refused_and_the_others_go_on() {
    let limits = "[server.limits]\nstreams_per_connection_max = 2\n";
    let gate = Setup::new()
        .await
        .sections(limits)
        .sections(SITE)
        .start()
        .await;
    let hold = Hold::new();
    gate.origin.answer(Reply::ok("content").held(&hold));
    let mut stream = TcpStream::connect(gate.client.address).await.unwrap();
    let opening = [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(SETTINGS, 0, 0, &[]),
    ]
    .concat();
    stream.write_all(&opening).await.unwrap();
    for id in [1, 3] {
        stream.write_all(&request(id)).await.unwrap();
    }
    hold.reached_by(2).await;
    stream.write_all(&request(5)).await.unwrap();
    let (id, code) = loop {
        let (kind, id, payload) = next(&mut stream).await;
        assert_ne!(kind, HEADERS, "nothing is answered yet");
        if kind == RST_STREAM {
            break (id, payload);
        }
    };
    assert_eq!((id, &code[..]), (5, &REFUSED_STREAM[..]));
    hold.release();
    let mut answered = Vec::new();
    while answered.len() < 2 {
        if let (HEADERS, id, _) = next(&mut stream).await {
            answered.push(id);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3]);
    assert_eq!(gate.origin.calls(), 2);
    drop(stream);
    gate.finish().await;
}

#[tokio::test]
async fn connections_above_the_limit_of_the_gate_are_closed_at_once() {
    let limits = "[server.limits]\nconnections_max = 2\n";
    let gate = Setup::new()
        .await
        .sections(limits)
        .sections(SITE)
        .start()
        .await;
    let request = Request::get("/").host("site.test");
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = gate.client.connect().await;
        connection.send(&request).await;
        assert_eq!(connection.answer().await.status, 200);
        open.push(connection);
    }
    assert!(gate.client.try_send(&request).await.is_none());
    // Those that are open are served on.
    for connection in &mut open {
        connection.send(&request).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    drop(open);
    gate.finish().await;
}

/// An address of this machine that is not of the loopback, from where connections are counted by
/// client. Nothing is sent to find it.
pub(crate) fn beyond_loopback() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// A gate that takes two connections of a client, at this address.
async fn two_of_a_client(address: IpAddr, certificate: &SelfSigned) -> TestGate {
    let limits = "[server.limits]\nconnections_per_address_max = 2\n";
    let tls = "[[server.tls]]\ncert_file = \"gate.crt\"\nkey_file = \"gate.key\"\n";
    let setup = Setup::new().await.listen(SocketAddr::new(address, 0));
    let setup = setup
        .public_url("https://gate.test")
        .sections(limits)
        .sections(tls);
    setup
        .file("gate.crt", &certificate.certificate_pem)
        .file("gate.key", &certificate.key_pem)
        .start()
        .await
}

#[tokio::test]
async fn connections_above_the_limit_of_a_client_are_closed_and_places_come_back() {
    let Some(address) = beyond_loopback() else {
        eprintln!("left out: this machine has no address but the loopback's");
        return;
    };
    let certificate = SelfSigned::of("gate.test");
    let gate = two_of_a_client(address, &certificate).await;
    let client = TlsClient::trusting(gate.client.address, &[&certificate.der]);
    let first = client.shake_hands("gate.test", &[]).await.unwrap();
    let _second = client.shake_hands("gate.test", &[]).await.unwrap();
    assert!(client.shake_hands("gate.test", &[]).await.is_err());
    drop(first);
    octroi_testkit::eventually("the place is free", async || {
        client.shake_hands("gate.test", &[]).await.ok()
    })
    .await;
    gate.finish().await;
}

/// Whoever speaks for many is not one client: a proxy on the same machine.
#[tokio::test]
async fn connections_of_the_machine_itself_are_not_counted_as_one_client() {
    let limits = "[server.limits]\nconnections_per_address_max = 1\n";
    let gate = Setup::new()
        .await
        .sections(limits)
        .sections(SITE)
        .start()
        .await;
    let client: Client = gate.client;
    let (mut first, mut second) = (client.connect().await, client.connect().await);
    for connection in [&mut first, &mut second] {
        connection.send(&Request::get("/").host("site.test")).await;
        assert_eq!(connection.answer().await.status, 200);
    }
    drop((first, second));
    gate.finish().await;
}
