//! The document against the routers, the wire types and the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method, Request, StatusCode};
use octroi_app::{FacilitatorDesk, Payments, PaymentsOptions};
use octroi_claim::NodeId;
use octroi_store::MemoryStore;
use octroi_types::{ErrorCode, TenantId};
use octroi_x402::facilitator::{FacilitatorRequest, SupportedResponse};
use octroi_x402::{Payment, SettleResponse, VerifyResponse, Version, v1, v2};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::schema::{check, resolve};
use crate::{BearerTokens, Operations, Readiness};

const PAY_PATH: &str = "/api/x402/pay/{service}/{slug}";
const TOKEN: &str = "a-token-of-this-test";
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

/// A gate that is ready or not.
struct Gate(bool);

impl Operations for Gate {
    fn readiness(&self) -> Readiness {
        let parts = vec![
            ("store".to_owned(), true),
            ("network:base".to_owned(), self.0),
        ];
        Readiness {
            ready: self.0,
            parts,
        }
    }

    fn metrics(&self) -> String {
        "a_metric 1\n".to_owned()
    }
}

fn document() -> Value {
    serde_json::from_str(super::DOCUMENT).unwrap()
}

/// Every surface, without any chain.
fn surfaces(ready: bool) -> Router {
    let options = PaymentsOptions::new(NodeId(1));
    let store = Arc::new(MemoryStore::new());
    let payments = Payments::new(options, store, HashMap::new(), TaskTracker::new());
    let desk = FacilitatorDesk::new(payments, TenantId::from_bytes([1; 16]), Vec::new());
    let tokens = BearerTokens::from_hashes(vec![Sha256::digest(TOKEN).into()]);
    crate::facilitator(desk, tokens).merge(crate::operations(Arc::new(Gate(ready)), true))
}

/// Asks a surface, and holds the answer against the document.
async fn ask(surfaces: &Router, method: Method, path: &str, token: &str, body: &str) -> StatusCode {
    let document = document();
    let request = Request::builder()
        .method(&method)
        .uri(path)
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = surfaces.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let operation = &document["paths"][path][method.as_str().to_ascii_lowercase()];
    let described = operation["responses"].get(status.as_str());
    let described = described.unwrap_or_else(|| panic!("{method} {path} answers {status}"));
    let content = &resolve(&document, described)["content"];
    let kind = response.headers()[CONTENT_TYPE]
        .to_str()
        .unwrap()
        .to_owned();
    let media = content
        .get(&kind)
        .unwrap_or_else(|| panic!("{path} answers {kind}"));
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    if kind == "application/json" && path != "/openapi.json" {
        let body: Value = serde_json::from_slice(&body).unwrap();
        check(&document, &media["schema"], &body).unwrap();
        if let Some(code) = body["error"]["code"].as_str() {
            let codes = &resolve(&document, described)["x-error-codes"];
            assert!(
                codes.as_array().unwrap().contains(&code.into()),
                "{path}: {code}"
            );
        }
    }
    status
}

/// The example payments, as requests to a facilitator.
fn facilitator_bodies(document: &Value) -> Vec<String> {
    let body = &document["components"]["requestBodies"]["Facilitator"];
    let examples = &body["content"]["application/json"]["examples"];
    let examples = examples.as_object().unwrap().values();
    examples
        .map(|example| example["value"].to_string())
        .collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = document();
    let described: BTreeSet<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let operations = crate::operations::routes().map(|(path, _)| path);
    let facilitator = crate::facilitator::routes().map(|(path, _)| path);
    let routes = operations.iter().chain(&facilitator).chain(&[PAY_PATH]);
    assert_eq!(described, routes.map(|path| (*path).to_owned()).collect());
}

