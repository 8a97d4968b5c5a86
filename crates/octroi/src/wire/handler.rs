//! The server's handler: what is known of a connection, then the data plane.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use octroi_config::ServerConfig;
use octroi_proxy::{ClientInfo, Gate, GateBody};
use octroi_server::{
    ConnectionInfo, ForwardedField, Handler, ListenerRole, TrustedProxies, client_address,
};
use octroi_types::RequestId;

use super::surfaces::GateSurfaces;

/// Hands requests to the gate or, on the management listener, to its surfaces.
pub(crate) struct GateHandler {
    gate: Gate,
    surfaces: GateSurfaces,
    trusted: TrustedProxies,
}

impl GateHandler {
    pub(super) fn new(gate: Gate, surfaces: GateSurfaces, config: &ServerConfig) -> Self {
        let field = ForwardedField::XForwardedFor;
        let trusted = TrustedProxies::new(config.trusted_proxies.clone(), field);
        Self {
            gate,
            surfaces,
            trusted,
        }
    }

    fn client(&self, request: &Request<Incoming>, connection: &ConnectionInfo) -> ClientInfo {
        let peer = connection.peer.ip();
        let id = request.extensions().get::<RequestId>().copied();
        ClientInfo {
            address: client_address(peer, request.headers(), &self.trusted),
            https: connection.tls.is_some() || self.proxied_https(request, connection),
            request: id.unwrap_or_else(RequestId::generate),
        }
    }

    fn proxied_https(&self, request: &Request<Incoming>, connection: &ConnectionInfo) -> bool {
        self.trusted.contains(connection.peer.ip())
            && request
                .headers()
                .get("x-forwarded-proto")
                .is_some_and(|proto| proto == "https")
    }
}

impl Handler for GateHandler {
    type Body = GateBody;

    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<ConnectionInfo>,
    ) -> Response<GateBody> {
        let client = self.client(&request, connection);
        match connection.role {
            ListenerRole::Gate => self.gate.handle(request, client).await,
            ListenerRole::Management => match self.surfaces.manage(request, client).await {
                Some(response) => response,
                None => GateSurfaces::nothing_here(client.request),
            },
        }
    }
}
