//! Where a connection goes: scheme, host and port, parsed strictly from a URL.
//!
//! One parser serves the configuration, redirects and the address policy, so two readings of the same
//! URL cannot differ.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;

/// Longest host name in text form (RFC 1035 §2.3.4, without the root dot).
const NAME_BYTES_MAX: usize = 253;
/// Longest label of a host name (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// The two schemes that leave the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS with the target's name verified.
    Https,
}

impl Scheme {
    /// The port a URL of this scheme means when it names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A host as it stands in a URL: a DNS name in lower case without root dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to resolve.
    Name(Box<str>),
    /// A literal address; a v4-mapped IPv6 literal is kept as the IPv4 address it means.
    Ip(IpAddr),
}

/// An origin: the part of a URL that decides which socket is opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Why a URL names no usable target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL at all, or not an absolute one.
    #[error("not an absolute url")]
    NotAbsolute,
    /// A scheme other than `http` and `https`.
    #[error("scheme is neither http nor https")]
    Scheme,
    /// `user:password@` stands before the host.
    #[error("url carries credentials")]
    Credentials,
    /// The host is empty, too long, has a bad character, or looks like an address but is none.
    #[error("host is malformed")]
    Host,
    /// Port zero, or a port that is no number up to 65535.
    #[error("port is malformed")]
    Port,
    /// A path, query or fragment where only an origin is wanted.
    #[error("an origin has no path or query")]
    NotAnOrigin,
}

impl Target {
    /// A target from its parts; port zero is refused.
    pub fn new(scheme: Scheme, host: Host, port: u16) -> Result<Self, TargetError> {
        if port == 0 {
            return Err(TargetError::Port);
        }
        Ok(Self { scheme, host, port })
    }

    /// Parses an origin such as `https://api.example.com` or `http://[::1]:8080/`.
    pub fn parse(origin: &str) -> Result<Self, TargetError> {
        let uri: Uri = origin.parse().map_err(|_| TargetError::NotAbsolute)?;
        let target = Self::from_uri(&uri)?;
        // `Uri` drops fragments silently, hence the look at the text.
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || origin.contains('#') {
            return Err(TargetError::NotAnOrigin);
        }
        Ok(target)
    }

    /// The target of an absolute URL; its path and query do not matter here.
    pub fn from_uri(uri: &Uri) -> Result<Self, TargetError> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(TargetError::Scheme),
            None => return Err(TargetError::NotAbsolute),
        };
        let authority = uri.authority().ok_or(TargetError::NotAbsolute)?.as_str();
        if authority.contains('@') {
            return Err(TargetError::Credentials);
        }
        let (host, port) = split_port(authority)?;
        Self::new(
            scheme,
            host.parse()?,
            port.unwrap_or_else(|| scheme.default_port()),
        )
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's own when the URL named none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl FromStr for Host {
    type Err = TargetError;

    /// Reads a name, an IPv4 address in dotted decimal, or an IPv6 address in brackets without zone.
    ///
    /// A name whose last label is a number is refused unless it is dotted decimal: resolvers read
    /// `127.1`, `0x7f.1` and `2130706433` as addresses, and a second reading is how filters get
    /// fooled.
    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(TargetError::Host)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| TargetError::Host)?;
            return Ok(Self::Ip(IpAddr::V6(address).to_canonical()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(TargetError::Host);
        }
        if !name.split('.').all(is_label) || name.rsplit('.').next().is_some_and(is_number) {
            return Err(TargetError::Host);
        }
        Ok(Self::Name(name.to_ascii_lowercase().into_boxed_str()))
    }
}

fn is_label(label: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = label.as_bytes();
    bytes.len() <= LABEL_BYTES_MAX
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// As the WHATWG URL standard's "ends in a number" check: decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Splits `host[:port]`; the colon inside an IPv6 literal belongs to the host.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), TargetError> {
    let host_end = if authority.starts_with('[') {
        authority.find(']').ok_or(TargetError::Host)? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(host_end);
    let Some(digits) = rest.strip_prefix(':') else {
        return if rest.is_empty() {
            Ok((host, None))
        } else {
            Err(TargetError::Host)
        };
    };
    // `u16::from_str` also takes a plus sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetError::Port);
    }
    let port = digits.parse().map_err(|_| TargetError::Port)?;
    Ok((host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_and_shown_canonically() {
        for (given, shown) in [
            ("http://example.com", "http://example.com"),
            ("https://EXAMPLE.com.:443/", "https://example.com"),
            (
                "https://api.example.com:8443",
                "https://api.example.com:8443",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[::ffff:10.0.0.1]", "http://10.0.0.1"),
            (
                "http://xn--bcher-kva.example",
                "http://xn--bcher-kva.example",
            ),
            ("http://a_b.example", "http://a_b.example"),
        ] {
            let target = Target::parse(given).unwrap_or_else(|error| panic!("{given}: {error}"));
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn doubtful_targets_are_refused() {
        for (given, error) in [
            ("", TargetError::NotAbsolute),
            ("/path", TargetError::NotAbsolute),
            ("example.com", TargetError::NotAbsolute),
            ("ftp://example.com", TargetError::Scheme),
            ("http://user@example.com", TargetError::Credentials),
            ("http://user:pw@example.com", TargetError::Credentials),
            ("http://example.com@10.0.0.1", TargetError::Credentials),
            ("http://2130706433", TargetError::Host),
            ("http://127.1", TargetError::Host),
            ("http://0x7f.0.0.1", TargetError::Host),
            ("http://0x7f000001", TargetError::Host),
            ("http://0177.0.0.1", TargetError::Host),
            ("http://127.0.0.1.", TargetError::Host),
            ("http://a..example", TargetError::Host),
            ("http://-a.example", TargetError::Host),
            ("http://[fe80::1%25eth0]", TargetError::Host),
            ("http://example.com:0", TargetError::Port),
            ("http://example.com/path", TargetError::NotAnOrigin),
            ("http://example.com/?q", TargetError::NotAnOrigin),
            ("http://example.com/#f", TargetError::NotAnOrigin),
        ] {
            match Target::parse(given) {
                Ok(target) => panic!("{given} was read as {target}"),
                // The URL parser below may object first; what matters is that nothing passes.
                Err(found) => assert!(
                    found == error || found == TargetError::NotAbsolute,
                    "{given}: {found:?}"
                ),
            }
        }
    }
}
