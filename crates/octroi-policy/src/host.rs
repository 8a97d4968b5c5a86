//! `Host` and `:authority`.

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest host name, in bytes (RFC 1035 §2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing, or nothing before the port.
    #[error("the host is empty")]
    Empty,
    /// `user@host`.
    #[error("the host contains user information")]
    UserInfo,
    /// Not letters, digits, `-`, `_` in labels of 1 to 63, or longer than [`HOST_BYTES_MAX`].
    /// International names are written in their ASCII form (`xn--…`).
    #[error("the host is not a name of ASCII letters, digits and hyphens")]
    Name,
    /// Ends in a number without being a dotted IPv4 address (`127.1`, `0x7f.0.0.1`).
    #[error("the host is a malformed IPv4 address")]
    Ipv4,
    /// Brackets without an IPv6 address, or one with a zone.
    #[error("the host is a malformed IPv6 address")]
    Ipv6,
    /// Not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

/// A host in one spelling: lower case, no trailing dot, IPv6 compressed and in brackets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Host<'a> {
    name: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Host<'a> {
    /// Reads the value of `Host` or `:authority`.
    ///
    /// # Errors
    /// [`HostError`]; answer 400.
    pub fn parse(raw: &'a str) -> Result<Self, HostError> {
        if raw.contains('@') {
            return Err(HostError::UserInfo);
        }
        if let Some(bracketed) = raw.strip_prefix('[') {
            let (address, after) = bracketed.split_once(']').ok_or(HostError::Ipv6)?;
            let address: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if after.is_empty() => None,
                None => return Err(HostError::Ipv6),
            };
            return Ok(Self {
                name: Cow::Owned(format!("[{address}]")),
                port,
            });
        }
        let (name, port) = match raw.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (raw, None),
        };
        Ok(Self {
            name: parse_name(name)?,
            port,
        })
    }

    /// The name or address, without the port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, where one was given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether both name the same host and port, given the port of the scheme.
    #[must_use]
    pub fn same_as(&self, other: &Host<'_>, default_port: u16) -> bool {
        self.name == other.name
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }

    /// Whether the host is this machine: `localhost`, `*.localhost` (RFC 6761 §6.3), `127.0.0.0/8`
    /// or `[::1]`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        *self.name == *"localhost"
            || self.name.ends_with(".localhost")
            || *self.name == *"[::1]"
            || self
                .name
                .parse::<Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// The same host, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Host<'static> {
        Host {
            name: Cow::Owned(self.name.into_owned()),
            port: self.port,
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse_port(text: &str) -> Result<u16, HostError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    text.parse()
        .ok()
        .filter(|&port| port > 0)
        .ok_or(HostError::Port)
}

fn parse_name(raw: &str) -> Result<Cow<'_, str>, HostError> {
    let name = raw.strip_suffix('.').unwrap_or(raw);
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    let valid_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > HOST_BYTES_MAX || !name.split('.').all(valid_label) {
        return Err(HostError::Name);
    }
    if ends_in_number(name) && name.parse::<Ipv4Addr>().is_err() {
        return Err(HostError::Ipv4);
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Ok(Cow::Owned(name.to_ascii_lowercase()))
    } else {
        Ok(Cow::Borrowed(name))
    }
}

/// Whether URL parsers take the name for an IPv4 address (WHATWG URL, "ends in a number").
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hex.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_has_one_spelling() {
        for (raw, normal) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.:8402", "example.com:8402"),
            ("localhost", "localhost"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:0443", "[::1]:443"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("a_b.example", "a_b.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            let host = Host::parse(raw).unwrap();
            assert_eq!(host.to_string(), normal);
            assert_eq!(Host::parse(normal).unwrap(), host);
        }
    }

    #[test]
    fn hosts_with_two_meanings_are_refused() {
        for (raw, error) in [
            ("", HostError::Empty),
            (":80", HostError::Empty),
            (".", HostError::Empty),
            ("user@example.com", HostError::UserInfo),
            ("a@b@c", HostError::UserInfo),
            ("exa mple.com", HostError::Name),
            ("example..com", HostError::Name),
            ("-a.example", HostError::Name),
            ("example.com/x", HostError::Name),
            ("exam%70le.com", HostError::Name),
            ("bücher.example", HostError::Name),
            ("example.com,evil.com", HostError::Name),
            ("a\0b", HostError::Name),
            ("127.1", HostError::Ipv4),
            ("0x7f.0.0.1", HostError::Ipv4),
            ("0x7f000001", HostError::Ipv4),
            ("2130706433", HostError::Ipv4),
            ("127.0.0.01", HostError::Ipv4),
            ("[::1", HostError::Ipv6),
            ("[fe80::1%25eth0]", HostError::Ipv6),
            ("[::1]x", HostError::Ipv6),
            ("[127.0.0.1]", HostError::Ipv6),
            ("::1", HostError::Port),
            ("a:", HostError::Port),
            ("a:0", HostError::Port),
            ("a:+80", HostError::Port),
            ("a:65536", HostError::Port),
            ("a:80:80", HostError::Port),
        ] {
            assert_eq!(Host::parse(raw), Err(error), "{raw:?}");
        }
        let long = format!(
            "{}.example",
            ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".")
        );
        assert!(Host::parse(&long).is_ok());
        assert_eq!(
            Host::parse(&format!("{}.{long}", "d".repeat(63))),
            Err(HostError::Name)
        );
    }

    #[test]
    fn a_missing_port_is_the_port_of_the_scheme() {
        let host = |raw| Host::parse(raw).unwrap();
        assert!(host("A.example:443").same_as(&host("a.example."), 443));
        assert!(!host("a.example:80").same_as(&host("a.example"), 443));
    }

    #[test]
    fn loopback_hosts_are_known() {
        for raw in ["localhost", "a.localhost:1", "127.8.0.1", "[::1]"] {
            assert!(Host::parse(raw).unwrap().is_loopback(), "{raw}");
        }
        for raw in [
            "localhost.example",
            "128.0.0.1",
            "[::2]",
            "127.0.0.1.example",
        ] {
            assert!(!Host::parse(raw).unwrap().is_loopback(), "{raw}");
        }
    }
}
