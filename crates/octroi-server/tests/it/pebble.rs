//! Certificates from a real ACME authority: Let's Encrypt's test server, as Debian packages it.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use octroi_server::acme::{AcmeHttp, AcmeHttpFuture, AcmeOptions, ChallengeKind};
use octroi_server::tls::{Tls, TlsOptions, UnknownName};
use octroi_server::{
    ListenerOptions, ListenerRole, ListenerService, ListenerSocket, ServerOptions,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::{Gate, PATIENCE, options};

/// Speaks HTTPS to one authority, whatever host a request names.
#[derive(Clone)]
struct Client {
    address: SocketAddr,
    tls: TlsConnector,
}

fn connector(root: CertificateDer<'static>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

async fn shake_hands(
    tls: &TlsConnector,
    address: SocketAddr,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    tls.connect(name, stream).await
}

impl AcmeHttp for Client {
    fn send(&self, mut request: Request<Bytes>) -> AcmeHttpFuture {
        let client = self.clone();
        Box::pin(async move {
            let stream = shake_hands(&client.tls, client.address, "localhost").await?;
            let io = TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            let host = request.uri().authority().unwrap().as_str().parse()?;
            request.headers_mut().insert("host", host);
            *request.uri_mut() = request.uri().path().parse()?;
            let response = sender.send_request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
        })
    }
}

/// An authority nobody may ask.
pub(crate) struct Nobody;

impl AcmeHttp for Nobody {
    fn send(&self, _: Request<Bytes>) -> AcmeHttpFuture {
        Box::pin(async { Err("the authority was asked".into()) })
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(command: &mut Command) -> Process {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = quiet.spawn();
    Process(child.expect("Debian's package pebble has to be installed"))
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Pebble, the name server it asks, and how to speak to it.
struct Pebble {
    client: Client,
    management: SocketAddr,
    _processes: [Process; 2],
}

impl Pebble {
    /// Starts an authority that looks for hosts on these ports of this machine.
    async fn start(folder: &Path, http_port: u16, tls_port: u16) -> Self {
        let [port, management_port, dns_port] = [free_port(), free_port(), free_port()];
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join("ca.crt"), certificate.pem()).unwrap();
        std::fs::write(folder.join("ca.key"), key.serialize_pem()).unwrap();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management_port}"),
            "certificate": folder.join("ca.crt"),
            "privateKey": folder.join("ca.key"),
            "httpPort": http_port,
            "tlsPort": tls_port,
        }});
        let config_path = folder.join("pebble.json");
        std::fs::write(&config_path, config.to_string()).unwrap();
        let dns = format!("127.0.0.1:{dns_port}");
        let names = spawn(Command::new("pebble-challtestsrv").args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-dns01",
            &dns,
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-management",
            "",
        ]));
        let authority = spawn(
            Command::new("pebble")
                .args(["-dnsserver", &dns, "-config"])
                .arg(&config_path)
                .env("PEBBLE_VA_NOSLEEP", "1")
                // Refusing nonces at random would test the protocol library, and only sometimes.
                .env("PEBBLE_WFE_NONCEREJECT", "0"),
        );
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let up = async { while TcpStream::connect(address).await.is_err() {} };
        timeout(PATIENCE, up).await.expect("pebble did not start");
        Self {
            client: Client {
                address,
                tls: connector(certificate.der().clone()),
            },
            management: SocketAddr::from(([127, 0, 0, 1], management_port)),
            _processes: [names, authority],
        }
    }

    fn directory_url(&self) -> String {
        format!("https://localhost:{}/dir", self.client.address.port())
    }

    /// The root that its certificates lead to.
    async fn root(&self) -> CertificateDer<'static> {
        let management = Client {
            address: self.management,
            tls: self.client.tls.clone(),
        };
        let url = format!("https://localhost:{}/roots/0", self.management.port());
        let request = Request::get(url).body(Bytes::new()).unwrap();
        let answer = management.send(request).await.unwrap();
        CertificateDer::from_pem_slice(answer.body()).unwrap()
    }
}

fn gate_options(sockets: [TcpListener; 2], acme: AcmeOptions) -> ServerOptions {
    let [tls, plain] = sockets.map(ListenerSocket::Inherited);
    let listeners = vec![
        ListenerOptions {
            socket: tls,
            service: ListenerService::Tls(ListenerRole::Gate),
        },
        ListenerOptions {
            socket: plain,
            service: ListenerService::Redirect,
        },
    ];
    let tls = Some(TlsOptions {
        files: Vec::new(),
        unknown_name: UnknownName::Refuse,
        acme: Some(acme),
    });
    ServerOptions {
        listeners,
        tls,
        ..options()
    }
}

