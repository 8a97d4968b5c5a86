//! Which addresses the gate may connect to.
//!
//! The default is public unicast only. An operator widens it by net or by exact `host:port`; a refused
//! net beats an allowed one, and an allowed target is taken exactly as declared.

mod special;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Uri;
use ipnet::IpNet;

use crate::target::{Host, Target, TargetError};

/// The rules for outgoing connections; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    rules: Arc<Rules>,
}

#[derive(Clone, Debug, Default)]
struct Rules {
    allowed_nets: Vec<IpNet>,
    refused_nets: Vec<IpNet>,
    allowed_targets: Vec<(Host, u16)>,
}

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// `0.0.0.0` or `::`.
    Unspecified,
    /// `127.0.0.0/8` or `::1`.
    Loopback,
    /// RFC 1918 nets and deprecated site-local addresses.
    Private,
    /// `fc00::/7`.
    UniqueLocal,
    /// `169.254.0.0/16` or `fe80::/10`.
    LinkLocal,
    /// `100.64.0.0/10`, the inside of carrier-grade NAT.
    SharedNat,
    /// A group address.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// Nets for examples in documents.
    Documentation,
    /// Nets for benchmarks between devices.
    Benchmark,
    /// Where a cloud provider answers instance metadata.
    Metadata,
    /// Reserved, deprecated or not global unicast.
    Reserved,
    /// The operator refuses this net.
    Operator,
}

/// A URL that may not be called: malformed, or its literal address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedTarget {
    /// The URL names no usable target.
    #[error("url names no target")]
    Malformed(#[from] TargetError),
    /// Every address of the target is refused; the reason is the first one's.
    #[error("address is {0}")]
    Address(Refusal),
}

impl AddressPolicy {
    /// Public unicast addresses and nothing else.
    #[must_use]
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Also allows every address of a net, on every port.
    #[must_use]
    pub fn allow_net(mut self, net: IpNet) -> Self {
        Arc::make_mut(&mut self.rules).allowed_nets.push(net);
        self
    }

    /// Refuses every address of a net, whatever else allows it. For the gate's own addresses.
    #[must_use]
    pub fn refuse_net(mut self, net: IpNet) -> Self {
        Arc::make_mut(&mut self.rules).refused_nets.push(net);
        self
    }

    /// Allows one `host:port` exactly as declared. For a name this is trust in its resolution too.
    #[must_use]
    pub fn allow_target(mut self, host: Host, port: u16) -> Self {
        let rules = Arc::make_mut(&mut self.rules);
        rules.allowed_targets.push((host, port));
        self
    }

    /// Judges one address by the nets alone. A v4-mapped address is judged as the IPv4 address it is;
    /// one that a translator maps to IPv4 (NAT64, 6to4, Teredo) is refused if the inner one is.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        if within(&self.rules.refused_nets) {
            return Err(Refusal::Operator);
        }
        if within(&self.rules.allowed_nets) {
            return Ok(());
        }
        special::refusal(address).map_or(Ok(()), Err)
    }

    /// Judges what can be judged before resolution: a literal address. A name passes here and is
    /// judged by its addresses when the connector has them.
    pub fn check_target(&self, target: &Target) -> Result<(), Refusal> {
        match target.host() {
            Host::Ip(address) if !self.is_declared(target) => self.check_address(*address),
            Host::Ip(_) | Host::Name(_) => Ok(()),
        }
    }

    /// The addresses a connection to `target` may use, in the resolver's order.
    pub(crate) fn filter(
        &self,
        target: &Target,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let declared = self.is_declared(target);
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in addresses {
            let address = address.to_canonical();
            match self.check_address(address) {
                Err(refusal) if !declared => refused = refused.or(Some(refusal)),
                Ok(()) | Err(_) => allowed.push(SocketAddr::new(address, target.port())),
            }
        }
        match refused {
            Some(refusal) if allowed.is_empty() => Err(refusal),
            Some(_) | None => Ok(allowed),
        }
    }

    fn is_declared(&self, target: &Target) -> bool {
        let declared = |(host, port): &(Host, u16)| *port == target.port() && host == target.host();
        self.rules.allowed_targets.iter().any(declared)
    }
}

/// Reads a URL and judges its literal address: the whole way from text to decision, as one function
/// for fuzzing and for checks when a tenant enters a URL. The connector judges again after resolution.
pub fn check_url(url: &str, policy: &AddressPolicy) -> Result<Target, RefusedTarget> {
    let uri: Uri = url.parse().map_err(|_| TargetError::NotAbsolute)?;
    let target = Target::from_uri(&uri)?;
    policy
        .check_target(&target)
        .map_err(RefusedTarget::Address)?;
    Ok(target)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::UniqueLocal => "unique local",
            Self::LinkLocal => "link-local",
            Self::SharedNat => "behind carrier-grade nat",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "for documentation",
            Self::Benchmark => "for benchmarks",
            Self::Metadata => "a cloud metadata service",
            Self::Reserved => "reserved",
            Self::Operator => "refused by the operator",
        })
    }
}

#[cfg(test)]
mod tests;
