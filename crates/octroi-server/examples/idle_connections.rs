//! What idle connections cost: opens many from a second process, asks once on each and tells how
//! much memory this process then occupies.
//!
//! `idle_connections plain|tls COUNT`; the limit on open files has to be higher than the count.

use std::error::Error;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use octroi_server::tls::{CertificateFiles, TlsOptions, UnknownName};
use octroi_server::{
    ConnectionInfo, Handler, Limits, ListenerOptions, ListenerRole, ListenerService,
    ListenerSocket, Server, ServerOptions, Timeouts, TrustedProxies,
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error>;

struct Hello;

impl Handler for Hello {
    type Body = Full<Bytes>;

    async fn handle(&self, _: Request<Incoming>, _: &Arc<ConnectionInfo>) -> Response<Full<Bytes>> {
        Response::new(Full::from("hello"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["plain", count] => measure(ListenerService::Plain(ListenerRole::Gate), count).await,
        ["tls", count] => measure(ListenerService::Tls(ListenerRole::Gate), count).await,
        ["connect", address, count, root] => {
            connect(address.parse()?, count.parse()?, Path::new(root)).await
        }
        _ => Err("say plain or tls, and a count".into()),
    }
}

/// Serves, and has a second process open the connections and report when all have been answered.
async fn measure(service: ListenerService, count: &str) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let files = certificate(folder.path())?;
    let root = match service {
        ListenerService::Tls(_) => files.chain.clone(),
        ListenerService::Plain(_) | ListenerService::Redirect => "-".into(),
    };
    let server = Server::bind(ServerOptions {
        listeners: vec![ListenerOptions {
            socket: ListenerSocket::Bind("127.0.0.1:0".parse()?),
            service,
        }],
        trusted_proxies: TrustedProxies::default(),
        tls: Some(TlsOptions {
            files: vec![files],
            unknown_name: UnknownName::Refuse,
            acme: None,
        }),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
    })?;
    let (_, address) = server.local_addresses()[0];
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.serve(Hello, shutdown.clone()));
    report("before");
    let mut clients = Command::new(std::env::current_exe()?)
        .args(["connect", &address.to_string(), count])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = clients.stdout.take().ok_or("no output")?;
    tokio::task::spawn_blocking(move || ready.read_exact(&mut [0])).await??;
    report("while open");
    drop(clients.stdin.take());
    clients.wait()?;
    shutdown.cancel();
    let drained = serving.await?;
    report(&format!("after {drained:?}"));
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "an example that tells what it measured"
)]
fn report(when: &str) {
    let metrics = octroi_telemetry::metrics::render();
    let wanted = [
        "process_resident_memory_bytes ",
        "octroi_connections_open{listener=\"gate\"}",
    ];
    let lines = metrics
        .lines()
        .filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    println!("{when}: {}", lines.collect::<Vec<_>>().join(", "));
}

fn certificate(folder: &Path) -> Result<CertificateFiles, Failure> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["gate.test".to_owned()])?.self_signed(&key)?;
    let files = CertificateFiles {
        chain: folder.join("gate.crt"),
        key: folder.join("gate.key"),
    };
    std::fs::write(&files.chain, certificate.pem())?;
    std::fs::write(&files.key, key.serialize_pem())?;
    Ok(files)
}

/// The second process: connects, closes its output and keeps the connections until its input ends.
async fn connect(address: SocketAddr, count: usize, root: &Path) -> Result<(), Failure> {
    let mut plain = Vec::new();
    let mut tls = Vec::new();
    let connector = (root != Path::new("-"))
        .then(|| connector(root))
        .transpose()?;
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await?;
        if let Some(connector) = &connector {
            let mut stream = connector
                .connect(ServerName::try_from("gate.test")?, stream)
                .await?;
            ask(&mut stream).await?;
            tls.push(stream);
        } else {
            ask(&mut stream).await?;
            plain.push(stream);
        }
    }
    std::io::stdout().write_all(b".")?;
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

fn connector(root: &Path) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Asks once and reads the answer's first bytes, so that every buffer of the connection was used.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), Failure> {
    let request = b"GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    stream.write_all(request).await?;
    stream.read_u8().await?;
    Ok(())
}
