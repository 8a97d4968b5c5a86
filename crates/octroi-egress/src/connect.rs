//! From a target to an open connection: resolve, judge every address, connect to one of the judged
//! ones, shake hands with the target's name. There is no other way out of the process.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::pki_types::{DnsName, ServerName};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use crate::error::{EgressError, Phase};
use crate::policy::{AddressPolicy, RefusedTarget};
use crate::request_body::BoxError;
use crate::resolve::Resolve;
use crate::target::{Host, Scheme, Target};
use crate::tls::{Alpn, TlsConfigs, is_h2};
use crate::transport::{Socket, Transport};

/// How long one address has before the next is tried beside it (RFC 8305 §5).
const ATTEMPT_STAGGER: Duration = Duration::from_millis(250);
/// Addresses of one name that are tried at most.
const ADDRESSES_MAX: usize = 8;

/// Opens connections for every upstream of a client.
pub(crate) struct Connector {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) tls: TlsConfigs,
}

/// An open connection and what was agreed on it.
pub(crate) struct Connected {
    pub(crate) transport: Transport,
    pub(crate) is_h2: bool,
}

impl Connector {
    /// Opens one connection; every stage ends at `deadline`.
    pub(crate) async fn connect(
        &self,
        target: &Target,
        policy: &AddressPolicy,
        alpn: Alpn,
        deadline: Instant,
    ) -> Result<Connected, EgressError> {
        let addresses = self.addresses(target, policy, deadline).await?;
        let stream = bounded(Phase::Connect, deadline, connect_any(addresses)).await?;
        // Latency over packet count: requests are written whole. A socket that refuses still works.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "nodelay not set");
        }
        let socket = Socket::new(stream);
        if target.scheme() == Scheme::Http {
            return Ok(Connected {
                transport: Transport::Plain(socket),
                is_h2: alpn == Alpn::Http2,
            });
        }
        let name = server_name(target.host())?;
        let handshake = TlsConnector::from(self.tls.offering(alpn)).connect(name, socket);
        let stream = bounded(Phase::Tls, deadline, handshake).await?;
        let is_h2 = is_h2(stream.get_ref().1.alpn_protocol());
        if alpn == Alpn::Http2 && !is_h2 {
            return Err(EgressError::unsent(Phase::Tls, "origin does not speak h2"));
        }
        Ok(Connected {
            transport: Transport::Tls(Box::new(stream)),
            is_h2,
        })
    }

    /// The allowed addresses of a target; a literal goes the same way as a name.
    async fn addresses(
        &self,
        target: &Target,
        policy: &AddressPolicy,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let found = match target.host() {
            Host::Ip(address) => vec![*address],
            Host::Name(name) => {
                bounded(Phase::Resolve, deadline, self.resolver.resolve(name)).await?
            }
        };
        let mut allowed = policy.filter(target, found).map_err(|refusal| {
            EgressError::unsent(Phase::Policy, RefusedTarget::Address(refusal))
        })?;
        if allowed.is_empty() {
            return Err(EgressError::unsent(Phase::Resolve, "no address"));
        }
        alternate_families(&mut allowed);
        allowed.truncate(ADDRESSES_MAX);
        Ok(allowed)
    }
}

/// Runs one stage of a connection until the deadline.
async fn bounded<T, E: Into<BoxError>>(
    phase: Phase,
    deadline: Instant,
    stage: impl Future<Output = Result<T, E>>,
) -> Result<T, EgressError> {
    match timeout_at(deadline, stage).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(EgressError::unsent(phase, error)),
        Err(elapsed) => Err(EgressError::unsent(phase, elapsed)),
    }
}

/// Connects to the first address that answers. The next one is started when an attempt fails or has
/// had its time; earlier attempts stay in the race.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        attempts.extend(waiting.next().map(TcpStream::connect));
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Some(error),
            },
            () = sleep(ATTEMPT_STAGGER), if waiting.len() > 0 => {}
            else => return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())),
        }
    }
}

/// Alternates IPv6 and IPv4, starting with the resolver's first choice (RFC 8305 §4).
fn alternate_families(addresses: &mut [SocketAddr]) {
    for index in 1..addresses.len() {
        let (done, rest) = addresses.split_at_mut(index);
        let wanted = !done.last().is_some_and(SocketAddr::is_ipv6);
        if let Some(found) = rest.iter().position(|address| address.is_ipv6() == wanted) {
            rest[..=found].rotate_right(1);
        }
    }
}

fn server_name(host: &Host) -> Result<ServerName<'static>, EgressError> {
    match host {
        Host::Ip(address) => Ok(ServerName::IpAddress(IpAddr::into(*address))),
        Host::Name(name) => DnsName::try_from(name.to_string())
            .map(ServerName::DnsName)
            .map_err(|error| EgressError::unsent(Phase::Tls, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_and_keep_their_order() {
        let parse = |text: &str| SocketAddr::new(text.parse().unwrap(), 80);
        let mut addresses: Vec<_> = ["2a00::1", "2a00::2", "2a00::3", "1.1.1.1", "2.2.2.2"]
            .into_iter()
            .map(parse)
            .collect();
        alternate_families(&mut addresses);
        let expected: Vec<_> = ["2a00::1", "1.1.1.1", "2a00::2", "2.2.2.2", "2a00::3"]
            .into_iter()
            .map(parse)
            .collect();
        assert_eq!(addresses, expected);
    }
}