#[tokio::test]
async fn every_method_is_described_and_no_other_is_served() {
    let (document, surfaces) = (document(), surfaces(true));
    for (path, item) in document["paths"].as_object().unwrap() {
        if path == PAY_PATH {
            continue;
        }
        for method in METHODS {
            let request = Request::builder()
                .method(&method)
                .uri(path)
                .body(Body::empty())
                .unwrap();
            let status = surfaces.clone().oneshot(request).await.unwrap().status();
            let described = item.get(method.as_str().to_ascii_lowercase()).is_some();
            let served = status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(described, served, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_answer_is_as_described() {
    let ready = surfaces(true);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(ask(&ready, Method::GET, path, "", "").await, StatusCode::OK);
    }
    let status = ask(&surfaces(false), Method::GET, "/readyz", "", "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);

    let supported = "/facilitator/supported";
    assert_eq!(
        ask(&ready, Method::GET, supported, TOKEN, "").await,
        StatusCode::OK
    );
    assert_eq!(
        ask(&ready, Method::GET, supported, "", "").await,
        StatusCode::UNAUTHORIZED
    );
    for path in ["/facilitator/verify", "/facilitator/settle"] {
        for body in facilitator_bodies(&document()) {
            assert_eq!(
                ask(&ready, Method::POST, path, TOKEN, &body).await,
                StatusCode::OK
            );
            let status = ask(&ready, Method::POST, path, "another", &body).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        let status = ask(&ready, Method::POST, path, TOKEN, "{}").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut checked = 0;
    each_object(&document, &mut |object| {
        let schema = object.get("schema").unwrap_or(object);
        let several = object.get("examples").and_then(Value::as_object);
        let several = several.into_iter().flat_map(|examples| examples.values());
        for example in several
            .map(|example| &example["value"])
            .chain(object.get("example"))
        {
            check(&document, schema, example).unwrap();
            checked += 1;
        }
    });
    assert!(checked > 20, "{checked}");
}

/// Read by the types that the gate reads and writes with, no field is lost.
#[test]
fn every_example_is_what_the_wire_types_say() {
    let document = document();
    let parameter = |name: &str| text(&document, &format!("/components/parameters/{name}/example"));
    for (name, version) in [("PaymentSignature", Version::V2), ("XPayment", Version::V1)] {
        let payment = Payment::from_header(version, &parameter(name)).unwrap();
        assert_eq!(
            Payment::from_header(version, &payment.to_header()).unwrap(),
            payment
        );
    }
    let header = |name: &str| text(&document, &format!("/components/headers/{name}/example"));
    assert!(v2::PaymentRequired::from_header(&header("PaymentRequired")).is_ok());
    for name in ["PaymentResponse", "PaymentResponseV1"] {
        assert!(SettleResponse::from_header(&header(name)).unwrap().success);
    }
    for body in facilitator_bodies(&document) {
        let read = FacilitatorRequest::from_body(body.as_bytes()).unwrap();
        assert_same(&read.to_body(), &body);
        assert!(read.terms().is_ok(), "{body}");
    }
    let terms = "/components/responses/PaymentRequired/content/application~1json/example";
    let terms = document.pointer(terms).unwrap().to_string();
    assert_same(
        &v1::PaymentRequired::from_body(terms.as_bytes())
            .unwrap()
            .to_body(),
        &terms,
    );

    for (operation, again) in [
        ("supported/get", supported_again as fn(&[u8]) -> Vec<u8>),
        ("verify/post", verified_again),
        ("settle/post", settled_again),
    ] {
        let pointer = format!(
            "/paths/~1facilitator~1{operation}/responses/200/content/application~1json/examples"
        );
        let examples = document.pointer(&pointer).unwrap().as_object().unwrap();
        for example in examples.values() {
            let example = example["value"].to_string();
            assert_same(&again(example.as_bytes()), &example);
        }
    }
}

fn supported_again(body: &[u8]) -> Vec<u8> {
    SupportedResponse::from_body(body).unwrap().to_body()
}

fn verified_again(body: &[u8]) -> Vec<u8> {
    VerifyResponse::from_body(body).unwrap().to_body()
}

fn settled_again(body: &[u8]) -> Vec<u8> {
    SettleResponse::from_body(body).unwrap().to_body()
}

#[test]
fn every_error_code_stands_under_its_own_status() {
    let document = document();
    let codes: BTreeMap<_, _> = ErrorCode::ALL
        .iter()
        .map(|code| (code.as_str(), code.status().to_string()))
        .collect();
    let listed = &document["components"]["schemas"]["Error"]["properties"]["error"];
    let listed = listed["properties"]["code"]["enum"].as_array().unwrap();
    let all: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(*listed, all);

    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                let codes_here = &resolve(&document, response)["x-error-codes"];
                for code in codes_here.as_array().into_iter().flatten() {
                    let code = code.as_str().unwrap();
                    assert_eq!(codes.get(code), Some(status), "{path}: {code}");
                    described.insert(code.to_owned());
                }
            }
        }
    }
    // The 402 has a body of its own, sites deny, and two are reserved.
    let elsewhere = ["payment_required", "forbidden", "rate_limited", "draining"];
    let described = described
        .iter()
        .map(String::as_str)
        .chain(elsewhere)
        .collect();
    assert_eq!(codes.keys().copied().collect::<BTreeSet<_>>(), described);
}

#[test]
fn the_document_holds_together() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut used = BTreeSet::new();
    let mut ids = BTreeSet::new();
    each_object(&document, &mut |object| {
        if let Some(path) = object.get("$ref") {
            resolve(&document, object);
            used.insert(path.as_str().unwrap().to_owned());
        }
        if let Some(id) = object.get("operationId") {
            assert!(ids.insert(id.to_string()), "{id} twice");
        }
        for name in object
            .get("headers")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            assert!(HeaderName::try_from(name.0).is_ok(), "{}", name.0);
        }
    });
    for (kind, parts) in document["components"].as_object().unwrap() {
        for name in parts.as_object().unwrap().keys() {
            let path = format!("#/components/{kind}/{name}");
            let is_used = kind == "securitySchemes" || used.contains(&path);
            assert!(is_used, "{path} is not used");
        }
    }
}

fn text(document: &Value, pointer: &str) -> String {
    document
        .pointer(pointer)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

fn assert_same(written: &[u8], example: &str) {
    let written: Value = serde_json::from_slice(written).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(example).unwrap());
}

/// Visits every object of the document that is not inside an example.
fn each_object<'d>(value: &'d Value, visit: &mut impl FnMut(&'d Value)) {
    match value {
        Value::Object(fields) => {
            visit(value);
            let inner = fields
                .iter()
                .filter(|(name, _)| !name.starts_with("example"));
            inner.for_each(|(_, inner)| each_object(inner, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| each_object(item, visit)),
        _ => {}
    }
}
