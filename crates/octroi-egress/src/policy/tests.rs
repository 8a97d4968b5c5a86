use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn refused_addresses() {
    use Refusal::*;
    let policy = AddressPolicy::public_only();
    for (address, refusal) in [
        ("0.0.0.0", Unspecified),
        ("0.1.2.3", Reserved),
        ("10.0.0.1", Private),
        ("10.255.255.255", Private),
        ("100.64.0.0", SharedNat),
        ("100.127.255.255", SharedNat),
        ("100.100.100.200", Metadata),
        ("127.0.0.1", Loopback),
        ("127.255.255.254", Loopback),
        ("168.63.129.16", Metadata),
        ("169.254.0.1", LinkLocal),
        ("169.254.169.254", Metadata),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.0.0.8", Reserved),
        ("192.0.0.192", Metadata),
        ("192.0.2.1", Documentation),
        ("192.88.99.1", Reserved),
        ("192.168.1.1", Private),
        ("198.18.0.1", Benchmark),
        ("198.19.255.255", Benchmark),
        ("198.51.100.7", Documentation),
        ("203.0.113.7", Documentation),
        ("224.0.0.1", Multicast),
        ("239.255.255.255", Multicast),
        ("240.0.0.1", Reserved),
        ("255.255.255.255", Broadcast),
        ("::", Unspecified),
        ("::1", Loopback),
        ("::127.0.0.1", Loopback),
        ("::8.8.8.8", Reserved),
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:0:127.0.0.1", Reserved),
        ("::ffff:169.254.169.254", Metadata),
        ("64:ff9b::10.0.0.1", Private),
        ("64:ff9b::169.254.169.254", Metadata),
        ("64:ff9b:1::8.8.8.8", Reserved),
        ("100::1", Reserved),
        // Teredo: client 10.0.0.1 inverted, server public; then the other way round.
        ("2001:0:808:808:0:0:f5ff:fffe", Private),
        ("2001:0:a00:1:0:0:f7f7:f7f7", Private),
        ("2001:2::1", Benchmark),
        ("2001:10::1", Reserved),
        ("2001:20::1", Reserved),
        ("2001:db8::1", Documentation),
        ("2002:0a00:0001::1", Private),
        ("2002:7f00:0001::1", Loopback),
        ("2a00:1450::5efe:192.168.0.1", Private),
        ("3fff::1", Documentation),
        ("4000::1", Reserved),
        ("5f00::1", Reserved),
        ("fc00::1", UniqueLocal),
        ("fd00:ec2::254", Metadata),
        ("fd12:3456::1", UniqueLocal),
        ("fe80::1", LinkLocal),
        ("fec0::1", Private),
        ("ff02::1", Multicast),
    ] {
        assert_eq!(policy.check_address(ip(address)), Err(refusal), "{address}");
    }
}

#[test]
fn public_addresses_pass() {
    let policy = AddressPolicy::public_only();
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808:0:0:f7f7:f7f7",
        "2001:200::1",
        "2606:4700:4700::1111",
        "2a00:1450:4001::200e",
    ] {
        assert_eq!(policy.check_address(ip(address)), Ok(()), "{address}");
    }
}

#[test]
fn refused_nets_beat_allowed_nets() {
    let policy = AddressPolicy::public_only()
        .allow_net(net("10.0.0.0/8"))
        .refuse_net(net("10.0.0.5/32"))
        .refuse_net(net("8.8.8.0/24"));
    assert_eq!(policy.check_address(ip("10.1.2.3")), Ok(()));
    assert_eq!(policy.check_address(ip("::ffff:10.1.2.3")), Ok(()));
    let operator = Err(Refusal::Operator);
    assert_eq!(policy.check_address(ip("10.0.0.5")), operator);
    assert_eq!(policy.check_address(ip("8.8.8.8")), operator);
    assert_eq!(
        policy.check_address(ip("192.168.0.1")),
        Err(Refusal::Private)
    );
    // A translated form is another way in, so the IPv4 net does not open it.
    assert_eq!(
        policy.check_address(ip("64:ff9b::10.1.2.3")),
        Err(Refusal::Private)
    );
}

