//! Headers of one connection: none crosses, every other one does, and no peer can strip what frames
//! or routes a message by naming it in `Connection`.
#![no_main]

use http::HeaderMap;
use libfuzzer_sys::fuzz_target;
use octroi_egress::hop_by_hop::{
    asks_for_websocket, set_websocket_upgrade, strip_request, strip_response,
};
use octroi_fuzz::headers;

const BOTH: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];
const REQUEST: &[&str] = &["proxy-authorization", "http2-settings"];
const RESPONSE: &[&str] = &["proxy-authenticate", "te"];

fuzz_target!(|text: &[u8]| {
    let before = headers(text);

    let mut request = before.clone();
    strip_request(&mut request);
    check(&before, &request, REQUEST, "te");
    assert!(
        request
            .get_all("te")
            .iter()
            .all(|coding| coding == "trailers")
    );
    assert!(!asks_for_websocket(&request));
    let once = request.clone();
    strip_request(&mut request);
    assert_eq!(request, once);
    set_websocket_upgrade(&mut request);
    assert!(asks_for_websocket(&request));

    let mut response = before.clone();
    strip_response(&mut response);
    check(&before, &response, RESPONSE, "content-length");
    assert!(response.get_all("content-length").iter().count() <= 1);
    let once = response.clone();
    strip_response(&mut response);
    assert_eq!(response, once);
});

/// `apart` is a field with rules of its own.
fn check(before: &HeaderMap, after: &HeaderMap, one_way: &[&str], apart: &str) {
    let named: Vec<String> = before
        .get_all("connection")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|token| {
            token
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or(token)
                .trim_ascii()
        })
        .map(|token| String::from_utf8_lossy(token).to_ascii_lowercase())
        .filter(|token| token != "host" && token != "content-length")
        .collect();
    for name in before
        .keys()
        .chain(after.keys())
        .filter(|name| *name != apart)
    {
        let text = name.as_str();
        let stays =
            !BOTH.contains(&text) && !one_way.contains(&text) && !named.iter().any(|n| n == text);
        let expected: Vec<_> = before.get_all(name).iter().filter(|_| stays).collect();
        assert_eq!(
            after.get_all(name).iter().collect::<Vec<_>>(),
            expected,
            "{name}"
        );
    }
}