fn sockets() -> [TcpListener; 2] {
    [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap())
}

/// Waits until the host has a certificate.
async fn issued(tls: &Tls, host: &str) {
    let look = async {
        while !tls.certificates().names(host) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, look).await.expect("no certificate came");
}

async fn issues_and_keeps(challenge: ChallengeKind) {
    let folder = tempfile::tempdir().unwrap();
    let sockets_first = sockets();
    let [tls_port, http_port] = [0, 1].map(|i| sockets_first[i].local_addr().unwrap().port());
    let pebble = Pebble::start(folder.path(), http_port, tls_port).await;
    let acme = |hosts: &[&str], http: Arc<dyn AcmeHttp>| AcmeOptions {
        directory_url: pebble.directory_url(),
        contacts: vec!["mailto:ops@gate.test".to_owned()],
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        challenge,
        folder: folder.path().join("acme"),
        orders_max: 1,
        http,
    };
    let http = Arc::new(pebble.client.clone());
    let gate = Gate::start(gate_options(sockets_first, acme(&["a.gate.test"], http)));
    let trust = connector(pebble.root().await);
    let tls = gate.tls.clone().unwrap();
    issued(&tls, "a.gate.test").await;
    let address = gate.addresses[0];
    shake_hands(&trust, address, "a.gate.test").await.unwrap();

    // Hosts come while the server runs; the one that is there already is not ordered again.
    tls.set_acme_hosts(
        ["a.gate.test", "b.gate.test", "*.gate.test"]
            .map(str::to_owned)
            .into(),
    );
    issued(&tls, "b.gate.test").await;
    shake_hands(&trust, address, "b.gate.test").await.unwrap();
    assert!(shake_hands(&trust, address, "c.gate.test").await.is_err());
    gate.stop().await;

    let authority = format!("localhost_{}", pebble.client.address.port());
    let kept = folder.path().join("acme").join(authority);
    for file in ["account.json", "a.gate.test.pem", "b.gate.test.pem"] {
        let mode = std::fs::metadata(kept.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    // After a restart what was kept is used, and nobody is asked.
    let hosts = ["a.gate.test", "b.gate.test"];
    let gate = Gate::start(gate_options(sockets(), acme(&hosts, Arc::new(Nobody))));
    for host in hosts {
        shake_hands(&trust, gate.addresses[0], host).await.unwrap();
    }
    gate.stop().await;
}

#[tokio::test]
#[ignore = "needs the programs of pebble: `cargo xtask test` has them"]
async fn http_01_brings_a_certificate_that_is_kept() {
    issues_and_keeps(ChallengeKind::Http01).await;
}

#[tokio::test]
#[ignore = "needs the programs of pebble: `cargo xtask test` has them"]
async fn tls_alpn_01_brings_a_certificate_that_is_kept() {
    issues_and_keeps(ChallengeKind::TlsAlpn01).await;
}

/// An authority that cannot reach the host refuses; the gate says so, and serves on.
#[tokio::test]
#[ignore = "needs the programs of pebble: `cargo xtask test` has them"]
async fn a_host_that_cannot_be_verified_is_left_without() {
    let folder = tempfile::tempdir().unwrap();
    let pebble = Pebble::start(folder.path(), free_port(), free_port()).await;
    let acme = AcmeOptions {
        directory_url: pebble.directory_url(),
        contacts: Vec::new(),
        hosts: vec!["a.gate.test".to_owned()],
        challenge: ChallengeKind::Http01,
        folder: folder.path().join("acme"),
        orders_max: 1,
        http: Arc::new(pebble.client.clone()),
    };
    let failed = "octroi_certificate_orders_total{result=\"failed\"}";
    let count = || {
        let text = octroi_telemetry::metrics::render();
        let line = text.lines().find_map(|line| line.strip_prefix(failed));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let before = count();
    let gate = Gate::start(gate_options(sockets(), acme));
    let refused = async {
        while count() == before {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    let kept = walk(&folder.path().join("acme"));
    assert!(
        kept.iter().all(|file| file.ends_with("account.json")),
        "{kept:?}"
    );
    gate.stop().await;
}

fn walk(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => walk(&path),
        false => vec![path.to_string_lossy().into_owned()],
    });
    files.collect()
}
