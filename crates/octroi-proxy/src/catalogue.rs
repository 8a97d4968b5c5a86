//! The catalogue as the data plane sees it: immutable, behind one atomic pointer. No request reads
//! a database for it.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use octroi_app::Deal;
use octroi_egress::Upstream;
use octroi_policy::{Methods, RouteTable};
use octroi_types::Redacted;

/// What the gate sells, and under which names.
#[derive(Default)]
pub struct Catalogue {
    /// Names of hosts on which the gate's own surfaces answer, without ports.
    pub gate_hosts: Vec<String>,
    /// The gate's public address, without a trailing slash; builds every `resource.url`.
    pub public_url: String,
    /// Services by id (`svc_…`) and by name.
    pub services: HashMap<String, Arc<Service>>,
    /// Sites by host name.
    pub sites: HashMap<String, Arc<Site>>,
}

/// An upstream whose paywalls answer under `/api/x402/pay/{service}/{slug}`.
pub struct Service {
    /// What names it in metrics and logs.
    pub name: String,
    /// The origin.
    pub origin: Arc<Origin>,
    /// Paywalls by slug.
    pub paywalls: HashMap<String, Arc<Paywall>>,
}

/// A host that belongs to a site behind the transparent proxy.
pub struct Site {
    /// What names it in metrics and logs.
    pub name: String,
    /// Scheme and host that buyers see, without a trailing slash.
    pub public_url: String,
    /// The origin.
    pub origin: Arc<Origin>,
    /// What is priced, free or denied.
    pub routes: RouteTable<Option<Arc<Paywall>>>,
}

/// Where requests are forwarded to, and how they are dressed for it.
pub struct Origin {
    /// The connections to it.
    pub upstream: Upstream,
    /// Path prefix of the origin, without a trailing slash; empty for none.
    pub path_prefix: String,
    /// Credentials that the gate adds, replacing the client's of the same name.
    pub credentials: Vec<(HeaderName, Redacted<HeaderValue>)>,
    /// A credential in the query string, already encoded (`key=value`).
    pub query_credential: Option<Redacted<String>>,
    /// Whether the client's `Authorization` reaches the origin. Sites pass it, services do not.
    pub passes_authorization: bool,
}

/// How a payment is bound to the body it buys an answer for (money rule 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyBinding {
    /// By the body's digest.
    #[default]
    Full,
    /// By the head only.
    Head,
}

/// A priced route.
pub struct Paywall {
    /// What is sold.
    pub deal: Deal,
    /// The methods that are sold; others are refused before a challenge.
    pub methods: Methods,
    /// `Allow` and CORS answer for them.
    pub allow: HeaderValue,
    /// Path at the origin, for a service's paywall. A site forwards the path as it is.
    pub target: String,
    /// Whether `/rest` after the slug is forwarded.
    pub takes_rest: bool,
    /// How a payment is bound to the body.
    pub binding: BodyBinding,
    /// Whether the origin may be called a second time for the same request.
    pub idempotent: bool,
}
