//! What every request must be like before anything else looks at it.
//!
//! [`head_guard`](crate::head_guard) and hyper's HTTP/2 have refused what is malformed. These rules
//! add what an intermediary must not leave open to interpretation, whatever the protocol.

use http::header::{HOST, HeaderValue};
use http::{Method, Request, Version};
use octroi_types::ErrorCode;

use crate::options::{HEADER_COUNT_MAX, Limits};
use crate::refusal::Refusal;

/// Checks a request; afterwards there is exactly one well-formed `Host`, whatever the protocol.
pub(crate) fn check<B>(request: &mut Request<B>, limits: &Limits) -> Result<(), Refusal> {
    check_sizes(request, limits)?;
    check_target(request)?;
    check_host(request)
}

fn check_sizes<B>(request: &Request<B>, limits: &Limits) -> Result<(), Refusal> {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |host| host.as_str().len());
    if path + authority > limits.uri_bytes_max {
        return Err(Refusal::URI_TOO_LONG);
    }
    let headers = request.headers();
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > limits.header_bytes_max || headers.len() > HEADER_COUNT_MAX {
        return Err(Refusal::HEADERS_TOO_LARGE);
    }
    Ok(())
}

/// Only paths are served: no tunnels, no `OPTIONS *`, no scheme that is not HTTP.
fn check_target<B>(request: &Request<B>) -> Result<(), Refusal> {
    if request.method() == Method::CONNECT {
        return Err(Refusal::new(
            ErrorCode::MethodNotAllowed,
            "this is not a forward proxy",
        ));
    }
    let scheme = request.uri().scheme_str().unwrap_or("http");
    if !request.uri().path().starts_with('/') || !["http", "https"].contains(&scheme) {
        return Err(Refusal::new(
            ErrorCode::MalformedPath,
            "the request target must be a path",
        ));
    }
    Ok(())
}

fn check_host<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    const MALFORMED: Refusal = Refusal::new(
        ErrorCode::MalformedHost,
        "the request must name one host, the same one wherever it names it",
    );
    let authority = request.uri().authority();
    let mut fields = request.headers().get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(MALFORMED);
    }
    match (field, authority) {
        (None, None) => Err(MALFORMED),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(MALFORMED),
        (Some(host), Some(authority)) => {
            let same = host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes());
            if same && is_host(host.as_bytes()) {
                Ok(())
            } else {
                Err(MALFORMED)
            }
        }
        (None, Some(authority)) => {
            // HTTP/1.1 asks for the field even where the target has an authority.
            let host = authority.as_str();
            if request.version() < Version::HTTP_2 || !is_host(host.as_bytes()) {
                return Err(MALFORMED);
            }
            let host = HeaderValue::from_str(host).map_err(|_| MALFORMED)?;
            request.headers_mut().insert(HOST, host);
            Ok(())
        }
    }
}

