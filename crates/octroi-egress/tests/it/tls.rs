//! Certificates and ALPN.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use octroi_egress::{
    Client, ClientOptions, Phase, Protocol, Resolve, Resolving, Target, TrustRoots, Upstream,
    UpstreamSpec,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::origin::{exchange, get, local_policy, within};

/// Every name is this machine.
struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) })
    }
}

struct TlsOrigin {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    certificate_pem: String,
}

impl TlsOrigin {
    /// An origin called `origin.test` that offers these protocols and answers with the version it
    /// was spoken to in.
    async fn start(alpn: &[&str]) -> Self {
        let names = vec!["origin.test".to_owned(), "127.0.0.1".to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.unwrap())
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server
                        .serve_connection(TokioIo::new(stream), service_fn(version))
                        .await;
                });
            }
        });
        Self {
            address,
            accepted,
            certificate_pem: certified.cert.pem(),
        }
    }

    fn upstream(&self, host: &str, trusted: bool, protocol: Protocol) -> Upstream {
        let mut roots = TrustRoots::public();
        if trusted {
            roots = roots.with_pem(self.certificate_pem.as_bytes()).unwrap();
        }
        let client = Client::new(ClientOptions {
            policy: local_policy(),
            resolver: Arc::new(Loopback),
            roots,
        });
        let port = self.address.port();
        let target = Target::parse(&format!("https://{host}:{port}")).unwrap();
        let mut spec = UpstreamSpec::new(target);
        spec.protocol = protocol;
        client.unwrap().upstream(spec).unwrap()
    }
}

async fn version(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let version = format!("{:?}", request.version());
    Ok(Response::new(Full::new(Bytes::from(version))))
}

#[tokio::test]
async fn alpn_decides_the_version() {
    for (alpn, protocol, expected) in [
        (&["h2", "http/1.1"][..], Protocol::Auto, "HTTP/2.0"),
        (&["http/1.1"][..], Protocol::Auto, "HTTP/1.1"),
        (&[][..], Protocol::Auto, "HTTP/1.1"),
        (&["h2", "http/1.1"][..], Protocol::Http1, "HTTP/1.1"),
        (&["h2", "http/1.1"][..], Protocol::Http2, "HTTP/2.0"),
    ] {
        let origin = TlsOrigin::start(alpn).await;
        for host in ["origin.test", "127.0.0.1"] {
            let before = origin.accepted.load(Ordering::SeqCst);
            let upstream = origin.upstream(host, true, protocol);
            for _ in 0..3 {
                let response = within("answer", exchange(&upstream, get("/")))
                    .await
                    .unwrap();
                assert_eq!(response.body(), expected, "{alpn:?} {protocol:?}");
            }
            let opened = origin.accepted.load(Ordering::SeqCst) - before;
            assert_eq!(opened, 1, "{alpn:?} {protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_websocket_takes_http_1_beside_h2() {
    let origin = TlsOrigin::start(&["h2", "http/1.1"]).await;
    let upstream = origin.upstream("origin.test", true, Protocol::Auto);
    let over_h2 = exchange(&upstream, get("/")).await.unwrap();
    assert_eq!(over_h2.version(), Version::HTTP_2);
    let mut request = get("/");
    octroi_egress::hop_by_hop::set_websocket_upgrade(request.headers_mut());
    let over_h1 = exchange(&upstream, request).await.unwrap();
    assert_eq!(over_h1.version(), Version::HTTP_11);
}

#[tokio::test]
async fn untrusted_or_misnamed_certificates_end_the_handshake_unsent() {
    let origin = TlsOrigin::start(&["http/1.1"]).await;
    for (host, trusted) in [
        ("origin.test", false),
        ("other.test", true),
        ("127.0.0.2", true),
    ] {
        let upstream = origin.upstream(host, trusted, Protocol::Auto);
        let error = within("refusal", exchange(&upstream, get("/")))
            .await
            .unwrap_err();
        // On the second loopback address nobody listens; where somebody did, the name would not fit.
        let expected = if host == "127.0.0.2" {
            Phase::Connect
        } else {
            Phase::Tls
        };
        assert_eq!(error.phase(), expected, "{host}");
        assert!(!error.may_have_been_sent());
    }
}

#[tokio::test]
async fn a_demand_for_h2_that_is_not_met_fails_unsent() {
    let origin = TlsOrigin::start(&["http/1.1"]).await;
    let upstream = origin.upstream("origin.test", true, Protocol::Http2);
    let error = within("refusal", exchange(&upstream, get("/")))
        .await
        .unwrap_err();
    assert_eq!(error.phase(), Phase::Tls);
    assert!(!error.may_have_been_sent());
}

#[tokio::test]
async fn a_cold_h2_origin_gets_one_connection_for_many_requests() {
    let origin = TlsOrigin::start(&["h2", "http/1.1"]).await;
    let upstream = origin.upstream("origin.test", true, Protocol::Auto);
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let upstream = upstream.clone();
        tasks.spawn(async move { exchange(&upstream, get("/")).await.unwrap() });
    }
    within("all tasks", tasks.join_all()).await;
    assert_eq!(origin.accepted.load(Ordering::SeqCst), 1);
    assert_eq!(upstream.stats().connections_shared, 1);
}

#[test]
fn extra_roots_must_be_certificates() {
    for pem in [
        "",
        "not pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(
            TrustRoots::public().with_pem(pem.as_bytes()).is_err(),
            "{pem}"
        );
    }
    assert!(
        TrustRoots::public()
            .with_pem_file("/nonexistent/ca.pem".as_ref())
            .is_err()
    );
}
