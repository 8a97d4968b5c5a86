//! What a buyer is told when a payment bought nothing.

use http::{Method, Response};
use octroi_app::{Refusal, SettleFailure};
use octroi_claim::RefusedClaim;
use octroi_egress::EgressError;
use octroi_store::Credit;
use octroi_types::{B256, ErrorCode};
use octroi_x402::{Reason, SettleResponse, Version};

use crate::body::GateBody;
use crate::respond;
use crate::sale::Sale;

const PENDING: &str = "The settlement of this payment is not known yet. Repeat this request with \
                       the same payment; do not sign a new one.";
const TRY_AGAIN: &str = "The payment could not be handled now. Nothing was charged: come again \
                         with the same payment.";

/// A payment that was not admitted.
pub(crate) fn admission(
    sale: &Sale,
    method: &Method,
    version: Version,
    refusal: &Refusal,
) -> Response<GateBody> {
    match refusal {
        Refusal::Invalid(reason) => terms(sale, method, *reason),
        Refusal::Unavailable(code) => respond::error(*code, TRY_AGAIN, sale.caller.request),
        Refusal::Claim(refused) => claim(sale, method, version, *refused),
    }
}

fn claim(
    sale: &Sale,
    method: &Method,
    version: Version,
    refused: RefusedClaim,
) -> Response<GateBody> {
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
            let message = "This payment already bought its answer; sign a new one to buy another.";
            let mut response = respond::error(ErrorCode::PaymentAlreadyUsed, message, request);
            if let Some(tx_hash) = tx_hash {
                let chain = sale
                    .paywall
                    .deal
                    .offer
                    .terms()
                    .first()
                    .map(|terms| terms.chain());
                if let Some(chain) = chain {
                    let reason = Reason::DuplicateSettlement;
                    let receipt =
                        SettleResponse::failed(version, chain, reason, Some(tx_hash), None);
                    respond::add_settle_response(&mut response, version, &receipt);
                }
            }
            response
        }
        RefusedClaim::Pending { tx_hash, .. } => pending(sale, version, tx_hash),
        RefusedClaim::AwaitEarlier { .. } => pending(sale, version, None),
        RefusedClaim::Expired => terms(sale, method, Reason::ValidBefore),
        RefusedClaim::Unfunded => terms(sale, method, Reason::InsufficientBalance),
    }
}

/// A granted payment that was not settled. The grant has been given up; `credit` is what the payer
/// has if the money arrived all the same.
pub(crate) fn settlement(
    sale: &Sale,
    method: &Method,
    version: Version,
    failure: &SettleFailure,
    credit: Option<&Credit>,
) -> Response<GateBody> {
    let mut response = match failure {
        SettleFailure::Refused(reason) => {
            let mut response = terms(sale, method, *reason);
            add_failure(&mut response, sale, version, *reason, None);
            response
        }
        SettleFailure::Pending { tx_hash } => pending(sale, version, *tx_hash),
        SettleFailure::Unavailable(code) => respond::error(*code, TRY_AGAIN, sale.caller.request),
        SettleFailure::Fenced => pending(sale, version, None),
    };
    respond::add_credit(&mut response, credit);
    response
}

/// An origin that did not answer.
pub(crate) fn origin(
    sale: &Sale,
    error: &EgressError,
    credit: Option<&Credit>,
) -> Response<GateBody> {
    let mut response = respond::origin_failed(error, sale.caller.request);
    respond::add_credit(&mut response, credit);
    response
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
fn pending(sale: &Sale, version: Version, tx_hash: Option<B256>) -> Response<GateBody> {
    let mut response = respond::error(ErrorCode::SettlementPending, PENDING, sale.caller.request);
    add_failure(
        &mut response,
        sale,
        version,
        Reason::SettlementPending,
        tx_hash,
    );
    response
}

fn add_failure(
    response: &mut Response<GateBody>,
    sale: &Sale,
    version: Version,
    reason: Reason,
    tx_hash: Option<B256>,
) {
    // Every offer has terms; the chain only names the network in the receipt.
    if let Some(terms) = sale.paywall.deal.offer.terms().first() {
        let failed = SettleResponse::failed(version, terms.chain(), reason, tx_hash, None);
        respond::add_settle_response(response, version, &failed);
    }
}