/// A DNS name, an IPv4 address or a bracketed IPv6 address, with or without a port. Stricter than
/// RFC 3986, whose `reg-name` and `userinfo` no client of ours needs.
fn is_host(text: &[u8]) -> bool {
    let (name, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let (address, after) = rest.split_at(end);
            let address = str::from_utf8(address).unwrap_or_default();
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (&b"v6"[..], &after[1..])
        }
        None => {
            let end = text.iter().position(|byte| *byte == b':');
            text.split_at(end.unwrap_or(text.len()))
        }
    };
    let name_fits = (1..=253).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(byte));
    let port_fits = match port.strip_prefix(b":") {
        Some(digits) => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        None => port.is_empty(),
    };
    name_fits && port_fits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(version: Version, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    fn verdict(version: Version, target: &str, headers: &[(&str, &str)]) -> Option<ErrorCode> {
        let mut request = request(version, target, headers);
        let verdict = check(&mut request, &Limits::default());
        if verdict.is_ok() {
            assert_eq!(request.headers().get_all(HOST).iter().count(), 1);
        }
        verdict.err().map(|refusal| refusal.code)
    }

    #[test]
    fn one_host_is_named_and_it_is_the_same_everywhere() {
        let malformed = Some(ErrorCode::MalformedHost);
        let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
        assert_eq!(verdict(h1, "/", &[("host", "a.example")]), None);
        assert_eq!(verdict(h1, "/", &[]), malformed);
        assert_eq!(verdict(Version::HTTP_10, "/", &[]), malformed);
        assert_eq!(verdict(h1, "/", &[("host", "a"), ("host", "a")]), malformed);
        assert_eq!(verdict(h1, "http://a/", &[("host", "A")]), None);
        assert_eq!(verdict(h1, "http://a/", &[("host", "b")]), malformed);
        assert_eq!(verdict(h1, "http://a/", &[]), malformed);
        assert_eq!(verdict(h2, "https://a/", &[]), None);
        assert_eq!(verdict(h2, "https://a/", &[("host", "a")]), None);
        assert_eq!(verdict(h2, "https://a/", &[("host", "b")]), malformed);
        assert_eq!(verdict(h2, "https://u@a/", &[]), malformed);
        assert_eq!(verdict(h2, "https://a:443/", &[("host", "a")]), malformed);
    }

    #[test]
    fn hosts_are_names_or_addresses_with_an_optional_port() {
        for good in [
            "a",
            "a.b-c.d",
            "a_b",
            "1.2.3.4:80",
            "[::1]",
            "[2001:db8::1]:8402",
            "a:",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a,b", "u@a", "a/b", "a:b", "a:1:2", "[::1", "[g]", "::1", "[::1]x",
            "a:123456", "a\u{e9}", "a?b", "a#b", "%61",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn targets_are_paths() {
        let host = [("host", "a")];
        let verdict = |target| verdict(Version::HTTP_11, target, &host);
        assert_eq!(verdict("/a?b"), None);
        assert_eq!(verdict("//a/b"), None);
        assert_eq!(verdict("*"), Some(ErrorCode::MalformedPath));
        assert_eq!(verdict("ftp://a/b"), Some(ErrorCode::MalformedPath));
        let mut connect = request(Version::HTTP_11, "a:443", &host);
        *connect.method_mut() = Method::CONNECT;
        let refused = check(&mut connect, &Limits::default()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::MethodNotAllowed);
    }

    #[test]
    fn sizes_are_limited() {
        let long = format!("/{}", "a".repeat(8 * 1_024));
        let verdict =
            |target: &str, headers: &[(&str, &str)]| verdict(Version::HTTP_11, target, headers);
        assert_eq!(verdict(&long[..8 * 1_024], &[("host", "a")]), None);
        assert_eq!(
            verdict(&long, &[("host", "a")]),
            Some(ErrorCode::UriTooLong)
        );
        let large = "a".repeat(16 * 1_024 - 6);
        assert_eq!(verdict("/", &[("host", "a"), ("b", &large)]), None);
        let larger = "a".repeat(16 * 1_024 - 5);
        let refused = Some(ErrorCode::HeadersTooLarge);
        assert_eq!(verdict("/", &[("host", "a"), ("b", &larger)]), refused);
        let many: Vec<_> = std::iter::once(("host", "a"))
            .chain(std::iter::repeat_n(("x", ""), HEADER_COUNT_MAX))
            .collect();
        assert_eq!(verdict("/", &many), refused);
        assert_eq!(verdict("/", &many[..HEADER_COUNT_MAX]), None);
    }

    proptest! {
        #[test]
        fn a_host_holds_nothing_that_could_end_or_split_it(text in "[\\PC ]{0,40}") {
            if is_host(text.as_bytes()) {
                let forbidden = |c: char| c.is_whitespace() || c.is_control() || "/@,?#\\%".contains(c);
                prop_assert!(!text.contains(forbidden), "{}", text);
                let authority: http::uri::Authority = text.parse().unwrap();
                prop_assert_eq!(authority.as_str(), text);
            }
        }
    }
}
