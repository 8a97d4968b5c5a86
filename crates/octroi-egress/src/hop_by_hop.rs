//! Headers that belong to one connection and must not cross a proxy (RFC 9110 §7.6.1), as pure
//! functions over a header map.
//!
//! A proxy calls [`strip_request`] on what it forwards to an origin and [`strip_response`] on what it
//! hands back, and re-adds what its own side needs. [`Upstream::send`](crate::Upstream::send) sets the
//! framing and `Host` by itself.

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Removes from a request everything that concerned only the connection it came on.
///
/// `TE: trailers` stays, because trailers are passed end to end; every other coding goes.
/// Framing headers go too: the outgoing side frames the body anew.
pub fn strip_request(headers: &mut HeaderMap) {
    let takes_trailers = has_token(headers, &TE, "trailers");
    strip(headers);
    headers.remove(TE);
    headers.remove(PROXY_AUTHORIZATION);
    headers.remove(HTTP2_SETTINGS);
    if takes_trailers {
        headers.insert(TE, TRAILERS);
    }
}

/// Removes from a response everything that concerned only the connection it came on.
///
/// A `Content-Length` beside `Transfer-Encoding` says nothing about the body (RFC 9112 §6.3) and is
/// removed; a repeated one is folded into one.
pub fn strip_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip(headers);
    headers.remove(TE);
    headers.remove(PROXY_AUTHENTICATE);
    fold_content_length(headers);
}

/// Whether a request asks to become a WebSocket. Only this protocol may be switched to: `h2c` or an
/// unknown one would carry further requests past the gate.
#[must_use]
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let first = protocols.next().is_some_and(|protocol| {
        protocol
            .as_bytes()
            .eq_ignore_ascii_case(WEBSOCKET.as_bytes())
    });
    first && protocols.next().is_none() && has_token(headers, &CONNECTION, "upgrade")
}

/// Puts the two headers of a WebSocket handshake back after stripping, in a request or a 101 response.
pub fn set_websocket_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether a comma-separated header holds a token, in any case, with or without parameters.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .any(|value| tokens(value).any(|found| found.eq_ignore_ascii_case(token.as_bytes())))
}

fn strip(headers: &mut HeaderMap) {
    strip_nominated(headers);
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    headers.remove(UPGRADE);
}

/// Removes `Connection` and the headers it names. `Host` and `Content-Length` are no options of a
/// connection, whoever says so.
fn strip_nominated(headers: &mut HeaderMap) {
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else {
        return;
    };
    let nominated: Vec<HeaderName> = connection
        .iter()
        .flat_map(tokens)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| name != HOST && name != CONTENT_LENGTH)
        .collect();
    connection.remove_entry_mult();
    for name in nominated {
        headers.remove(name);
    }
}

fn fold_content_length(headers: &mut HeaderMap) {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else { return };
    if values.next().is_none() && !first.as_bytes().contains(&b',') {
        return;
    }
    // hyper has already refused responses whose lengths differ.
    let folded = tokens(first).next().map(HeaderValue::from_bytes);
    match folded {
        Some(Ok(length)) => headers.insert(CONTENT_LENGTH, length),
        Some(Err(_)) | None => headers.remove(CONTENT_LENGTH),
    };
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(|part| part.split(|byte| *byte == b';').next().unwrap_or(part))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn appended(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_request_loses_what_belonged_to_its_connection() {
        let mut headers = appended(&[
            ("connection", "Keep-Alive, X-One"),
            ("connection", "x-two ;q=1,,"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic secret"),
            ("te", "gzip;q=0.5, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("trailer", "x-sum"),
        ]);
        strip_request(&mut headers);
        let expected = map(&[("te", "trailers"), ("x-three", "3"), ("trailer", "x-sum")]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn nomination_cannot_remove_host_or_length() {
        let mut headers = map(&[
            ("connection", "host, content-length, cookie"),
            ("host", "example.com"),
            ("content-length", "3"),
            ("cookie", "a=b"),
        ]);
        strip_request(&mut headers);
        assert_eq!(
            headers,
            map(&[("host", "example.com"), ("content-length", "3")])
        );
    }

    #[test]
    fn a_response_never_keeps_two_framings() {
        let mut headers = map(&[
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("server", "x"),
        ]);
        strip_response(&mut headers);
        assert_eq!(headers, map(&[("server", "x")]));

        for lines in [
            &[("content-length", "5"), ("content-length", "5")][..],
            &[("content-length", "5, 5")][..],
        ] {
            let mut headers = appended(lines);
            strip_response(&mut headers);
            assert_eq!(headers, map(&[("content-length", "5")]));
        }
    }

    #[test]
    fn only_a_plain_websocket_upgrade_counts() {
        let asks = |lines: &[(&str, &str)]| asks_for_websocket(&appended(lines));
        assert!(asks(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket")
        ]));
        assert!(!asks(&[("connection", "upgrade"), ("upgrade", "h2c")]));
        assert!(!asks(&[
            ("connection", "upgrade"),
            ("upgrade", "websocket, h2c")
        ]));
        assert!(!asks(&[
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("upgrade", "h2c")
        ]));
        assert!(!asks(&[("upgrade", "websocket")]));
        assert!(!asks(&[("connection", "upgrade")]));

        let mut headers = HeaderMap::new();
        set_websocket_upgrade(&mut headers);
        assert!(asks_for_websocket(&headers));
    }

    proptest! {
        #[test]
        fn stripping_twice_changes_nothing_and_leaves_no_connection_header(
            lines in prop::collection::vec(
                (
                    prop::sample::select(vec![
                        "connection", "te", "upgrade", "keep-alive", "transfer-encoding",
                        "content-length", "x-a", "x-b", "trailer", "proxy-connection",
                    ]),
                    "[a-z, ;=-]{0,20}|x-a, x-b|trailers|5",
                ),
                0..12,
            )
        ) {
            let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut headers = appended(&lines);
            let nominates = has_token(&headers, &CONNECTION, "x-a");
            strip_request(&mut headers);
            for name in ["connection", "upgrade", "keep-alive", "transfer-encoding", "proxy-connection"] {
                prop_assert!(!headers.contains_key(name));
            }
            prop_assert!(!(nominates && headers.contains_key("x-a")));
            let once = headers.clone();
            strip_request(&mut headers);
            prop_assert_eq!(&once, &headers);

            let mut response = appended(&lines);
            strip_response(&mut response);
            prop_assert!(!response.contains_key(CONNECTION));
            prop_assert!(!response.contains_key(TRANSFER_ENCODING));
            prop_assert!(response.get_all(CONTENT_LENGTH).iter().count() <= 1);
        }
    }
}
