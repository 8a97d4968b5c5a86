//! Host names of requests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_policy::Host;

fuzz_target!(|raw: &str| {
    if let Ok(host) = Host::parse(raw) {
        assert!(!host.name().is_empty());
        assert!(!host.name().bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' '));
    }
});
