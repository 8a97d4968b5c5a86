//! What all upstreams of a process share: address policy, resolver, trust roots.

use std::fmt;
use std::sync::Arc;

use crate::connect::Connector;
use crate::error::{EgressError, Phase};
use crate::fetch::Origins;
use crate::policy::AddressPolicy;
use crate::resolve::{Resolve, SystemResolver};
use crate::tls::{TlsConfigs, TlsError, TrustRoots};
use crate::upstream::{Upstream, UpstreamSpec};

/// How a [`Client`] is made.
pub struct ClientOptions {
    /// Which addresses may be reached. Default: public ones only.
    pub policy: AddressPolicy,
    /// What resolves names. Default: the operating system.
    pub resolver: Arc<dyn Resolve>,
    /// Which certificate authorities are trusted. Default: the public ones.
    pub roots: TrustRoots,
}

/// The way out; cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    policy: AddressPolicy,
    connector: Arc<Connector>,
    origins: Origins,
}

impl Client {
    /// A client. Fails if rustls refuses the roots.
    pub fn new(options: ClientOptions) -> Result<Self, TlsError> {
        let connector = Connector {
            resolver: options.resolver,
            tls: TlsConfigs::new(options.roots)?,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                policy: options.policy,
                connector: Arc::new(connector),
                origins: Origins::default(),
            }),
        })
    }

    /// A handle on one origin with a pool of its own; nothing is resolved or connected yet. Make it once
    /// and keep it.
    ///
    /// Fails in [`Phase::Policy`] if the target is a literal address that is refused.
    pub fn upstream(&self, spec: UpstreamSpec) -> Result<Upstream, EgressError> {
        let policy = spec.policy.as_ref().unwrap_or(&self.inner.policy);
        let refused = |error| EgressError::unsent(Phase::Policy, error);
        policy
            .check_target(&spec.target)
            .map_err(|refusal| refused(crate::RefusedTarget::Address(refusal)))?;
        Upstream::new(spec, &self.inner.policy, self.inner.connector.clone())
            .map_err(|error| refused(error.into()))
    }

    /// The upstreams of [`Self::fetch`].
    pub(crate) fn origins(&self) -> &Origins {
        &self.inner.origins
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            policy: AddressPolicy::public_only(),
            resolver: Arc::new(SystemResolver),
            roots: TrustRoots::public(),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}
