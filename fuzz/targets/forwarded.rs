//! The client's address behind proxies: one that was told, and nothing that stands left of it counts.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use octroi_fuzz::headers;
use octroi_server::{ForwardedField, TrustedProxies, client_address};

const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

fuzz_target!(|text: &[u8]| {
    let headers = headers(text);
    let networks = ["10.0.0.0/8", "fd00::/8"]
        .map(|net| net.parse().expect("a network"))
        .to_vec();
    for (field, name, claim) in [
        (
            ForwardedField::XForwardedFor,
            "x-forwarded-for",
            "203.0.113.66",
        ),
        (ForwardedField::Forwarded, "forwarded", "for=203.0.113.66"),
    ] {
        let proxies = TrustedProxies::new(networks.clone(), field);
        assert_eq!(client_address(STRANGER, &headers, &proxies), STRANGER);
        let found = client_address(PROXY, &headers, &proxies);
        assert!(found == PROXY || is_told(&headers, name, found), "{found}");
        if proxies.contains(found) {
            continue;
        }
        // The client writes before the first proxy does, into the same line or another.
        let mut claimed = HeaderMap::new();
        claimed.append(name, HeaderValue::from_static(claim));
        for (index, line) in headers.get_all(name).iter().enumerate() {
            let line = match index {
                0 => HeaderValue::from_bytes(&[claim.as_bytes(), b", ", line.as_bytes()].concat())
                    .expect("a longer line"),
                _ => line.clone(),
            };
            claimed.append(name, line);
        }
        assert_eq!(client_address(PROXY, &claimed, &proxies), found);
    }
});

/// Whether the field holds this address, in any spelling.
fn is_told(headers: &HeaderMap, name: &str, address: IpAddr) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| {
            line.split([',', ';', '=', '"', '[', ']', ' ', '\t'])
                .any(|word| {
                    let host = word.split_once(':').map_or(word, |(host, _)| host);
                    [word, host].iter().any(|text| {
                        text.parse::<IpAddr>()
                            .is_ok_and(|told| told.to_canonical() == address)
                    })
                })
        })
}
