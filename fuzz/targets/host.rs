//! Host names of requests: what is read has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use octroi_policy::Host;

fuzz_target!(|raw: &str| {
    if let Ok(host) = Host::parse(raw) {
        assert!(!host.name().is_empty());
        assert!(
            !host
                .name()
                .bytes()
                .any(|byte| byte.is_ascii_uppercase() || byte <= b' ')
        );
        assert_eq!(Host::parse(&host.to_string()).as_ref(), Ok(&host));
        assert!(host.same_as(
            &Host::parse(&raw.to_ascii_uppercase()).expect("case is no matter"),
            80
        ));
    }
});
