//! The offline checks of a payment, and what they leave to ask the chain.

use std::borrow::Cow;

use octroi_types::{Address, Amount, B256, UnixSeconds};

use crate::SCHEME_EXACT;
use crate::eip712::{Authorization, Token};
use crate::identity::payment_identity;
use crate::matching::match_terms;
use crate::payload::ExactPayload;
use crate::payment::{Payment, Version};
use crate::reason::Reason;
use crate::signature::Signature;
use crate::terms::Terms;
use crate::uint256::Uint256;

/// The longest window that is signed or accepted, in seconds: 24 hours (money rule 13). Until its
/// end a signature is as good as money.
pub const WINDOW_SECONDS_MAX: u64 = 24 * 60 * 60;

/// How much of an authorization's window must be left, and how long it may be (money rule 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRules {
    /// `validBefore` must be at least this far away, in seconds: the route's time-out plus the time
    /// that a settlement takes. The reference demands 6.
    pub settlement_margin_seconds: u64,
    /// `validBefore` must be at most this far away, in seconds; [`WINDOW_SECONDS_MAX`] unless a
    /// route has a reason for less.
    pub max_window_seconds: u64,
}

/// An authorization that passed every check that needs no chain.
///
/// It is only half of a verification: [`CheckedAuthorization::payer_check`] says, from one chain
/// fact, whether the signature is proven or who has to be asked. Balance and nonce are the chain's
/// too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedAuthorization {
    /// Who pays.
    pub payer: Address,
    /// Who is paid: the payee of the terms.
    pub to: Address,
    /// How much: what is booked. In version 1 it may be above the price.
    pub value: Amount,
    /// The window's start, exclusive.
    pub valid_after: UnixSeconds,
    /// The window's end, exclusive.
    pub valid_before: UnixSeconds,
    /// Unique per payer and token.
    pub nonce: B256,
    /// What was signed.
    pub digest: B256,
    /// By whom, and whether that is known already.
    pub signature: Signature,
}

/// What decides about the payer's signature, given whether the payer has code.
#[derive(Clone, PartialEq, Eq)]
pub enum PayerCheck<'a> {
    /// The payer is a plain account and signed; nothing is left to ask.
    Proven,
    /// The payer's contract decides: `isValidSignature(digest, signature)` must answer
    /// `0x1626ba7e`, with no fallback to ECDSA (ERC-1271). Settle with this signature.
    AskWallet {
        /// The bytes to ask about and to settle with.
        signature: Cow<'a, [u8]>,
    },
    /// The payer's contract is not there yet: simulate the deployment and the transfer in one call;
    /// then deploy, wait for the receipt, and settle with the inner signature.
    DeployFirst {
        /// An allowed factory.
        factory: Address,
        /// What to call it with.
        calldata: &'a [u8],
        /// The inner signature.
        signature: &'a [u8],
    },
}

impl std::fmt::Debug for PayerCheck<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Proven => "Proven",
            Self::AskWallet { .. } => "AskWallet([redacted])",
            Self::DeployFirst { .. } => "DeployFirst([redacted])",
        })
    }
}

impl CheckedAuthorization {
    /// Whether the signature was computed to be the payer's: enough if the payer has no code.
    #[must_use]
    pub const fn is_recovered(&self) -> bool {
        self.signature.is_recovered()
    }

    /// Whether the token would accept it at this time.
    #[must_use]
    pub fn is_open(&self, now: UnixSeconds) -> bool {
        self.valid_after < now && now < self.valid_before
    }

    /// The payment's name, for claims.
    #[must_use]
    pub fn identity(&self, token: &Token) -> B256 {
        payment_identity(token.chain(), token.address(), self.payer, self.nonce)
    }

    /// What decides about the signature, once it is known whether the payer has code. The rule is
    /// the token's own: no code, `ecrecover`; code, ERC-1271 and nothing else. An account that has
    /// delegated (EIP-7702) has code.
    ///
    /// # Errors
    /// [`Reason::InvalidSignature`] if there is no code and the payer did not sign;
    /// [`Reason::FactoryNotAllowed`] if the wallet would have to be deployed by a factory outside
    /// `factories`.
    pub fn payer_check(
        &self,
        payer_has_code: bool,
        factories: &[Address],
    ) -> Result<PayerCheck<'_>, Reason> {
        match &self.signature {
            Signature::Eoa { .. } if !payer_has_code => Ok(PayerCheck::Proven),
            Signature::Eoa { r, s, v } => Ok(PayerCheck::AskWallet {
                signature: Cow::Owned([&r.0[..], &s.0[..], &[*v]].concat()),
            }),
            Signature::Contract(signature) if payer_has_code => Ok(PayerCheck::AskWallet {
                signature: Cow::Borrowed(signature),
            }),
            Signature::Contract(_) => Err(Reason::InvalidSignature),
            Signature::Counterfactual(wrapped) if payer_has_code => Ok(PayerCheck::AskWallet {
                signature: Cow::Borrowed(&wrapped.signature),
            }),
            Signature::Counterfactual(wrapped) if factories.contains(&wrapped.factory) => {
                Ok(PayerCheck::DeployFirst {
                    factory: wrapped.factory,
                    calldata: &wrapped.calldata,
                    signature: &wrapped.signature,
                })
            }
            Signature::Counterfactual(_) => Err(Reason::FactoryNotAllowed),
        }
    }
}

