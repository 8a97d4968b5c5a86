//! `Content-Digest`: what is believed is written there, and every `sha-256` that is there is it.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use octroi_fuzz::headers;
use octroi_proxy::fuzzing::announced_digest;
use octroi_types::ErrorCode;

fuzz_target!(|text: &[u8]| {
    let headers = headers(text);
    let members: Vec<_> = headers
        .get_all("content-digest")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|member| member.starts_with("sha-256="))
        .collect();
    match announced_digest(&headers) {
        Ok(Some(digest)) => {
            let written = format!("sha-256=:{}:", STANDARD.encode(digest));
            assert!(!members.is_empty());
            assert!(
                members.iter().all(|member| *member == written),
                "{members:?}"
            );
        }
        Ok(None) => assert!(members.is_empty(), "{members:?}"),
        Err(code) => assert_eq!(code, ErrorCode::BadRequest),
    }
});