#[test]
fn declared_targets_are_allowed_exactly() {
    let target = |text: &str| Target::parse(text).unwrap_or_else(|_| panic!("{text}"));
    let declared = target("http://127.0.0.1:8080");
    let named = target("http://origin.internal:9000");
    let policy = AddressPolicy::public_only()
        .allow_target(declared.host().clone(), declared.port())
        .allow_target(named.host().clone(), named.port());

    assert_eq!(policy.check_target(&declared), Ok(()));
    let loopback = Err(Refusal::Loopback);
    assert_eq!(
        policy.check_target(&target("http://127.0.0.1:8081")),
        loopback
    );
    assert_eq!(
        policy.check_target(&target("http://127.0.0.2:8080")),
        loopback
    );

    let private = [ip("10.0.0.9")];
    assert!(policy.filter(&named, private).is_ok());
    let other_port = target("http://origin.internal:9001");
    assert_eq!(policy.filter(&other_port, private), Err(Refusal::Private));
    let other_name = target("http://other.internal:9000");
    assert_eq!(policy.filter(&other_name, private), Err(Refusal::Private));
}

#[test]
fn mixed_answers_keep_only_the_allowed_addresses() {
    let target = Target::parse("http://example.com").unwrap();
    let policy = AddressPolicy::public_only();
    let allowed = policy.filter(
        &target,
        [ip("127.0.0.1"), ip("1.1.1.1"), ip("::ffff:10.0.0.1")],
    );
    assert_eq!(allowed, Ok(vec![SocketAddr::new(ip("1.1.1.1"), 80)]));
    assert_eq!(policy.filter(&target, []), Ok(Vec::new()));
}

/// An independent reading of "public" from the standard library's own predicates.
fn plainly_local(address: Ipv4Addr) -> bool {
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_unspecified()
}

/// Addresses spread over the interesting nets; uniform ones would nearly all be public.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let first = prop_oneof![
        Just(0u8),
        Just(10),
        Just(100),
        Just(127),
        Just(169),
        Just(172),
        Just(192),
        Just(198),
        Just(203),
        224u8..=255,
        any::<u8>()
    ];
    let second = prop_oneof![
        Just(0u8),
        Just(254),
        Just(168),
        16u8..32,
        64u8..128,
        any::<u8>()
    ];
    (first, second, any::<u8>(), any::<u8>()).prop_map(|(a, b, c, d)| Ipv4Addr::new(a, b, c, d))
}

proptest! {
    #[test]
    fn nothing_plainly_local_passes(address in any_v4()) {
        let judged = AddressPolicy::public_only().check_address(IpAddr::V4(address));
        if plainly_local(address) {
            prop_assert!(judged.is_err());
        }
    }

    #[test]
    fn every_embedded_form_is_refused_with_its_inner_address(address in any_v4(), tail in any::<[u16; 5]>()) {
        let policy = AddressPolicy::public_only();
        let [a, b, c, d] = address.octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let mapped = address.to_ipv6_mapped();
        prop_assert_eq!(
            policy.check_address(IpAddr::V6(mapped)),
            policy.check_address(IpAddr::V4(address))
        );
        if policy.check_address(IpAddr::V4(address)).is_ok() {
            return Ok(());
        }
        let [t1, t2, t3, t4, t5] = tail;
        for form in [
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, t1, t2, t3, t4, t5),
            Ipv6Addr::new(0x2001, 0, high, low, t1, t2, 0xf7f7, 0xf7f7),
            Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, t1, t2, !high, !low),
            Ipv6Addr::new(0x2a00, t1, t2, t3, 0, 0x5efe, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        ] {
            prop_assert!(policy.check_address(IpAddr::V6(form)).is_err(), "{}", form);
        }
    }

    #[test]
    fn outside_global_unicast_nothing_passes_but_translated_public(segments in any::<[u16; 8]>()) {
        let address = Ipv6Addr::from(segments);
        let judged = AddressPolicy::public_only().check_address(IpAddr::V6(address));
        if segments[0] & 0xe000 != 0x2000 && segments[..2] != [0x64, 0xff9b] {
            prop_assert!(judged.is_err());
        }
    }

    #[test]
    fn urls_never_panic_and_never_yield_a_refused_literal(url in "(https?://)?[\\[\\]a-z0-9.:@%/_-]{0,40}|\\PC{0,40}") {
        let policy = AddressPolicy::public_only();
        if let Ok(target) = check_url(&url, &policy) {
            if let Host::Ip(address) = target.host() {
                prop_assert_eq!(policy.check_address(*address), Ok(()));
            }
            // What is shown parses back to the same target.
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
    }

    #[test]
    fn literal_urls_are_judged_as_their_address(address in any_v4(), port in 1u16..) {
        let policy = AddressPolicy::public_only();
        let judged = check_url(&format!("http://{address}:{port}/x"), &policy);
        match policy.check_address(IpAddr::V4(address)) {
            Ok(()) => prop_assert!(judged.is_ok()),
            Err(refusal) => prop_assert_eq!(judged, Err(RefusedTarget::Address(refusal))),
        }
    }
}
