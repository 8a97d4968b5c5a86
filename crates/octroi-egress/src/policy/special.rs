//! Addresses that are not public unicast, from the IANA special-purpose registries (RFC 6890 and its
//! successors), plus the ones that cloud providers answer metadata on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::Refusal;

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, d: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// First match wins, so single addresses stand before the nets that hold them.
const REFUSED_V4: [(Ipv4Net, Refusal); 19] = [
    // Instance metadata: the link-local one nearly everywhere, Alibaba, Oracle, and Azure's wire
    // server, whose address looks public.
    (v4(169, 254, 169, 254, 32), Refusal::Metadata),
    (v4(100, 100, 100, 200, 32), Refusal::Metadata),
    (v4(192, 0, 0, 192, 32), Refusal::Metadata),
    (v4(168, 63, 129, 16, 32), Refusal::Metadata),
    (v4(0, 0, 0, 0, 32), Refusal::Unspecified),
    // "This network": Linux connects 0.0.0.0 to the local machine.
    (v4(0, 0, 0, 0, 8), Refusal::Reserved),
    (v4(10, 0, 0, 0, 8), Refusal::Private),
    (v4(100, 64, 0, 0, 10), Refusal::SharedNat),
    (v4(127, 0, 0, 0, 8), Refusal::Loopback),
    (v4(169, 254, 0, 0, 16), Refusal::LinkLocal),
    (v4(172, 16, 0, 0, 12), Refusal::Private),
    (v4(192, 0, 0, 0, 24), Refusal::Reserved),
    (v4(192, 0, 2, 0, 24), Refusal::Documentation),
    // Deprecated 6to4 relays (RFC 7526).
    (v4(192, 88, 99, 0, 24), Refusal::Reserved),
    (v4(192, 168, 0, 0, 16), Refusal::Private),
    (v4(198, 18, 0, 0, 15), Refusal::Benchmark),
    (v4(198, 51, 100, 0, 24), Refusal::Documentation),
    (v4(203, 0, 113, 0, 24), Refusal::Documentation),
    (v4(224, 0, 0, 0, 4), Refusal::Multicast),
];

/// Inside the global unicast block; everything outside that block is refused by default.
const REFUSED_V6: [(Ipv6Net, Refusal); 4] = [
    (v6(0x2001, 0x2, 0, 0, 48), Refusal::Benchmark),
    (v6(0x2001, 0xdb8, 0, 0, 32), Refusal::Documentation),
    (v6(0x3fff, 0, 0, 0, 20), Refusal::Documentation),
    // Protocol assignments; Teredo is read before this.
    (v6(0x2001, 0, 0, 0, 23), Refusal::Reserved),
];

/// Outside the global unicast block, only to name the reason.
const NAMED_V6: [(Ipv6Net, Refusal); 7] = [
    (v6(0xfd00, 0xec2, 0, 0, 64), Refusal::Metadata),
    (v6(0xfd20, 0xce, 0, 0, 64), Refusal::Metadata),
    (v6(0xfc00, 0, 0, 0, 7), Refusal::UniqueLocal),
    (v6(0xfe80, 0, 0, 0, 10), Refusal::LinkLocal),
    (v6(0xfec0, 0, 0, 0, 10), Refusal::Private),
    (v6(0xff00, 0, 0, 0, 8), Refusal::Multicast),
    // NAT64 for local use (RFC 8215): what it leads to cannot be told from the address.
    (v6(0x64, 0xff9b, 1, 0, 48), Refusal::Reserved),
];

const GLOBAL_UNICAST_V6: Ipv6Net = v6(0x2000, 0, 0, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 0, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 0, 16);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 0, 32);

/// Why an address is no public unicast address, or `None` if it is one. Expects canonical form
/// (v4-mapped addresses turned into IPv4).
pub(super) fn refusal(address: IpAddr) -> Option<Refusal> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<Refusal> {
    if address == Ipv4Addr::BROADCAST {
        return Some(Refusal::Broadcast);
    }
    // 240.0.0.0/4, future use.
    if address.octets()[0] >= 240 {
        return Some(Refusal::Reserved);
    }
    REFUSED_V4
        .iter()
        .find(|(net, _)| net.contains(&address))
        .map(|(_, refusal)| *refusal)
}

fn refusal_v6(address: Ipv6Addr) -> Option<Refusal> {
    if address.is_unspecified() {
        return Some(Refusal::Unspecified);
    }
    if address.is_loopback() {
        return Some(Refusal::Loopback);
    }
    // Two IPv4 addresses stand in a Teredo address, the server's and the inverted client's.
    if TEREDO.contains(&address) {
        let octets = address.octets();
        let [.., a, b, c, d] = octets;
        let client = Ipv4Addr::new(!a, !b, !c, !d);
        let server = Ipv4Addr::new(octets[4], octets[5], octets[6], octets[7]);
        return refusal_v4(client).or_else(|| refusal_v4(server));
    }
    if let Some(embedded) = embedded_v4(address) {
        let outside = !GLOBAL_UNICAST_V6.contains(&address) && !NAT64.contains(&address);
        return refusal_v4(embedded).or(outside.then_some(Refusal::Reserved));
    }
    if !GLOBAL_UNICAST_V6.contains(&address) {
        let named = NAMED_V6.iter().find(|(net, _)| net.contains(&address));
        return Some(named.map_or(Refusal::Reserved, |(_, refusal)| *refusal));
    }
    REFUSED_V6
        .iter()
        .find(|(net, _)| net.contains(&address))
        .map(|(_, refusal)| *refusal)
}

/// The IPv4 address that traffic to this address ends at: NAT64 (RFC 6052), 6to4 (RFC 3056), the
/// deprecated IPv4-compatible form, and ISATAP interface identifiers (RFC 5214).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let [.., a, b, c, d] = octets;
    let tail = Ipv4Addr::new(a, b, c, d);
    if NAT64.contains(&address) || octets[..12] == [0; 12] {
        return Some(tail);
    }
    if SIX_TO_FOUR.contains(&address) {
        return Some(Ipv4Addr::new(octets[2], octets[3], octets[4], octets[5]));
    }
    matches!(octets[8..12], [0x00 | 0x02, 0x00, 0x5e, 0xfe]).then_some(tail)
}
