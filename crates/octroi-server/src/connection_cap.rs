//! How many connections may be open, in all and from one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use octroi_telemetry::metrics::{self, Listener, Refusal};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Counts open connections and refuses those above its limits.
pub(crate) struct ConnectionCap {
    total_max: usize,
    per_address_max: usize,
    open: AtomicUsize,
    per_address: Mutex<HashMap<IpAddr, usize>>,
    sockets: TaskTracker,
}

/// The right to have a connection open. It travels with the socket and ends with it.
pub(crate) struct Permit {
    cap: Arc<ConnectionCap>,
    listener: Listener,
    address: Option<IpAddr>,
    _socket: TaskTrackerToken,
}

impl ConnectionCap {
    pub(crate) fn new(total_max: usize, per_address_max: usize) -> Self {
        Self {
            total_max,
            per_address_max,
            open: AtomicUsize::new(0),
            per_address: Mutex::new(HashMap::new()),
            sockets: TaskTracker::new(),
        }
    }

    /// Admits a connection from `client`; `None` is a peer that speaks for many.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        listener: Listener,
    ) -> Result<Permit, Refusal> {
        if self.open.fetch_add(1, Relaxed) >= self.total_max {
            self.open.fetch_sub(1, Relaxed);
            return Err(Refusal::Total);
        }
        let address = client.map(client_network);
        if let Some(address) = address {
            let mut per_address = self.per_address.lock();
            let open = per_address.get(&address).copied().unwrap_or(0);
            if open >= self.per_address_max {
                self.open.fetch_sub(1, Relaxed);
                return Err(Refusal::Address);
            }
            per_address.insert(address, open + 1);
        }
        metrics::connection_opened(listener);
        Ok(Permit {
            cap: Arc::clone(self),
            listener,
            address,
            _socket: self.sockets.token(),
        })
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Waits until none is open. Called when no more are admitted.
    pub(crate) async fn all_closed(&self) {
        self.sockets.close();
        self.sockets.wait().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cap.open.fetch_sub(1, Relaxed);
        metrics::connection_closed(self.listener);
        if let Some(address) = self.address {
            let mut per_address = self.cap.per_address.lock();
            if let Some(open) = per_address.get_mut(&address) {
                *open -= 1;
                if *open == 0 {
                    per_address.remove(&address);
                }
            }
        }
    }
}

/// What counts as one client: a /64 is what a single IPv6 subscriber has.
fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admit(cap: &Arc<ConnectionCap>, client: &str) -> Result<Permit, Refusal> {
        cap.admit(Some(client.parse().unwrap()), Listener::Gate)
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let cap = Arc::new(ConnectionCap::new(100, 1));
        let _first = admit(&cap, "192.0.2.1").unwrap();
        assert_eq!(
            admit(&cap, "::ffff:192.0.2.1").err(),
            Some(Refusal::Address)
        );
        let _other = admit(&cap, "192.0.2.2").unwrap();
        let _six = admit(&cap, "2001:db8::1").unwrap();
        assert_eq!(
            admit(&cap, "2001:db8::ffff:1").err(),
            Some(Refusal::Address)
        );
        let _next = admit(&cap, "2001:db8:0:1::1").unwrap();
    }

    proptest! {
        /// Whatever comes and goes, the counts are those of the permits that are held, the limits
        /// hold, and nothing is left when all are gone.
        #[test]
        fn counts_follow_the_permits(steps in prop::collection::vec((0_u8..4, any::<bool>()), 1..200)) {
            let cap = Arc::new(ConnectionCap::new(12, 4));
            let mut held: Vec<(u8, Permit)> = Vec::new();
            for (client, arrive) in steps {
                let of_client = held.iter().filter(|(c, _)| *c == client).count();
                if arrive {
                    let address = IpAddr::from([192, 0, 2, client]);
                    match cap.admit(Some(address), Listener::Gate) {
                        Ok(permit) => {
                            prop_assert!(held.len() < 12 && of_client < 4);
                            held.push((client, permit));
                        }
                        Err(Refusal::Total) => prop_assert_eq!(held.len(), 12),
                        Err(_) => prop_assert_eq!(of_client, 4),
                    }
                } else if let Some(index) = held.iter().position(|(c, _)| *c == client) {
                    held.swap_remove(index);
                }
                prop_assert_eq!(cap.open(), held.len());
            }
            held.clear();
            prop_assert_eq!(cap.open(), 0);
            prop_assert!(cap.per_address.lock().is_empty());
        }
    }
}
