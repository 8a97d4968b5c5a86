//! Who the client is when proxies stand in front of the gate.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

/// The field in which a proxy tells whom it speaks for.
///
/// Exactly one is believed: a proxy that writes one of them passes the other on as the client
/// sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedField {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
}

/// The proxies in front of the gate.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    field: ForwardedField,
}

impl TrustedProxies {
    /// Trusts the proxies in these networks, which write this field.
    #[must_use]
    pub fn new(networks: Vec<IpNet>, field: ForwardedField) -> Self {
        Self { networks, field }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether this address is one of the proxies.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|net| net.contains(&address))
    }
}

/// The client's address: that of the socket, unless it belongs to a trusted proxy. Then it is the
/// rightmost address in the proxy's field that is not itself a trusted proxy; what stands left of
/// it is the client's own claim. An entry that is no address ends the search at the proxy that
/// wrote it.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> IpAddr {
    let mut nearest = peer.to_canonical();
    if !trusted.contains(nearest) {
        return nearest;
    }
    let name = match trusted.field {
        ForwardedField::XForwardedFor => http::HeaderName::from_static("x-forwarded-for"),
        ForwardedField::Forwarded => FORWARDED,
    };
    let lines: Vec<_> = headers.get_all(name).iter().collect();
    for line in lines.iter().rev() {
        let Ok(line) = line.to_str() else {
            return nearest;
        };
        for entry in line.rsplit(',') {
            let address = match trusted.field {
                ForwardedField::XForwardedFor => node_address(entry.trim()),
                ForwardedField::Forwarded => forwarded_for(entry).and_then(node_address),
            };
            let Some(address) = address else {
                return nearest;
            };
            nearest = address;
            if !trusted.contains(nearest) {
                return nearest;
            }
        }
    }
    nearest
}

/// The `for` parameter of one element. Quoted commas and semicolons cannot occur in an address, so
/// an element that has them ends up as no address.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        (name.trim().eq_ignore_ascii_case("for")).then_some(quoted.unwrap_or(value))
    })
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn node_address(node: &str) -> Option<IpAddr> {
    let bare = match node.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?.0,
        // One colon separates a port from an IPv4 address; more belong to an IPv6 address.
        None => match node.split_once(':') {
            Some((address, port)) if !port.contains(':') => address,
            _ => node,
        },
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn proxies(field: ForwardedField) -> TrustedProxies {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
        TrustedProxies::new(networks.to_vec(), field)
    }

    fn find(peer: &str, field: ForwardedField, lines: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &proxies(field)).to_string()
    }

    const XFF: &str = "x-forwarded-for";

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let x = ForwardedField::XForwardedFor;
        assert_eq!(find("192.0.2.1", x, &[(XFF, "198.51.100.7")]), "192.0.2.1");
        assert_eq!(
            find("10.0.0.1", x, &[(XFF, "198.51.100.7")]),
            "198.51.100.7"
        );
        assert_eq!(
            find("::ffff:10.0.0.1", x, &[(XFF, "198.51.100.7")]),
            "198.51.100.7"
        );
        assert_eq!(find("10.0.0.1", x, &[]), "10.0.0.1");
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        let x = ForwardedField::XForwardedFor;
        let spoofed = [(XFF, "1.1.1.1, 198.51.100.7, 10.2.0.3")];
        assert_eq!(find("10.0.0.1", x, &spoofed), "198.51.100.7");
        let lines = [
            (XFF, "1.1.1.1"),
            (XFF, "198.51.100.7"),
            (XFF, "10.2.0.3, fd00::2"),
        ];
        assert_eq!(find("10.0.0.1", x, &lines), "198.51.100.7");
        assert_eq!(
            find("10.0.0.1", x, &[(XFF, "10.9.9.9,10.8.8.8")]),
            "10.9.9.9"
        );
    }

    #[test]
    fn what_is_no_address_ends_the_search_at_the_proxy_that_wrote_it() {
        let x = ForwardedField::XForwardedFor;
        assert_eq!(
            find("10.0.0.1", x, &[(XFF, "198.51.100.7, unknown")]),
            "10.0.0.1"
        );
        assert_eq!(
            find("10.0.0.1", x, &[(XFF, "1.1.1.1, , 10.2.0.3")]),
            "10.2.0.3"
        );
        assert_eq!(find("10.0.0.1", x, &[(XFF, "")]), "10.0.0.1");
    }

    #[test]
    fn ports_and_brackets_are_read() {
        let x = ForwardedField::XForwardedFor;
        assert_eq!(
            find("10.0.0.1", x, &[(XFF, "198.51.100.7:4711")]),
            "198.51.100.7"
        );
        assert_eq!(
            find("10.0.0.1", x, &[(XFF, "[2001:db8::1]:443")]),
            "2001:db8::1"
        );
        assert_eq!(find("10.0.0.1", x, &[(XFF, "2001:db8::1")]), "2001:db8::1");
        let f = ForwardedField::Forwarded;
        let line = r#"for=1.1.1.1, proto=https;For="[2001:db8::1]:443";by=10.0.0.9"#;
        assert_eq!(find("10.0.0.1", f, &[("forwarded", line)]), "2001:db8::1");
        assert_eq!(
            find("10.0.0.1", f, &[("forwarded", "for=_hidden")]),
            "10.0.0.1"
        );
    }

    #[test]
    fn the_field_that_the_proxy_does_not_write_is_ignored() {
        let lines = [(XFF, "198.51.100.7"), ("forwarded", "for=1.1.1.1")];
        let x = find("10.0.0.1", ForwardedField::XForwardedFor, &lines);
        assert_eq!(x, "198.51.100.7");
        let f = find("10.0.0.1", ForwardedField::Forwarded, &lines);
        assert_eq!(f, "1.1.1.1");
    }

    proptest! {
        #[test]
        fn what_a_client_prepends_changes_nothing(forged in "[ -~]{0,60}") {
            let line = format!("{forged},198.51.100.7, 10.3.3.3");
            let found = find("10.0.0.1", ForwardedField::XForwardedFor, &[(XFF, &line)]);
            prop_assert_eq!(found, "198.51.100.7");
        }
    }
}
