//! The data plane's entry: match host and path, then sell, pass, or refuse.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use octroi_app::Payments;
use octroi_egress::hop_by_hop;
use octroi_policy::{CanonicalPath, Host, Target, Verdict};
use octroi_telemetry::metrics::Surface;
use octroi_types::{ErrorCode, RequestId};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::body::GateBody;
use crate::bound_body::{self, BodyLimits};
use crate::catalogue::{Catalogue, Service, Site};
use crate::forward::{self, Ask, Caller};
use crate::sale::{Sale, Till};
use crate::{cors, measure, respond, upgrade};

/// Path prefix of paywalls that speak x402.
const PAY_PREFIX: &str = "/api/x402/pay/";
/// On a site's host, everything below belongs to the gate.
const GATE_PREFIX: &str = "/.octroi/";
const FACILITATOR_PREFIX: &str = "/facilitator/";

/// What the connection tells about a request.
#[derive(Debug, Clone, Copy)]
pub struct ClientInfo {
    /// The client's address, after trusted proxies.
    pub address: std::net::IpAddr,
    /// Whether the client spoke TLS, to us or to a trusted proxy.
    pub https: bool,
    /// The request's id.
    pub request: RequestId,
}

/// The gate's own surfaces (health, metrics, facilitator, later the management API).
pub trait Surfaces: Send + Sync + 'static {
    /// Answers a request on a gate host; `None` if nothing lives at its path.
    fn answer(
        &self,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> Pin<Box<dyn Future<Output = Option<Response<GateBody>>> + Send + '_>>;
}

/// Sizes and parts that the data plane needs.
pub struct GateOptions {
    /// Bodies up to this are read and bound by hash, in bytes (money rule 8).
    pub body_buffer_bytes: usize,
    /// Larger request bodies are refused, in bytes.
    pub body_bytes_max: u64,
    /// How long a client may pause within its request body.
    pub body_pause_max: Duration,
}

/// The data plane.
pub struct Gate {
    catalogue: Arc<ArcSwap<Catalogue>>,
    surfaces: Arc<dyn Surfaces>,
    till: Till,
    tasks: TaskTracker,
    joined: CancellationToken,
}

impl Gate {
    /// Puts the data plane together. `tasks` is what shutdown waits for; `joined` ends the
    /// connections that were upgraded, which do not end by themselves.
    #[must_use]
    pub fn new(
        options: &GateOptions,
        catalogue: Arc<ArcSwap<Catalogue>>,
        surfaces: Arc<dyn Surfaces>,
        payments: Payments,
        tasks: TaskTracker,
        joined: CancellationToken,
    ) -> Self {
        let till = Till {
            payments,
            answers: Arc::default(),
            tasks: tasks.clone(),
            body_limits: BodyLimits {
                buffer_bytes: options.body_buffer_bytes,
                bytes_max: options.body_bytes_max,
                pause_max: options.body_pause_max,
            },
        };
        Self {
            catalogue,
            surfaces,
            till,
            tasks,
            joined,
        }
    }

