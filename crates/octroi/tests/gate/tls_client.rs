//! A client that speaks TLS, and certificates for it to trust.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use octroi_testkit::{Answer, Connection, H2Connection, Request, within};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Speaks to one address, under any name.
pub(crate) struct TlsClient {
    address: SocketAddr,
    roots: RootCertStore,
}

impl TlsClient {
    pub(crate) fn trusting(address: SocketAddr, certificates: &[&CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add((*certificate).clone()).unwrap();
        }
        Self { address, roots }
    }

    /// Asks for a host and offers protocols. A host that is an address is not named to the server.
    pub(crate) async fn shake_hands(
        &self,
        host: &str,
        protocols: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
        within("a TLS handshake", shaken).await
    }

    /// Opens a connection for HTTP/1.1.
    pub(crate) async fn connect(&self, host: &str) -> Connection<TlsStream<TcpStream>> {
        let stream = self.shake_hands(host, &["http/1.1"]).await.unwrap();
        Connection::over(stream, self.address)
    }

    /// Opens a connection for whatever the server likes best, which must be HTTP/2.
    pub(crate) async fn connect_h2(&self, host: &str) -> H2Connection {
        let stream = self.shake_hands(host, &["http/1.1", "h2"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        H2Connection::over(stream, self.address, "https").await
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, host: &str, request: &Request) -> Answer {
        let mut connection = self.connect(host).await;
        connection.send(&request.clone().host(host)).await;
        connection.answer().await
    }
}

/// A certificate for a host, signed by itself.
pub(crate) struct SelfSigned {
    pub(crate) der: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

impl SelfSigned {
    pub(crate) fn of(host: &str) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        Self {
            der: certified.cert.der().clone(),
            certificate_pem: certified.cert.pem(),
            key_pem: certified.signing_key.serialize_pem(),
        }
    }
}
