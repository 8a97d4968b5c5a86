//! One configured origin with its limits and its pool.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Request, Response};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep};

use crate::body::EgressBody;
use crate::connect::Connector;
use crate::error::EgressError;
use crate::framing::Origin;
use crate::h2::STREAMS_UNTIL_SETTINGS;
use crate::policy::AddressPolicy;
use crate::pool::{Pool, StartSweeper};
use crate::request_body::RequestBody;
use crate::target::{Target, TargetError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const POOL_IDLE_MAX: usize = 512;
/// One HTTP/2 connection carries most origins; a few help where the stream limit is low.
const H2_CONNECTIONS_MAX: usize = 4;

/// An origin and how to treat it. [`UpstreamSpec::new`] gives the defaults named at each field.
#[derive(Clone, Debug)]
pub struct UpstreamSpec {
    /// Where it is.
    pub target: Target,
    /// What to speak. Default: [`Protocol::Auto`].
    pub protocol: Protocol,
    /// What `Host` says. Default: [`HostHeader::Origin`].
    pub host_header: HostHeader,
    /// Which addresses it may have; `None` (the default) is the client's policy. An operator's own
    /// declaration of a private origin gets its policy with [`AddressPolicy::allow_target`] here, so
    /// that nobody else's upstream profits from it.
    pub policy: Option<AddressPolicy>,
    /// Resolution, TCP and TLS together, and the wait for a place under `connections_max`. Default: 5 s.
    pub connect_timeout: Duration,
    /// From handing the request over to the response head; a streamed upload starts the time anew
    /// whenever it moves. Default: 60 s.
    pub head_timeout: Duration,
    /// Longest gap between two frames of a response body while somebody waits for one. Default: 60 s.
    pub body_idle_timeout: Duration,
    /// How long an unused connection stays open. Default: 30 s.
    pub pool_idle_timeout: Duration,
    /// How many unused connections stay open. Default: 512.
    pub pool_idle_max: usize,
    /// How many connections are open at all; further HTTP/1.1 requests wait. Default: no limit. At most
    /// four are HTTP/2 in any case.
    pub connections_max: Option<usize>,
}

/// What to speak to an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// On TLS what ALPN agrees on, HTTP/2 preferred; on plain TCP HTTP/1.1.
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; on plain TCP with prior knowledge (RFC 9113 §3.3).
    Http2,
}

/// What the `Host` header (or `:authority`) tells an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The origin's own host and port.
    Origin,
    /// What the request says: the authority of its URL, else its `Host` header, else the origin's own.
    FromRequest,
}

/// A handle on one origin and its connections; clones share them. When the last one is dropped, idle
/// connections close and running exchanges end in peace.
#[derive(Clone)]
pub struct Upstream {
    shared: Arc<Shared>,
}

/// What an upstream's connections are doing, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamStats {
    /// Connections opened since the start.
    pub connections_opened: u64,
    /// HTTP/1.1 connections waiting in the pool.
    pub connections_idle: usize,
    /// Open HTTP/2 connections.
    pub connections_shared: usize,
}

/// What the handles, the bodies in flight and the sweeper have in common.
pub(crate) struct Shared {
    pub(crate) spec: UpstreamSpec,
    pub(crate) origin: Origin,
    pub(crate) policy: AddressPolicy,
    pub(crate) connector: Arc<Connector>,
    pub(crate) pool: Pool,
    /// A permit for each HTTP/1.1 exchange. A connection goes back to the pool before its permit does,
    /// so a permit without an idle connection means that one more may be opened.
    pub(crate) places: Option<Arc<Semaphore>>,
    /// Held while a connection is opened that may become HTTP/2.
    pub(crate) opening: Mutex<()>,
    /// How many streams the origin lets one HTTP/2 connection have.
    pub(crate) h2_streams_max: Arc<AtomicUsize>,
    /// ALPN has chosen HTTP/1.1.
    speaks_h1: AtomicBool,
}