    /// Answers one request.
    pub async fn handle(
        &self,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> Response<GateBody> {
        let begun = Instant::now();
        let may_be_unread = request.version() < Version::HTTP_2 && !request.body().is_end_stream();
        let (surface, mut response) = self.answer(request, client).await;
        // Our own answers do not wait for the request's body, and what of it is not read ends the
        // connection. A client that is not told sends its next request into the closing connection.
        if may_be_unread && matches!(response.body(), GateBody::Own(_)) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        measure::count(surface, &mut response, begun);
        response
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> (Surface, Response<GateBody>) {
        // The server has checked that there is exactly one, and that `:authority` agrees with it.
        let Some(host) = request.headers().get(HOST).cloned() else {
            let message = "The request names no Host.";
            let refused = respond::error(ErrorCode::MalformedHost, message, client.request);
            return (Surface::Site, refused);
        };
        let catalogue = self.catalogue.load();
        let name = match Host::parse(host.to_str().unwrap_or_default()) {
            Ok(name) => name,
            Err(error) => {
                let message = error.to_string();
                let refused = respond::error(ErrorCode::MalformedHost, &message, client.request);
                return (Surface::Site, refused);
            }
        };
        if let Some(site) = catalogue.sites.get(name.name()) {
            let site = Arc::clone(site);
            let on_gate = request.uri().path().starts_with(GATE_PREFIX);
            drop(catalogue);
            if !on_gate {
                return (Surface::Site, self.site(site, host, request, client).await);
            }
        } else if catalogue.gate_hosts.iter().any(|gate| gate == name.name()) {
            if request.uri().path().starts_with(PAY_PREFIX) {
                let catalogue = arc_swap::Guard::into_inner(catalogue);
                let answer = self.paywall(&catalogue, host, request, client).await;
                return (Surface::Pay, answer);
            }
            drop(catalogue);
        } else {
            let message = "No site or gate answers under this host name. If this gate is yours, \
                           add the name to the configuration (server.public_url, server.aliases \
                           or a site's host).";
            return (
                Surface::Site,
                respond::error(ErrorCode::NotFound, message, client.request),
            );
        }
        let facilitator = request.uri().path().starts_with(FACILITATOR_PREFIX);
        let surface = if facilitator {
            Surface::Facilitator
        } else {
            Surface::Operations
        };
        match self.surfaces.answer(request, client).await {
            Some(response) => (surface, response),
            None => (surface, not_found(client.request)),
        }
    }

    /// `/api/x402/pay/{service}/{slug}[/rest]`.
    async fn paywall(
        &self,
        catalogue: &Catalogue,
        host: HeaderValue,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> Response<GateBody> {
        let raw = raw_target(&request);
        let target = match Target::parse(raw.as_str()) {
            Ok(target) => target,
            Err(error) => {
                let message = error.to_string();
                return respond::error(ErrorCode::MalformedPath, &message, client.request);
            }
        };
        let Some(sale) = paywall_sale(catalogue, &target, host, client) else {
            return not_found(client.request);
        };
        drop(target);
        // Boxed: a connection that idles after a sale does not keep the sale's memory.
        Box::pin(self.till.sell(sale, request)).await
    }

    /// Any path on a site's host.
    async fn site(
        &self,
        site: Arc<Site>,
        host: HeaderValue,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> Response<GateBody> {
        let raw = raw_target(&request);
        let target = match Target::parse(raw.as_str()) {
            Ok(target) => target,
            Err(error) => {
                let message = error.to_string();
                return respond::error(ErrorCode::MalformedPath, &message, client.request);
            }
        };
        let caller = caller(host, client);
        // A preflight asks about the method that is to follow.
        let method = if cors::is_preflight(request.method(), request.headers()) {
            preflighted_method(&request)
        } else {
            request.method().clone()
        };
        match site.routes.decide(method.as_str(), &target.path) {
            Verdict::Priced(route) => {
                let Some(paywall) = route.value.clone() else {
                    return not_found(client.request);
                };
                let canonical_path = target.path.as_str().to_owned();
                let query = target.query.map(str::to_owned);
                let sale = Sale {
                    paywall,
                    origin: Arc::clone(&site.origin),
                    path: canonical_path.clone(),
                    resource_url: resource_url(&site.public_url, &canonical_path, target.query),
                    canonical_path,
                    query,
                    caller,
                };
                drop(target);
                Box::pin(self.till.sell(sale, request)).await
            }
            Verdict::Free(_) | Verdict::Passed => {
                let (path, query) = (target.path, target.query);
                Box::pin(self.pass(&site, &path, query, request, &caller)).await
            }
            Verdict::MethodNotAllowed(route) => {
                let allow = route.value.as_ref().map(|paywall| paywall.allow.clone());
                let allow = allow.unwrap_or(HeaderValue::from_static(""));
                respond::method_not_allowed(allow, client.request)
            }
            Verdict::Denied(_) => {
                let message = "This path is not open to the public.";
                respond::error(ErrorCode::Forbidden, message, client.request)
            }
        }
    }

    /// An unpriced request: straight through, no task, no books.
    async fn pass(
        &self,
        site: &Site,
        path: &CanonicalPath<'_>,
        query: Option<&str>,
        mut request: Request<Incoming>,
        caller: &Caller,
    ) -> Response<GateBody> {
        let websocket = hop_by_hop::asks_for_websocket(request.headers());
        let client_side = websocket.then(|| hyper::upgrade::on(&mut request));
        let (parts, incoming) = request.into_parts();
        let body = match bound_body::limited(incoming, self.till.body_limits) {
            Ok(body) => body,
            Err(problem) => return respond::problem(problem, caller.request),
        };
        let ask = Ask {
            method: parts.method,
            path: path.as_str(),
            query,
            websocket,
        };
        let forwarded = forward::request(&site.origin, ask, parts.headers, caller, body);
        let Some(forwarded) = forwarded else {
            let message = "The request cannot be put to the origin.";
            return respond::error(ErrorCode::BadRequest, message, caller.request);
        };
        let begun = Instant::now();
        let answer = site.origin.upstream.send(forwarded).await;
        measure::origin(&answer, begun.elapsed());
        match answer {
            Ok(answer) => {
                if let Some(client_side) = client_side
                    && answer.status() == http::StatusCode::SWITCHING_PROTOCOLS
                {
                    return upgrade::splice(&self.tasks, &self.joined, answer, client_side);
                }
                let mut response = answer.map(GateBody::Origin);
                forward::dress_response(&mut response);
                response
            }
            Err(error) => {
                tracing::warn!(
                    error = %octroi_telemetry::chain(&error),
                    site = %site.name,
                    request_id = %caller.request,
                    "the origin failed"
                );
                respond::problem(respond::origin_problem(&error), caller.request)
            }
        }
    }
}

/// The sale that a paywall path asks for.
fn paywall_sale(
    catalogue: &Catalogue,
    target: &Target<'_>,
    host: HeaderValue,
    client: ClientInfo,
) -> Option<Sale> {
    let canonical_path = target.path.as_str();
    let names = canonical_path.strip_prefix(PAY_PREFIX)?;
    let (service, rest) = names.split_once('/')?;
    let (slug, rest) = match rest.split_once('/') {
        Some((slug, rest)) => (slug, Some(rest)),
        None => (rest, None),
    };
    let service: &Arc<Service> = catalogue.services.get(service)?;
    let paywall = Arc::clone(service.paywalls.get(slug)?);
    let path = match rest {
        None => paywall.target.clone(),
        Some("") if !paywall.takes_rest => paywall.target.clone(),
        Some(rest) if paywall.takes_rest => {
            format!("{}/{rest}", paywall.target.trim_end_matches('/'))
        }
        Some(_) => return None,
    };
    Some(Sale {
        origin: Arc::clone(&service.origin),
        path: if path.is_empty() {
            "/".to_owned()
        } else {
            path
        },
        resource_url: resource_url(&catalogue.public_url, canonical_path, target.query),
        canonical_path: canonical_path.to_owned(),
        query: target.query.map(str::to_owned),
        caller: caller(host, client),
        paywall,
    })
}

fn resource_url(base: &str, path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{base}{path}?{query}"),
        None => format!("{base}{path}"),
    }
}

fn caller(host: HeaderValue, client: ClientInfo) -> Caller {
    Caller {
        address: client.address,
        https: client.https,
        host,
        request: client.request,
    }
}

/// The target as it came; shares the request's memory.
fn raw_target<B>(request: &Request<B>) -> PathAndQuery {
    let target = request.uri().path_and_query().cloned();
    target.unwrap_or_else(|| PathAndQuery::from_static("/"))
}

/// The method that a preflight announces.
fn preflighted_method<B>(request: &Request<B>) -> Method {
    request
        .headers()
        .get(http::header::ACCESS_CONTROL_REQUEST_METHOD)
        .and_then(|method| Method::from_bytes(method.as_bytes()).ok())
        .unwrap_or(Method::OPTIONS)
}

fn not_found(request: RequestId) -> Response<GateBody> {
    let message = "Nothing lives at this path. A paywall's address looks like \
                   /api/x402/pay/{service}/{slug}.";
    respond::error(ErrorCode::NotFound, message, request)
}
