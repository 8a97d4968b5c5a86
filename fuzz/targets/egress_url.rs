//! No spelling of a private address passes the way out.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use octroi_egress::{AddressPolicy, Host, check_url};

fuzz_target!(|url: &str| {
    let policy = AddressPolicy::public_only();
    if let Ok(target) = check_url(url, &policy)
        && let Host::Ip(address) = target.host()
    {
        let local = match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
        };
        assert!(!local, "{url}");
    }
});
