//! What a buyer is told when a payment bought nothing.
//!
//! Every sentence about money is chosen by what became of the money, not by what went wrong: the same
//! failure charges nothing where the settlement was to come later, and leaves a credit where it had
//! come before.

use http::{Method, Response};
use octroi_app::{GivenUp, Refusal, SettleFailure};
use octroi_claim::RefusedClaim;
use octroi_types::{B256, ChainId, ErrorCode};
use octroi_x402::{Payment, Reason, SettleResponse, Version};

use crate::body::GateBody;
use crate::respond::{self, Problem};
use crate::sale::Sale;

/// What of a payment the answer to it repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Via {
    version: Version,
    /// None for a chain that is not known by this name, on which nothing is sold.
    chain: Option<ChainId>,
}

impl Via {
    pub(crate) fn of(payment: &Payment) -> Self {
        Self {
            version: payment.version(),
            chain: payment.chain(),
        }
    }
}

const PENDING: &str = "The settlement of this payment is not known or not sure yet. Repeat this \
                       request with the same payment; do not sign a new one.";
const NOT_HANDLED: &str = "The payment could not be handled now; come again.";
const DENIED: &str = "This wallet cannot pay here.";
const SETTLED_TOO_LATE: &str = "The payment was settled too late for the answer.";

/// A payment that was not admitted.
pub(crate) fn admission(
    sale: &Sale,
    method: &Method,
    via: Via,
    refusal: &Refusal,
) -> Response<GateBody> {
    match refusal {
        Refusal::Invalid(reason) => terms(sale, method, *reason),
        // Never a 402, for another payment of the same wallet would fare no better; and no word of
        // who denies it and why.
        Refusal::Denied => error(sale, ErrorCode::AddressDenied, DENIED, GivenUp::Uncharged),
        Refusal::Unavailable(code) => unavailable(sale, *code, GivenUp::Uncharged),
        Refusal::Claim(refused) => claim(sale, method, via, *refused),
    }
}

fn claim(sale: &Sale, method: &Method, via: Via, refused: RefusedClaim) -> Response<GateBody> {
    let request = sale.caller.request;
    match refused {
        RefusedClaim::BoundElsewhere => {
            let message =
                "This payment was first used for another request, and buys that one only.";
            respond::error(ErrorCode::PaymentBoundElsewhere, message, request)
        }
        RefusedClaim::InUse { .. } => {
            let message = "This payment is buying its answer right now.";
            respond::error(ErrorCode::PaymentInUse, message, request)
        }
        RefusedClaim::AlreadyUsed { tx_hash, .. } => {
            let message = "This payment was used before and buys nothing more. Sign a new one; if \
                           this one was settled and never answered, a credit pays in its place.";
            let mut response = respond::error(ErrorCode::PaymentAlreadyUsed, message, request);
            if tx_hash.is_some() {
                add_failure(&mut response, via, Reason::DuplicateSettlement, tx_hash);
            }
            response
        }
        RefusedClaim::Pending { tx_hash, .. } => pending(sale, via, tx_hash),
        RefusedClaim::AwaitEarlier { .. } => pending(sale, via, None),
        RefusedClaim::Expired => terms(sale, method, Reason::ValidBefore),
        RefusedClaim::Unfunded => terms(sale, method, Reason::InsufficientBalance),
    }
}

/// A secret that belongs to another request of the same payer.
pub(crate) fn identifier(sale: &Sale) -> Response<GateBody> {
    let message = "The payment identifier or Idempotency-Key was first used for another request. \
                   Choose another one, and sign a new payment, for this request.";
    respond::error(
        ErrorCode::PaymentBoundElsewhere,
        message,
        sale.caller.request,
    )
}

/// Something that went wrong with a request while its payment was handled.
pub(crate) fn problem(sale: &Sale, problem: Problem, given_up: GivenUp) -> Response<GateBody> {
    error(sale, problem.code, problem.message, given_up)
}

/// A granted payment that was not settled, or not in time. The grant has been given up.
pub(crate) fn settlement(
    sale: &Sale,
    method: &Method,
    via: Via,
    failure: &SettleFailure,
    given_up: GivenUp,
) -> Response<GateBody> {
    match failure {
        SettleFailure::Refused(reason) => {
            let mut response = terms(sale, method, *reason);
            add_failure(&mut response, via, *reason, None);
            respond::add_credit(&mut response, given_up);
            response
        }
        SettleFailure::Pending { tx_hash } | SettleFailure::TooEarly { tx_hash } => {
            undecided(sale, via, *tx_hash, given_up)
        }
        SettleFailure::Fenced => undecided(sale, via, None, given_up),
        SettleFailure::Unavailable(code) => unavailable(sale, *code, given_up),
    }
}

/// A settlement whose fate was not known in time; it may have become known since.
fn undecided(
    sale: &Sale,
    via: Via,
    tx_hash: Option<B256>,
    given_up: GivenUp,
) -> Response<GateBody> {
    match given_up {
        GivenUp::Open => pending(sale, via, tx_hash),
        GivenUp::Uncharged => unavailable(sale, ErrorCode::SettlementUnavailable, given_up),
        GivenUp::Credited(_) => {
            let code = ErrorCode::SettlementPending;
            let mut response = error(sale, code, SETTLED_TOO_LATE, given_up);
            let reason = Reason::SettlementPending;
            add_failure(&mut response, via, reason, tx_hash);
            response
        }
    }
}

fn unavailable(sale: &Sale, code: ErrorCode, given_up: GivenUp) -> Response<GateBody> {
    error(sale, code, NOT_HANDLED, given_up)
}

/// What went wrong, followed by what it means for the money.
fn error(sale: &Sale, code: ErrorCode, what: &str, given_up: GivenUp) -> Response<GateBody> {
    let message = format!("{what} {}", money(given_up));
    let mut response = respond::error(code, &message, sale.caller.request);
    respond::add_credit(&mut response, given_up);
    response
}

const fn money(given_up: GivenUp) -> &'static str {
    match given_up {
        GivenUp::Uncharged => "Nothing was charged.",
        GivenUp::Credited(_) => {
            "The payment had been settled: X-Refund-Credit names a credit that pays for your next \
             request."
        }
        GivenUp::Open => {
            "It is not known yet whether the payment was charged: come again with the same one, do \
             not sign another. What it paid for no answer becomes a credit."
        }
    }
}

fn terms(sale: &Sale, method: &Method, reason: Reason) -> Response<GateBody> {
    respond::challenge(
        &sale.paywall.deal.offer,
        &sale.resource_url,
        Some(reason.as_str()),
        method,
    )
}

/// Never a second 402 for a payment whose fate is unknown: the client would pay twice (money
/// rule 16).
fn pending(sale: &Sale, via: Via, tx_hash: Option<B256>) -> Response<GateBody> {
    let mut response = respond::error(ErrorCode::SettlementPending, PENDING, sale.caller.request);
    add_failure(&mut response, via, Reason::SettlementPending, tx_hash);
    response
}

fn add_failure(response: &mut Response<GateBody>, via: Via, reason: Reason, tx_hash: Option<B256>) {
    let Via { version, chain } = via;
    if let Some(chain) = chain {
        let failed = SettleResponse::failed(version, chain, reason, tx_hash, None);
        respond::add_settle_response(response, version, &failed);
    }
}