impl UpstreamSpec {
    /// An origin with every default.
    #[must_use]
    pub const fn new(target: Target) -> Self {
        Self {
            target,
            protocol: Protocol::Auto,
            host_header: HostHeader::Origin,
            policy: None,
            connect_timeout: CONNECT_TIMEOUT,
            head_timeout: HEAD_TIMEOUT,
            body_idle_timeout: BODY_IDLE_TIMEOUT,
            pool_idle_timeout: POOL_IDLE_TIMEOUT,
            pool_idle_max: POOL_IDLE_MAX,
            connections_max: None,
        }
    }
}

impl Upstream {
    pub(crate) fn new(
        spec: UpstreamSpec,
        client_policy: &AddressPolicy,
        connector: Arc<Connector>,
    ) -> Result<Self, TargetError> {
        let shared = Shared {
            origin: Origin::new(&spec.target, spec.host_header)?,
            policy: spec.policy.clone().unwrap_or_else(|| client_policy.clone()),
            connector,
            pool: Pool::new(spec.pool_idle_max, spec.pool_idle_timeout),
            places: spec
                .connections_max
                .map(|max| Arc::new(Semaphore::new(max.max(1)))),
            opening: Mutex::default(),
            h2_streams_max: Arc::new(AtomicUsize::new(STREAMS_UNTIL_SETTINGS)),
            speaks_h1: AtomicBool::new(false),
            spec,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Sends a request and returns when the response head is there; the body then streams.
    ///
    /// Only path and query of the request's URL matter here (and its authority under
    /// [`HostHeader::FromRequest`]). Framing headers and `Expect` are replaced, hop-by-hop headers are
    /// the caller's to strip ([`crate::hop_by_hop`]). Interim responses are skipped, redirects come
    /// back as they are. A 101 answer to a WebSocket request carries hyper's upgrade
    /// (`hyper::upgrade::on`).
    ///
    /// Dropping the future or the body abandons the exchange and closes its connection (HTTP/1.1) or
    /// resets its stream (HTTP/2).
    pub async fn send<B: Into<RequestBody>>(
        &self,
        request: Request<B>,
    ) -> Result<Response<EgressBody>, EgressError> {
        self.shared.exchange(request.map(Into::into), None).await
    }

    /// As [`Self::send`], with an end to every wait before the response head.
    pub(crate) async fn send_until(
        &self,
        request: Request<RequestBody>,
        deadline: Instant,
    ) -> Result<Response<EgressBody>, EgressError> {
        self.shared.exchange(request, Some(deadline)).await
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.shared.spec.target
    }

    /// What its connections are doing.
    #[must_use]
    pub fn stats(&self) -> UpstreamStats {
        UpstreamStats {
            connections_opened: self.shared.pool.opened(),
            connections_idle: self.shared.pool.idle(),
            connections_shared: self.shared.pool.shared(),
        }
    }
}

impl Shared {
    pub(crate) fn speaks_h1(&self) -> bool {
        self.speaks_h1.load(Ordering::Relaxed)
    }

    pub(crate) fn set_speaks_h1(&self, speaks_h1: bool) {
        self.speaks_h1.store(speaks_h1, Ordering::Relaxed);
    }

    pub(crate) fn h2_connections_max(&self) -> usize {
        let configured = self.spec.connections_max.unwrap_or(H2_CONNECTIONS_MAX);
        configured.clamp(1, H2_CONNECTIONS_MAX)
    }

    pub(crate) fn start_sweeper(self: &Arc<Self>, start: StartSweeper) {
        if !start.0 {
            return;
        }
        // Bodies are dropped anywhere, even after the runtime has ended.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(sweep(Arc::downgrade(self)))),
            Err(_) => self.pool.close_idle(),
        }
    }
}

/// Sweeps until nothing is left to sweep or the upstream is gone.
async fn sweep(upstream: Weak<Shared>) {
    let interval = match upstream.upgrade() {
        Some(shared) => shared.pool.sweep_interval(),
        None => return,
    };
    loop {
        sleep(interval).await;
        match upstream.upgrade() {
            Some(shared) if shared.pool.sweep(Instant::now()) => {}
            Some(_) | None => return,
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("target", &self.shared.spec.target)
            .finish_non_exhaustive()
    }
}
