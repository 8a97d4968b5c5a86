//! `[server.acme]` with a real authority: Let's Encrypt's test server, as Debian packages it.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use octroi_testkit::{Request, Setup, TestGate, eventually};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;

use crate::ITEM;
use crate::tls_client::{SelfSigned, TlsClient};

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
origin = "http://ORIGIN"
default = "pass"
"#;

struct Process(Child);

impl Process {
    fn spawn(command: &mut Command) -> Self {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(
            quiet
                .spawn()
                .expect("Debian's package pebble has to be installed"),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// The authority, and the name server that it asks: every host is this machine.
struct Pebble {
    address: SocketAddr,
    management: SocketAddr,
    certificate: SelfSigned,
    _processes: [Process; 2],
}

impl Pebble {
    /// Starts an authority that looks for hosts at these addresses.
    async fn start(folder: &Path, http: SocketAddr, tls: SocketAddr) -> Self {
        let [address, management, dns] = [(); 3].map(|()| free_address());
        let certificate = SelfSigned::of("localhost");
        std::fs::write(folder.join("ca.crt"), &certificate.certificate_pem).unwrap();
        std::fs::write(folder.join("ca.key"), &certificate.key_pem).unwrap();
        let config = serde_json::json!({"pebble": {
            "listenAddress": address,
            "managementListenAddress": management,
            "certificate": folder.join("ca.crt"),
            "privateKey": folder.join("ca.key"),
            "httpPort": http.port(),
            "tlsPort": tls.port(),
        }});
        std::fs::write(folder.join("pebble.json"), config.to_string()).unwrap();
        let dns = dns.to_string();
        let mut names = Command::new("pebble-challtestsrv");
        names.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-dns01",
            &dns,
        ]);
        for unused in ["-http01", "-https01", "-tlsalpn01", "-management"] {
            names.args([unused, ""]);
        }
        let mut authority = Command::new("pebble");
        authority
            .args(["-dnsserver", &dns, "-config"])
            .arg(folder.join("pebble.json"))
            .env("PEBBLE_VA_NOSLEEP", "1")
            // Refusing nonces at random would test the protocol library, and only sometimes.
            .env("PEBBLE_WFE_NONCEREJECT", "0");
        let processes = [Process::spawn(&mut names), Process::spawn(&mut authority)];
        for address in [address, management] {
            eventually("pebble listens", async || {
                TcpStream::connect(address).await.ok().map(drop)
            })
            .await;
        }
        Self {
            address,
            management,
            certificate,
            _processes: processes,
        }
    }

    /// The root that its certificates lead to.
    async fn root(&self) -> CertificateDer<'static> {
        let management = TlsClient::trusting(self.management, &[&self.certificate.der]);
        let answer = management
            .send("localhost", &Request::get("/roots/0"))
            .await;
        CertificateDer::from_pem_slice(&answer.body).unwrap()
    }
}

/// Waits until a host shows a certificate of the authority, and asks it something.
async fn serves(
    gate: &TestGate,
    root: &CertificateDer<'static>,
    host: &str,
    request: &Request,
) -> u16 {
    let client = TlsClient::trusting(gate.client.address, &[root]);
    eventually("a certificate is issued", async || {
        client.shake_hands(host, &[]).await.ok().map(drop)
    })
    .await;
    client.send(host, request).await.status
}

/// Without names of their own in the file, every host of the gate and its sites gets a certificate.
async fn issues_and_keeps(challenge: &str) {
    let folder = tempfile::tempdir().unwrap();
    let [listen, redirect] = [(); 2].map(|()| free_address());
    let pebble = Pebble::start(folder.path(), redirect, listen).await;
    let root = pebble.root().await;
    let section = format!(
        r#"
[server.acme]
directory_url = "https://localhost:{port}/dir"
authority_file = "authority.pem"
terms_agreed = true
contact = ["ops@gate.test"]
challenge = "{challenge}"
"#,
        port = pebble.address.port()
    );
    let setup = Setup::new()
        .await
        .public_url("https://gate.test")
        .listen(listen)
        .server(&format!("redirect_listen = [\"{redirect}\"]"))
        .file("authority.pem", &pebble.certificate.certificate_pem)
        .sections(&section)
        .sections(SITE);
    let mut gate = setup.start().await;
    let priced = Request::get(ITEM);
    assert_eq!(serves(&gate, &root, "gate.test", &priced).await, 402);
    assert_eq!(
        serves(&gate, &root, "site.test", &Request::get("/")).await,
        200
    );

    let kept = gate
        .folder()
        .join("acme")
        .join(format!("localhost_{}", pebble.address.port()));
    for file in ["account.json", "gate.test.pem", "site.test.pem"] {
        let mode = std::fs::metadata(kept.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    // What was kept is used after a restart, although nobody can be asked.
    drop(pebble);
    gate.restart().await;
    assert_eq!(serves(&gate, &root, "gate.test", &priced).await, 402);
    gate.finish().await;
}

#[tokio::test]
#[ignore = "needs the programs of pebble: `cargo xtask test` has them"]
async fn pebble_issues_by_http_01_and_what_it_issued_is_kept() {
    issues_and_keeps("http-01").await;
}

#[tokio::test]
#[ignore = "needs the programs of pebble: `cargo xtask test` has them"]
async fn pebble_issues_by_tls_alpn_01_and_what_it_issued_is_kept() {
    issues_and_keeps("tls-alpn-01").await;
}
