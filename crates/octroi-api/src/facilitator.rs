//! The facilitator's endpoints, as the official servers call them.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::header::CONTENT_TYPE;
use octroi_app::FacilitatorDesk;
use octroi_types::{ErrorCode, RequestId};
use octroi_x402::BODY_BYTES_MAX;
use octroi_x402::facilitator::FacilitatorRequest;

use crate::bearer::BearerTokens;
use crate::problem::Problem;

#[derive(Clone)]
pub(crate) struct Facilitator {
    desk: FacilitatorDesk,
    tokens: BearerTokens,
}

/// Every route; the OpenAPI document describes each.
pub(crate) fn routes() -> [(&'static str, MethodRouter<Facilitator>); 3] {
    [
        ("/facilitator/supported", get(supported)),
        ("/facilitator/verify", post(verify)),
        ("/facilitator/settle", post(settle)),
    ]
}

pub(crate) fn router(desk: FacilitatorDesk, tokens: BearerTokens) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
        .with_state(Facilitator { desk, tokens })
}

/// Which payments are settled here.
async fn supported(State(facilitator): State<Facilitator>, request: Request) -> Response {
    if let Err(problem) = admit(&facilitator, &request) {
        return problem.into_response();
    }
    json(facilitator.desk.supported().to_body())
}

/// Whether a payment would settle. An invalid payment is an answer, not an error: status 200.
async fn verify(State(facilitator): State<Facilitator>, request: Request) -> Response {
    match read(&facilitator, request).await {
        Ok(asked) => json(facilitator.desk.verify(&asked).await.to_body()),
        Err(problem) => problem.into_response(),
    }
}

/// Settles a payment. What did not settle, or not yet, is an answer too: status 200.
async fn settle(State(facilitator): State<Facilitator>, request: Request) -> Response {
    match read(&facilitator, request).await {
        Ok(asked) => {
            // A client that leaves does not stop a settlement (money rule 24).
            let desk = facilitator.desk.clone();
            let settled = desk
                .spawn(move |desk| async move { desk.settle(&asked).await })
                .await;
            match settled {
                Some(settled) => json(settled.to_body()),
                None => Problem {
                    code: ErrorCode::Internal,
                    message: "The settlement failed half-way; ask again with the same payment.",
                    request: None,
                }
                .into_response(),
            }
        }
        Err(problem) => problem.into_response(),
    }
}

async fn read(facilitator: &Facilitator, request: Request) -> Result<FacilitatorRequest, Problem> {
    admit(facilitator, &request)?;
    let id = request_id(&request);
    let malformed = |message| Problem {
        code: ErrorCode::BadRequest,
        message,
        request: id,
    };
    let body: Body = request.into_body();
    let bytes = to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|_| malformed("The body is larger than 64 KiB or broke off."))?;
    FacilitatorRequest::from_body(&bytes).map_err(|_| {
        malformed(
            "The body must be {x402Version, paymentPayload, paymentRequirements} of x402 version \
             1 or 2.",
        )
    })
}

fn admit(facilitator: &Facilitator, request: &Request) -> Result<(), Problem> {
    if facilitator.tokens.admit(request.headers()) {
        return Ok(());
    }
    Err(Problem {
        code: ErrorCode::Unauthorized,
        message: "The facilitator is for the operator's own servers: send Authorization: Bearer \
                  with one of the configured tokens.",
        request: request_id(request),
    })
}

fn request_id(request: &Request) -> Option<RequestId> {
    request.extensions().get::<RequestId>().copied()
}

fn json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
