//! The bytes of requests, made before the clock starts.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server's socket.
    pub address: SocketAddr,
    /// The `Host` field.
    pub host: String,
    /// Path and query.
    pub path: String,
}

impl Target {
    /// The target of a plain HTTP URL.
    ///
    /// # Errors
    /// When it is not one, or its host has no address.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://");
        let rest = rest.with_context(|| format!("{url} does not start with http://"))?;
        let (host, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            printable(host) && printable(path),
            "{url} has to be escaped"
        );
        let with_port = if host.contains(':') {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut addresses = with_port
            .to_socket_addrs()
            .with_context(|| format!("no address for {host}"))?;
        Ok(Self {
            address: addresses
                .next()
                .with_context(|| format!("no address for {host}"))?,
            host: host.to_owned(),
            path: path.to_owned(),
        })
    }

    /// The same server under another name.
    #[must_use]
    pub fn with_host(self, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            ..self
        }
    }

    /// A GET request with these fields beside `Host`.
    #[must_use]
    pub fn get(&self, fields: &[(&str, &str)]) -> Vec<u8> {
        let Self { host, path, .. } = self;
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in fields {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request.push_str("\r\n");
        request.into_bytes()
    }
}

/// What a load sends.
#[derive(Clone, Debug)]
pub enum Requests {
    /// The same bytes over and over.
    Same(Arc<[u8]>),
    /// Each of them once, in order; the load ends with them at the latest.
    Distinct(Arc<[Vec<u8>]>),
}

impl Requests {
    /// The request with this index, if there are so many.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<&[u8]> {
        match self {
            Self::Same(bytes) => Some(bytes),
            Self::Distinct(requests) => requests
                .get(usize::try_from(index).ok()?)
                .map(Vec::as_slice),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_a_target() {
        let target = Target::parse("http://127.0.0.1:8402/a?b=c").unwrap();
        assert_eq!(target.address, "127.0.0.1:8402".parse().unwrap());
        assert_eq!(target.path, "/a?b=c");
        assert_eq!(
            Target::parse("http://127.0.0.1").unwrap().address.port(),
            80
        );
        for url in [
            "https://127.0.0.1/",
            "127.0.0.1:80",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/\r\nX: y",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_request_is_whole() {
        let target = Target::parse("http://127.0.0.1:1/x")
            .unwrap()
            .with_host("shop.test");
        assert_eq!(
            target.get(&[("PAYMENT-SIGNATURE", "e30=")]),
            b"GET /x HTTP/1.1\r\nHost: shop.test\r\nPAYMENT-SIGNATURE: e30=\r\n\r\n"
        );
    }

    #[test]
    fn distinct_requests_run_out() {
        let distinct = Requests::Distinct(Arc::from([b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(distinct.get(1), Some(&b"b"[..]));
        assert_eq!(distinct.get(2), None);
        assert_eq!(
            Requests::Same(Arc::from(*b"a")).get(u64::MAX),
            Some(&b"a"[..])
        );
    }
}
