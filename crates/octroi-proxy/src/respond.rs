//! The gate's own answers.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Response, StatusCode};
use http_body_util::LengthLimitError;
use octroi_app::{GivenUp, Receipt};
use octroi_egress::{EgressError, Phase};
use octroi_telemetry::metrics::{self, Outcome, Unpaid};
use octroi_types::{ErrorCode, RequestId};
use octroi_x402::{Offer, SettleResponse, Version, header};
use serde::Serialize;

use crate::body::GateBody;
use crate::bound_body::{BODY_BROKE_OFF, BODY_STALLED, BODY_TOO_LARGE};
use crate::client_body::Stalled;
use crate::{cors, measure};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static(header::PAYMENT_REQUIRED);
const X_REFUND_CREDIT: HeaderName = HeaderName::from_static(header::X_REFUND_CREDIT);

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    code: &'static str,
    message: &'a str,
    request_id: RequestId,
}

/// What went wrong, in a sentence that says nothing about money: what it means for that depends on
/// how far a payment had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: ErrorCode,
    pub(crate) message: &'static str,
}

/// Tells a client that brought no payment what went wrong.
pub(crate) fn problem(problem: Problem, request: RequestId) -> Response<GateBody> {
    error(problem.code, problem.message, request)
}

/// A refusal or failure with a stable code and a sentence that says what to do.
pub(crate) fn error(code: ErrorCode, message: &str, request: RequestId) -> Response<GateBody> {
    let detail = ErrorDetail {
        code: code.as_str(),
        message,
        request_id: request,
    };
    let json = serde_json::to_vec(&ErrorBody { error: detail }).unwrap_or_default();
    let mut response = Response::new(GateBody::from(json));
    *response.status_mut() =
        StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    cors::expose(headers);
    measure::mark(&mut response, outcome(code));
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// What an error means in the metrics.
const fn outcome(code: ErrorCode) -> Outcome {
    match code {
        ErrorCode::OriginUnreachable | ErrorCode::OriginTimeout => Outcome::OriginFailed,
        ErrorCode::SettlementPending => Outcome::SettlementPending,
        ErrorCode::Internal
        | ErrorCode::StoreUnavailable
        | ErrorCode::SettlementUnavailable
        | ErrorCode::Draining => Outcome::GateFailed,
        _ => Outcome::Refused,
    }
}

/// Why an origin gave no answer: its own failure, or that of the body it was sent.
pub(crate) fn origin_problem(failure: &EgressError) -> Problem {
    match failure.phase() {
        Phase::RequestBody if is_caused_by::<LengthLimitError>(failure) => BODY_TOO_LARGE,
        Phase::RequestBody if is_caused_by::<Stalled>(failure) => BODY_STALLED,
        Phase::RequestBody => BODY_BROKE_OFF,
        Phase::HeadTimeout | Phase::BodyTimeout => Problem {
            code: ErrorCode::OriginTimeout,
            message: "The origin did not answer in time.",
        },
        _ => Problem {
            code: ErrorCode::OriginUnreachable,
            message: "The origin could not be reached or broke off.",
        },
    }
}

fn is_caused_by<E: std::error::Error + 'static>(failure: &EgressError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(failure);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A method that the route does not allow; nothing was charged.
pub(crate) fn method_not_allowed(allowed: HeaderValue, request: RequestId) -> Response<GateBody> {
    let message = "This method is not allowed here; see the Allow header.";
    let mut response = error(ErrorCode::MethodNotAllowed, message, request);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// What may be done here, which is free to ask (RFC 9110, 9.3.7); the origin is not asked.
pub(crate) fn options(allowed: HeaderValue) -> Response<GateBody> {
    let mut response = Response::new(GateBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, allowed);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    cors::expose(headers);
    response
}

/// The terms: one 402 that clients of both versions can pay.
pub(crate) fn challenge(
    offer: &Offer,
    resource_url: &str,
    refused: Option<&str>,
    method: &Method,
) -> Response<GateBody> {
    let text = refused.unwrap_or(if offer.has_version_1() {
        "PAYMENT-SIGNATURE or X-PAYMENT header is required"
    } else {
        "PAYMENT-SIGNATURE header is required; the terms are in the PAYMENT-REQUIRED header"
    });
    let terms = offer.payment_required_header(resource_url, Some(text));
    let body = if method == Method::HEAD {
        GateBody::empty()
    } else {
        GateBody::from(offer.v1_body(resource_url, Some(text)))
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    if let Ok(terms) = HeaderValue::try_from(terms) {
        headers.insert(PAYMENT_REQUIRED, terms);
    }
    cors::expose(headers);
    measure::mark(&mut response, Outcome::PaymentRequired);
    metrics::payment_required(match refused {
        None => Unpaid::NoPayment,
        Some(_) => Unpaid::PaymentRefused,
    });
    response
}

/// Writes the receipt of a settled payment under the header of the version that was spoken.
pub(crate) fn add_receipt(response: &mut Response<GateBody>, receipt: &Receipt) {
    let Receipt {
        version,
        chain,
        payer,
        amount,
        tx_hash,
        ..
    } = *receipt;
    let mut settled = SettleResponse::settled(
        version,
        chain,
        tx_hash.unwrap_or_default(),
        payer,
        Some(amount),
    );
    if tx_hash.is_none() {
        // A credit paid: there is no transaction of this payment.
        settled.transaction = String::new();
    }
    add_settle_response(response, version, &settled);
}

/// Writes the outcome of a settlement, good or bad.
pub(crate) fn add_settle_response(
    response: &mut Response<GateBody>,
    version: Version,
    outcome: &SettleResponse,
) {
    let name = HeaderName::from_static(version.response_header());
    if let Ok(value) = HeaderValue::try_from(outcome.to_header()) {
        response.headers_mut().insert(name, value);
    }
}

/// Names the refund credit that the payer now has, if there is one.
pub(crate) fn add_credit(response: &mut Response<GateBody>, given_up: GivenUp) {
    let GivenUp::Credited(credit) = given_up else {
        return;
    };
    if let Ok(value) = HeaderValue::try_from(credit.to_string()) {
        response.headers_mut().insert(X_REFUND_CREDIT, value);
    }
}
