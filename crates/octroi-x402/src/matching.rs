//! Which of our terms a payment is meant for.
//!
//! What the client says about price, asset, payee and timeout is only ever compared (money rule
//! 11); the result is a reference to our own terms.

use octroi_types::{Address, Amount};

use crate::codec::JsonObject;
use crate::payload::ExactPayload;
use crate::payment::Payment;
use crate::reason::Reason;
use crate::terms::Terms;
use crate::{SCHEME_EXACT, v1, v2};

/// The terms that a payment may be meant for, best first and at least one.
///
/// A version 2 payment repeats its terms: every core field must be equal to ours (numbers and
/// addresses by value), and our `extra` must be contained in the client's, which may add keys. A
/// version 1 payment names only scheme and network, so the terms on that chain are ordered by payee
/// and by how well the signed value fits; equal prices in two tokens can only be told apart by the
/// signature, which is why there may be several.
///
/// # Errors
/// The [`Reason`] why no terms can be meant.
pub fn match_terms<'t>(
    payment: &Payment,
    terms: impl IntoIterator<Item = &'t Terms>,
) -> Result<Vec<&'t Terms>, Reason> {
    if payment.scheme() != SCHEME_EXACT {
        return Err(Reason::InvalidScheme);
    }
    let chain = payment.chain().ok_or(Reason::NetworkMismatch)?;
    let mut candidates: Vec<&Terms> = terms
        .into_iter()
        .filter(|terms| terms.chain() == chain)
        .collect();
    if candidates.is_empty() {
        return Err(Reason::NetworkMismatch);
    }
    match payment {
        Payment::V2(payment) => {
            candidates.retain(|terms| is_accepted(terms, &payment.accepted));
            if candidates.is_empty() {
                return Err(Reason::InvalidRequirements);
            }
        }
        Payment::V1(payment) => sort_by_fit(&mut candidates, payment),
    }
    Ok(candidates)
}

/// Whether a client that says it accepted this means these terms; scheme and chain are known to be
/// equal.
fn is_accepted(terms: &Terms, accepted: &v2::PaymentRequirements) -> bool {
    accepted.amount.parse::<Amount>() == Ok(terms.amount)
        && accepted.asset.parse::<Address>() == Ok(terms.asset())
        && accepted.pay_to.parse::<Address>() == Ok(terms.pay_to)
        && accepted.max_timeout_seconds == u64::from(terms.max_timeout_seconds)
        && accepted.extra.as_ref().is_some_and(|JsonObject(extra)| {
            let is = |key: &str, text: &str| extra.get(key).is_some_and(|value| value == text);
            is("name", terms.token.domain_name()) && is("version", terms.token.domain_version())
        })
}

fn sort_by_fit(candidates: &mut [&Terms], payment: &v1::PaymentPayload) {
    let ExactPayload::Eip3009 { authorization, .. } = &payment.payload else {
        return;
    };
    let paid = authorization.value.to_u64().unwrap_or(u64::MAX);
    // The price itself, else the dearest that the value covers, else the cheapest above it.
    candidates.sort_by_key(|terms| {
        let price = terms.amount.units();
        (
            terms.pay_to != authorization.to,
            price > paid,
            price.abs_diff(paid),
        )
    });
}
