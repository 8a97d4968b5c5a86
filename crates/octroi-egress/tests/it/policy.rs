//! The address policy where it counts: in the connector, after resolution.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use octroi_egress::{
    AddressPolicy, Client, ClientOptions, FetchRequest, Host, Phase, Resolve, Resolving, Target,
    TrustRoots, UpstreamSpec,
};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::origin::{Origin, exchange, get, within};

const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";

/// Names as a test wants them; each resolution takes the next answer, the last one stays.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<&'static str, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(names: &[(&'static str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let names = names
            .iter()
            .map(|(name, answers)| (*name, answers.iter().map(parse).collect()));
        Arc::new(Self {
            answers: Mutex::new(names.collect()),
            asked: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock();
        let answer = answers.get_mut(name).map(|answers| match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        });
        Box::pin(async move { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}

fn client(policy: AddressPolicy, resolver: Arc<Names>) -> Client {
    Client::new(ClientOptions {
        policy,
        resolver,
        roots: TrustRoots::public(),
    })
    .unwrap()
}

fn target(host: &str, origin: &Origin) -> Target {
    Target::parse(&format!("http://{host}:{}", origin.address.port())).unwrap()
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_unsent() {
    let origin = Origin::answering(OK).await;
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "::1",
        "169.254.169.254",
        "0.0.0.0",
        "10.0.0.1",
    ] {
        let names = Names::new(&[("evil.example", &[&[address]])]);
        let client = client(AddressPolicy::public_only(), names);
        let upstream = client
            .upstream(UpstreamSpec::new(target("evil.example", &origin)))
            .unwrap();
        let error = within("refusal", upstream.send(get("/")))
            .await
            .unwrap_err();
        assert_eq!(error.phase(), Phase::Policy, "{address}");
        assert!(!error.may_have_been_sent());

        let url = format!("http://evil.example:{}/", origin.address.port());
        let fetch = FetchRequest::new(http::Method::GET, url);
        let error = within("refusal", client.fetch(fetch)).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Policy, "{address}");
    }
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn a_refused_literal_is_refused_at_configuration() {
    let client = client(AddressPolicy::public_only(), Names::new(&[]));
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "192.168.0.1",
    ] {
        let target = Target::parse(&format!("http://{host}:80")).unwrap();
        let error = client.upstream(UpstreamSpec::new(target)).unwrap_err();
        assert_eq!(error.phase(), Phase::Policy, "{host}");
    }
}

#[tokio::test]
async fn each_connection_is_judged_anew() {
    let origin = Origin::answering(OK).await;
    // The name moves to another loopback address, which the operator did not allow.
    let names = Names::new(&[("a.example", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let policy = AddressPolicy::public_only().allow_net("127.0.0.1/32".parse().unwrap());
    let upstream = client(policy, names.clone())
        .upstream(UpstreamSpec::new(target("a.example", &origin)))
        .unwrap();
    assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    let error = exchange(&upstream, get("/")).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Policy);
    assert_eq!(names.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn refused_addresses_among_allowed_ones_are_left_out() {
    let origin = Origin::answering(OK).await;
    let names = Names::new(&[("a.example", &[&["10.0.0.1", "127.0.0.2", "127.0.0.1"]])]);
    let policy = AddressPolicy::public_only().allow_net("127.0.0.1/32".parse().unwrap());
    let upstream = client(policy, names)
        .upstream(UpstreamSpec::new(target("a.example", &origin)))
        .unwrap();
    assert_eq!(
        within("answer", exchange(&upstream, get("/")))
            .await
            .unwrap()
            .body(),
        "ok"
    );
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let origin = Origin::answering(OK).await;
    // Nobody listens on the second loopback address.
    let names = Names::new(&[("a.example", &[&["127.0.0.2", "127.0.0.1"]])]);
    let policy = AddressPolicy::public_only().allow_net("127.0.0.0/8".parse().unwrap());
    let upstream = client(policy, names)
        .upstream(UpstreamSpec::new(target("a.example", &origin)))
        .unwrap();
    assert_eq!(
        within("answer", exchange(&upstream, get("/")))
            .await
            .unwrap()
            .body(),
        "ok"
    );
}

/// An address that drops every packet costs a moment and not the connect timeout.
#[tokio::test]
async fn a_silent_address_does_not_hold_up_the_next() {
    let origin = Origin::answering(OK).await;
    let silent = SocketAddr::from(([127, 0, 0, 2], origin.address.port()));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&silent.into()).unwrap();
    socket.listen(0).unwrap();
    // With its queue full Linux drops further handshakes.
    let mut queued = Vec::new();
    let patience = std::time::Duration::from_millis(200);
    while let Ok(stream) = timeout(patience, TcpStream::connect(silent)).await {
        queued.push(stream.unwrap());
    }
    let names = Names::new(&[("a.example", &[&["127.0.0.2", "127.0.0.1"]])]);
    let policy = AddressPolicy::public_only().allow_net("127.0.0.0/8".parse().unwrap());
    let mut spec = UpstreamSpec::new(target("a.example", &origin));
    spec.connect_timeout = std::time::Duration::from_secs(3600);
    let upstream = client(policy, names).upstream(spec).unwrap();
    assert_eq!(
        within("answer", exchange(&upstream, get("/")))
            .await
            .unwrap()
            .body(),
        "ok"
    );
}

#[tokio::test]
async fn an_operators_declaration_opens_one_upstream_and_no_other() {
    let origin = Origin::answering(OK).await;
    let names = Names::new(&[("origin.internal", &[&["127.0.0.1"]])]);
    let client = client(AddressPolicy::public_only(), names);
    for host in ["127.0.0.1", "origin.internal"] {
        let target = target(host, &origin);
        let mut spec = UpstreamSpec::new(target.clone());
        let declared: Host = host.parse().unwrap();
        spec.policy = Some(AddressPolicy::public_only().allow_target(declared, target.port()));
        let upstream = client.upstream(spec).unwrap();
        assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");

        let fetch = FetchRequest::new(http::Method::GET, format!("{target}/"));
        assert_eq!(
            client.fetch(fetch).await.unwrap_err().phase(),
            Phase::Policy,
            "{host}"
        );
    }
}

#[tokio::test]
async fn unknown_names_and_closed_ports_fail_unsent() {
    let client = client(
        AddressPolicy::public_only().allow_net("127.0.0.0/8".parse().unwrap()),
        Names::new(&[("empty.example", &[&[]])]),
    );
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for (url, phase) in [
        ("http://unknown.example".to_owned(), Phase::Resolve),
        ("http://empty.example".to_owned(), Phase::Resolve),
        (format!("http://{closed}"), Phase::Connect),
    ] {
        let spec = UpstreamSpec::new(Target::parse(&url).unwrap());
        let upstream = client.upstream(spec).unwrap();
        let error = within("failure", upstream.send(get("/")))
            .await
            .unwrap_err();
        assert_eq!(error.phase(), phase, "{url}");
        assert!(!error.may_have_been_sent(), "{url}");
    }
}

/// Holds a resolution for ever.
struct Silent;

impl Resolve for Silent {
    fn resolve<'a>(&'a self, _name: &'a str) -> Resolving<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn resolution_has_its_time() {
    let client = Client::new(ClientOptions {
        resolver: Arc::new(Silent),
        ..ClientOptions::default()
    })
    .unwrap();
    let mut spec = UpstreamSpec::new(Target::parse("http://slow.example").unwrap());
    spec.connect_timeout = std::time::Duration::from_millis(20);
    let upstream = client.upstream(spec).unwrap();
    let error = within("timeout", upstream.send(get("/")))
        .await
        .unwrap_err();
    assert_eq!(error.phase(), Phase::Resolve);
    assert!(!error.may_have_been_sent());
}
