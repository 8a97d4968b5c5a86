//! The rules that every request meets first: what passes names one host, the same one everywhere, and
//! is otherwise as it came.
#![no_main]

use http::{Request, Version};
use libfuzzer_sys::fuzz_target;
use octroi_fuzz::{first_line, headers};
use octroi_policy::Host;
use octroi_server::fuzzing::check_request;

fuzz_target!(|text: &[u8]| {
    let (line, fields) = first_line(text);
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        let Some(mut request) = request(version, line, fields) else {
            return;
        };
        let before = request.headers().clone();
        if check_request(&mut request).is_err() {
            continue;
        }
        let hosts: Vec<_> = request.headers().get_all("host").iter().collect();
        let [host] = hosts[..] else {
            panic!("{hosts:?}")
        };
        let host = host.to_str().expect("a host is text");
        assert!(
            !host.contains(|c: char| c.is_whitespace() || "/@,?#\\%".contains(c)),
            "{host:?}"
        );
        if let Some(authority) = request.uri().authority() {
            assert!(authority.as_str().eq_ignore_ascii_case(host));
        }
        assert!(request.uri().path().starts_with('/'));
        let mut others = request.headers().clone();
        others.remove("host");
        let mut came = before;
        let had_host = came.remove("host").is_some();
        assert_eq!(others, came);
        // What is looked up has one spelling, and is the host that was named.
        if let Ok(found) = Host::parse(host) {
            let text = found.to_string();
            assert_eq!(Host::parse(&text).as_ref(), Ok(&found));
            if !host.starts_with('[') {
                let named = host.split(':').next().unwrap_or(host);
                let named = named.strip_suffix('.').unwrap_or(named);
                assert!(named.eq_ignore_ascii_case(found.name()));
            }
        }
        // A `Host` that was added may be one field too many for a second time.
        if had_host {
            let passed = request.headers().clone();
            assert_eq!(check_request(&mut request), Ok(()));
            assert_eq!(*request.headers(), passed);
        }
    }
});

/// `METHOD target`, and the fields.
fn request(version: Version, line: &[u8], fields: &[u8]) -> Option<Request<()>> {
    let (method, target) = str::from_utf8(line).ok()?.split_once(' ')?;
    let mut request = Request::builder()
        .version(version)
        .method(method)
        .uri(target)
        .body(())
        .ok()?;
    *request.headers_mut() = headers(fields);
    Some(request)
}
