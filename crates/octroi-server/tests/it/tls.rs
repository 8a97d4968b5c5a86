//! TLS: protocols, names, reloads and what is not TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use octroi_server::acme::{AcmeOptions, ChallengeKind};
use octroi_server::tls::{CertificateFiles, TlsOptions, UnknownName};
use octroi_server::{Alpn, ListenerRole, ListenerService, Server, ServerError, ServerOptions};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::{GET, Gate, PATIENCE, Raw, get, listener, options};
use crate::pebble::Nobody;

struct Pair {
    files: CertificateFiles,
    der: CertificateDer<'static>,
}

fn certificate(folder: &Path, host: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([host.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let files = CertificateFiles {
        chain: folder.join(format!("{host}.crt")),
        key: folder.join(format!("{host}.key")),
    };
    std::fs::write(&files.chain, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    Pair {
        files,
        der: certificate.der().clone(),
    }
}

fn tls_options(pairs: &[&Pair]) -> ServerOptions {
    ServerOptions {
        listeners: vec![
            listener(ListenerService::Tls(ListenerRole::Gate)),
            listener(ListenerService::Redirect),
        ],
        tls: Some(TlsOptions {
            files: pairs.iter().map(|pair| pair.files.clone()).collect(),
            unknown_name: UnknownName::Refuse,
            acme: None,
        }),
        ..options()
    }
}

async fn connect(
    gate: &Gate,
    trusted: &[&Pair],
    host: &str,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for pair in trusted {
        roots.add(pair.der.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(gate.addresses[0]).await?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // Ends with close_notify, or read_to_string would fail.
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn the_protocol_is_agreed_on_by_alpn() {
    let folder = tempfile::tempdir().unwrap();
    let a = certificate(folder.path(), "a.test");
    let gate = Gate::start(tls_options(&[&a]));
    for (offer, agreed) in [(&["http/1.1"][..], Some(Alpn::Http11)), (&[], None)] {
        let mut stream = connect(&gate, &[&a], "a.test", offer).await.unwrap();
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 "));
        let tls = gate.last().connection.tls.unwrap();
        assert_eq!((tls.alpn, tls.sni.as_deref()), (agreed, Some("a.test")));
    }
    let stream = connect(&gate, &[&a], "a.test", &["h2", "http/1.1"])
        .await
        .unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://a.test/");
    let request = request
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 200);
    assert_eq!(gate.last().connection.tls.unwrap().alpn, Some(Alpn::H2));

    assert!(connect(&gate, &[&a], "a.test", &["smtp"]).await.is_err());
    assert!(
        connect(&gate, &[&a], "a.test", &["acme-tls/1"])
            .await
            .is_err()
    );
    gate.stop().await;
}

#[tokio::test]
async fn each_name_has_its_certificate_and_reload_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        certificate(folder.path(), "a.test"),
        certificate(folder.path(), "b.test"),
    );
    let mut watching = tls_options(&[&a, &b]);
    watching.timeouts.certificate_reload = Duration::from_millis(20);
    let gate = Gate::start(watching);
    connect(&gate, &[&a], "a.test", &[]).await.unwrap();
    connect(&gate, &[&b], "b.test", &[]).await.unwrap();
    assert!(connect(&gate, &[&a], "b.test", &[]).await.is_err());
    assert!(connect(&gate, &[&a, &b], "c.test", &[]).await.is_err());

    let renewed = certificate(folder.path(), "a.test");
    gate.tls.as_ref().unwrap().reload().unwrap();
    connect(&gate, &[&renewed], "a.test", &[]).await.unwrap();
    // Without being told, it finds out.
    let again = certificate(folder.path(), "a.test");
    let look = async { while connect(&gate, &[&again], "a.test", &[]).await.is_err() {} };
    timeout(PATIENCE, look).await.unwrap();
    gate.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let a = certificate(folder.path(), "a.test");
    let mut impatient = tls_options(&[&a]);
    impatient.timeouts.handshake = Duration::from_millis(50);
    let gate = Gate::start(impatient);
    assert!(gate.connect().await.rest().await.is_empty());
    let mut plain = gate.connect().await;
    plain.send(GET).await;
    let came = plain.rest().await;
    assert!(!came.starts_with(b"HTTP"), "{came:?}");
    assert!(gate.lines().is_empty());
    gate.stop().await;
}

#[tokio::test]
async fn a_challenge_that_no_listener_can_answer_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let bind = |challenge, services: &[ListenerService]| {
        let tls = TlsOptions {
            files: Vec::new(),
            unknown_name: UnknownName::Refuse,
            acme: Some(AcmeOptions {
                directory_url: "https://ca.test/dir".to_owned(),
                contacts: Vec::new(),
                hosts: vec!["gate.test".to_owned()],
                challenge,
                folder: folder.path().to_owned(),
                orders_max: 1,
                http: Arc::new(Nobody),
            }),
        };
        Server::bind(ServerOptions {
            listeners: services.iter().copied().map(listener).collect(),
            tls: Some(tls),
            ..options()
        })
    };
    let tls = ListenerService::Tls(ListenerRole::Gate);
    let error = bind(ChallengeKind::Http01, &[tls]).err().unwrap();
    assert!(
        matches!(error, ServerError::ChallengeUnanswered { .. }),
        "{error}"
    );
    let redirect = ListenerService::Redirect;
    let error = bind(ChallengeKind::TlsAlpn01, &[redirect]).err().unwrap();
    assert!(
        matches!(error, ServerError::ChallengeUnanswered { .. }),
        "{error}"
    );
    assert!(bind(ChallengeKind::Http01, &[tls, redirect]).is_ok());
    assert!(bind(ChallengeKind::TlsAlpn01, &[tls]).is_ok());
}

#[tokio::test]
async fn the_redirecting_listener_serves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let a = certificate(folder.path(), "gate.test");
    let gate = Gate::start(tls_options(&[&a]));
    let connect = || async { Raw(TcpStream::connect(gate.addresses[1]).await.unwrap()) };
    let answer = connect().await.ask(get("/a?b=c")).await;
    assert_eq!(answer.status, 308);
    assert_eq!(answer.header("location"), Some("https://gate.test/a?b=c"));

    let other = "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    assert_eq!(connect().await.ask(other).await.error_code(), "not_found");
    let post = "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(connect().await.ask(post).await.error_code(), "forbidden");
    let unknown = get("/.well-known/acme-challenge/token");
    assert_eq!(connect().await.ask(unknown).await.status, 308);
    assert!(gate.lines().is_empty());
    gate.stop().await;
}