/// Finds the terms that a payment is meant for and checks it against them.
///
/// Where a version 1 payment fits several terms, those whose token was signed for win. A contract
/// wallet's signature cannot tell them apart offline, so it is taken for the best fit.
///
/// # Errors
/// The [`Reason`] for the client, from [`match_terms`] or [`verify_exact`].
pub fn verify_payment<'t>(
    payment: &Payment,
    terms: impl IntoIterator<Item = &'t Terms>,
    now: UnixSeconds,
    rules: &WindowRules,
) -> Result<(&'t Terms, CheckedAuthorization), Reason> {
    let mut first = Err(Reason::InvalidRequirements);
    for (rank, terms) in match_terms(payment, terms)?.into_iter().enumerate() {
        let outcome = verify_exact(payment, terms, now, rules).map(|checked| (terms, checked));
        // Terms that differ in the token alone are told apart by whose digest was signed.
        if matches!(&outcome, Ok((_, checked)) if checked.is_recovered()) {
            return outcome;
        }
        if rank == 0 {
            first = outcome;
        }
    }
    first
}

/// Checks a payment against one set of terms, in the order of the reference facilitator: scheme,
/// network, signature, payee, end and start of the window, value.
///
/// The window's bounds are strict as the token's are. The value must be the price exactly, except
/// in version 1, whose reference accepts more: the surplus is then part of what is booked, never
/// lost. A value above [`Amount::MAX`] is refused as a wrong value.
///
/// # Errors
/// The first [`Reason`] that applies.
pub fn verify_exact(
    payment: &Payment,
    terms: &Terms,
    now: UnixSeconds,
    rules: &WindowRules,
) -> Result<CheckedAuthorization, Reason> {
    if payment.scheme() != SCHEME_EXACT {
        return Err(Reason::InvalidScheme);
    }
    if payment.chain() != Some(terms.chain()) {
        return Err(Reason::NetworkMismatch);
    }
    let ExactPayload::Eip3009 {
        authorization,
        signature,
    } = payment.payload()
    else {
        return Err(Reason::UnsupportedPayloadType);
    };
    let digest = terms.token.digest(authorization);
    let signature = Signature::classify(signature.as_slice(), digest, authorization.from)?;
    if authorization.to != terms.pay_to {
        return Err(Reason::RecipientMismatch);
    }
    let (valid_after, valid_before) = check_window(authorization, now, rules)?;
    Ok(CheckedAuthorization {
        payer: authorization.from,
        to: authorization.to,
        value: check_value(payment.version(), authorization.value, terms.amount)?,
        valid_after,
        valid_before,
        nonce: authorization.nonce,
        digest,
        signature,
    })
}

fn check_window(
    authorization: &Authorization,
    now: UnixSeconds,
    rules: &WindowRules,
) -> Result<(UnixSeconds, UnixSeconds), Reason> {
    let valid_before = authorization
        .valid_before
        .to_u64()
        .map(UnixSeconds)
        .filter(|end| {
            *end > now
                && *end >= now.plus(rules.settlement_margin_seconds)
                && *end <= now.plus(rules.max_window_seconds)
        })
        .ok_or(Reason::ValidBefore)?;
    let valid_after = authorization
        .valid_after
        .to_u64()
        .map(UnixSeconds)
        .filter(|start| *start < now)
        .ok_or(Reason::ValidAfter)?;
    Ok((valid_after, valid_before))
}

fn check_value(version: Version, value: Uint256, price: Amount) -> Result<Amount, Reason> {
    let amount = value.to_u64().and_then(|units| Amount::new(units).ok());
    match version {
        Version::V1 => amount
            .filter(|amount| *amount >= price)
            .ok_or(Reason::InvalidValue),
        Version::V2 => amount
            .filter(|amount| *amount == price)
            .ok_or(Reason::ValueMismatch),
    }
}
