//! A priced request: evidence → check → bind → claim → forward → settle → deliver.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use octroi_app::{Checked, GivenUp, Payments, Purchase};
use octroi_claim::{Binding, SecretHash};
use octroi_egress::hop_by_hop;
use octroi_types::ErrorCode;
use octroi_x402::Payment;
use octroi_x402::payment_identifier::PaymentIdentifier;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::answers::{AnswerMemory, Bought, Recalled};
use crate::body::GateBody;
use crate::bound_body::{self, BodyLimits, BoundBody};
use crate::catalogue::{Origin, Paywall};
use crate::evidence::{self, Evidence};
use crate::exchange::Exchange;
use crate::forward::Caller;
use crate::refused::Via;
use crate::{cors, refused, respond};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What every sale needs.
#[derive(Clone)]
pub(crate) struct Till {
    pub(crate) payments: Payments,
    pub(crate) answers: Arc<AnswerMemory>,
    /// Exchanges run here and not on the client's connection: a client that leaves stops neither
    /// books nor settlement (money rule 24).
    pub(crate) tasks: TaskTracker,
    pub(crate) body_limits: BodyLimits,
}

/// One request for something priced.
pub(crate) struct Sale {
    pub(crate) paywall: Arc<Paywall>,
    pub(crate) origin: Arc<Origin>,
    /// Path at the origin, without its prefix.
    pub(crate) path: String,
    /// Canonical path of the request.
    pub(crate) canonical_path: String,
    pub(crate) query: Option<String>,
    /// What `resource.url` says.
    pub(crate) resource_url: String,
    pub(crate) caller: Caller,
}

impl Till {
    /// Answers one request for something priced.
    pub(crate) async fn sell(&self, sale: Sale, request: Request<Incoming>) -> Response<GateBody> {
        let (method, headers) = (request.method(), request.headers());
        let id = sale.caller.request;
        if cors::is_preflight(method, headers) {
            return cors::preflight(headers, sale.paywall.allow.clone());
        }
        if !sale.paywall.methods.covers(method.as_str()) {
            if method == Method::OPTIONS {
                return respond::options(sale.paywall.allow.clone());
            }
            return respond::method_not_allowed(sale.paywall.allow.clone(), id);
        }
        if hop_by_hop::asks_for_websocket(headers) {
            let message = "This route is priced, and an upgraded connection cannot be charged for. \
                           Use plain requests, or ask the seller for an unpriced endpoint.";
            return respond::error(ErrorCode::UpgradeRefused, message, id);
        }
        match evidence::find(headers) {
            Evidence::None => {
                let offer = &sale.paywall.deal.offer;
                respond::challenge(offer, &sale.resource_url, None, method)
            }
            Evidence::Undecodable(error) => {
                let (offer, reason) = (&sale.paywall.deal.offer, error.reason());
                respond::challenge(offer, &sale.resource_url, Some(reason.as_str()), method)
            }
            Evidence::Ambiguous => {
                let message = "The request carries more than one payment. Send exactly one of \
                               PAYMENT-SIGNATURE and X-PAYMENT, once. Nothing was charged.";
                respond::error(ErrorCode::AmbiguousPayment, message, id)
            }
            Evidence::Payment(payment) => self.redeem(sale, request, *payment).await,
        }
    }

    async fn redeem(
        &self,
        sale: Sale,
        request: Request<Incoming>,
        payment: Payment,
    ) -> Response<GateBody> {
        let via = Via::of(&payment);
        let (parts, incoming) = request.into_parts();
        let checked = match self.payments.check(&sale.paywall.deal, &payment).await {
            Ok(checked) => checked,
            Err(refusal) => return refused::admission(&sale, &parts.method, via, &refusal),
        };
        let body = bound_body::bind(
            &parts.headers,
            incoming,
            sale.paywall.binding,
            self.body_limits,
        );
        let body = match body.await {
            Ok(body) => body,
            Err(problem) => return refused::problem(&sale, problem, GivenUp::Uncharged),
        };
        let purchase = purchase(&sale, &parts, &payment, body.digest.as_ref());
        if let Some(asked) = Bought::of(&checked, &purchase) {
            match self.answers.find(&asked, Instant::now()) {
                Some(Recalled::Answer(answer)) => return answer.response(),
                Some(Recalled::OtherRequest) => return refused::identifier(&sale),
                None => {}
            }
        }
        self.run(sale, parts, body, checked, purchase, via).await
    }

    async fn run(
        &self,
        sale: Sale,
        parts: Parts,
        body: BoundBody,
        checked: Checked,
        purchase: Purchase,
        via: Via,
    ) -> Response<GateBody> {
        let request = sale.caller.request;
        let (head, answer) = oneshot::channel();
        let (payments, answers) = (self.payments.clone(), Arc::clone(&self.answers));
        let (waiting, underway) = payments.begin(&checked, &purchase);
        let exchange = Exchange {
            payments,
            answers,
            sale,
            parts,
            via,
            underway,
        };
        self.tasks
            .spawn(exchange.run(body, checked, purchase, head));
        let answer = answer.await;
        waiting.answered();
        match answer {
            Ok(response) => response,
            // Only a panic drops the sender; the grant's drop has put the books straight.
            Err(_) => {
                let message = "The gate failed while it handled this payment. Come again with the \
                               same payment: it is not charged twice, and what it paid for no \
                               answer becomes a credit.";
                respond::error(ErrorCode::Internal, message, request)
            }
        }
    }
}

fn purchase(sale: &Sale, parts: &Parts, payment: &Payment, digest: Option<&[u8; 32]>) -> Purchase {
    let deal = &sale.paywall.deal;
    let method = parts.method.as_str();
    Purchase {
        binding: Binding::new(
            deal.paywall.as_bytes(),
            method,
            &sale.canonical_path,
            sale.query.as_deref(),
            digest,
        ),
        secret: secret(parts, payment),
        request: sale.caller.request,
        method: method.to_owned(),
        path: sale.canonical_path.clone(),
    }
}

/// A secret that only the payer knows, by which it may fetch a lost answer (money rule 9). An
/// identifier that is malformed, or could be guessed by its length, is none.
fn secret(parts: &Parts, payment: &Payment) -> Option<SecretHash> {
    let identifier = PaymentIdentifier::of(payment).ok().flatten();
    identifier
        .and_then(|identifier| SecretHash::of(identifier.expose()))
        .or_else(|| {
            let key = parts.headers.get(IDEMPOTENCY_KEY)?.to_str().ok()?;
            SecretHash::of(key)
        })
}
