//! The gate's own surfaces beside the paywalls, and on which listener each answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use octroi_api::BearerTokens;
use octroi_app::FacilitatorDesk;
use octroi_config::Config;
use octroi_proxy::{ClientInfo, GateBody, Surfaces};
use octroi_types::{ErrorCode, RequestId};
use tower::ServiceExt as _;

use super::operations::GateOperations;

/// Every surface, as routers.
#[derive(Clone)]
pub(crate) struct GateSurfaces {
    /// What the listener for buyers answers.
    public: Router,
    /// What the management listener answers.
    management: Router,
}

impl GateSurfaces {
    pub(super) fn new(
        config: &Config,
        operations: Arc<GateOperations>,
        desk: FacilitatorDesk,
    ) -> Self {
        let operations = octroi_api::operations(operations, config.metrics.enabled);
        let mut public = Router::new();
        if config.facilitator.enabled {
            let tokens = BearerTokens::from_hashes(config.facilitator.token_hashes.clone());
            public = public.merge(octroi_api::facilitator(desk, tokens));
        }
        let management = public.clone().merge(operations.clone());
        // Metrics and health move to the management listener once there is one.
        if config.server.management_listen.is_none() {
            public = public.merge(operations);
        }
        Self { public, management }
    }

    /// Answers on the management listener.
    pub(super) async fn manage(
        &self,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> Option<Response<GateBody>> {
        route(self.management.clone(), request, client).await
    }

    pub(super) fn nothing_here(request: RequestId) -> Response<GateBody> {
        let body = serde_json::json!({"error": {
            "code": ErrorCode::NotFound.as_str(),
            "message": "Nothing lives at this path of the management listener.",
            "request_id": request,
        }});
        let mut response = Response::new(GateBody::from(body.to_string().into_bytes()));
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }
}

impl Surfaces for GateSurfaces {
    fn answer(
        &self,
        request: Request<Incoming>,
        client: ClientInfo,
    ) -> Pin<Box<dyn Future<Output = Option<Response<GateBody>>> + Send + '_>> {
        Box::pin(route(self.public.clone(), request, client))
    }
}

/// Marks that no route matched, so that the gate says so in its own words.
#[derive(Clone, Copy)]
struct NoRoute;

async fn route(
    router: Router,
    request: Request<Incoming>,
    client: ClientInfo,
) -> Option<Response<GateBody>> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(client.request);
    let router = router.fallback(|| async {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(NoRoute);
        response
    });
    let Ok(response) = router.oneshot(request).await;
    if response.extensions().get::<NoRoute>().is_some() {
        return None;
    }
    Some(response.map(|body| GateBody::Surface(Box::pin(body.map_err(Into::into)))))
}
