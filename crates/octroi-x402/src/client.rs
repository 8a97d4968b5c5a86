//! The buyer's side: choose among offered terms within limits, and sign.

use octroi_types::{Address, Amount, B256, ChainId, Redacted, UnixSeconds};
use secp256k1::SecretKey;

use crate::codec::DecodeError;
use crate::eip712::Authorization;
use crate::identity::payment_identity;
use crate::payload::{ExactPayload, SignatureBytes};
use crate::payment::{Payment, Version, VersionTag};
use crate::payment_identifier::PaymentIdentifier;
use crate::signature::{address_of, sign_authorization};
use crate::terms::Terms;
use crate::uint256::Uint256;
use crate::verify::WINDOW_SECONDS_MAX;
use crate::{SCHEME_EXACT, v1, v2};

/// How far in the past the window of a version 1 payment starts, in seconds, as its SDK does it:
/// the clocks of buyer and chain differ.
const V1_CLOCK_SKEW_SECONDS: u64 = 600;

/// What a buyer is willing to pay with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendingLimit {
    /// On this chain.
    pub chain: ChainId,
    /// With this token.
    pub asset: Address,
    /// At most so much, per payment.
    pub amount_max: Amount,
}

/// The terms on a 402, of either version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Required {
    /// From the body.
    V1(v1::PaymentRequired),
    /// From the header.
    V2(v2::PaymentRequired),
}

impl Required {
    /// Reads the terms of a 402: the header `PAYMENT-REQUIRED` if it is there, else the body.
    ///
    /// # Errors
    /// [`DecodeError`] if the one that counts is not readable.
    pub fn read(header: Option<&str>, body: &[u8]) -> Result<Self, DecodeError> {
        match header {
            Some(header) => v2::PaymentRequired::from_header(header).map(Self::V2),
            None => v1::PaymentRequired::from_body(body).map(Self::V1),
        }
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> Version {
        match self {
            Self::V1(_) => Version::V1,
            Self::V2(_) => Version::V2,
        }
    }

    /// Why the server says that it asks.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::V1(required) => required.error.as_deref(),
            Self::V2(required) => required.error.as_deref(),
        }
    }

    /// Every offered way to pay that could be signed here.
    fn signable(&self) -> Vec<(Accepted<'_>, Terms)> {
        match self {
            Self::V1(required) => required
                .accepts
                .iter()
                .filter_map(|accepted| {
                    Some((Accepted::V1(accepted), Terms::from_v1(accepted).ok()?))
                })
                .collect(),
            Self::V2(required) => required
                .accepts
                .iter()
                .filter_map(|accepted| {
                    let terms = Terms::from_v2(accepted).ok()?;
                    Some((Accepted::V2(required, accepted), terms))
                })
                .collect(),
        }
    }

    fn offered(&self) -> usize {
        match self {
            Self::V1(required) => required.accepts.len(),
            Self::V2(required) => required.accepts.len(),
        }
    }
}

/// The server's own words for the chosen terms, to be echoed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted<'r> {
    V1(&'r v1::PaymentRequirements),
    V2(&'r v2::PaymentRequired, &'r v2::PaymentRequirements),
}

/// Why nothing can be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// None of the terms is `exact` with EIP-3009 in an allowed token on an allowed chain.
    #[error("none of the {offered} offered ways to pay is allowed")]
    NothingAllowed {
        /// How many were offered.
        offered: usize,
    },
    /// The token is allowed, the price is not.
    #[error("the price {price} is above the limit {limit} (smallest units of {asset} on {chain})")]
    TooExpensive {
        /// The lowest price.
        price: Amount,
        /// The limit that it breaks.
        limit: Amount,
        /// The token.
        asset: Address,
        /// Its chain.
        chain: ChainId,
    },
}

/// Terms that the buyer accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice<'r> {
    accepted: Accepted<'r>,
    terms: Terms,
}

/// A signed payment, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPayment {
    /// Which header carries it.
    pub header_name: &'static str,
    /// Its value. Whoever has it can take the money, though only to the payee.
    pub header_value: Redacted<String>,
    /// What was signed.
    pub authorization: Authorization,
    /// The payment's name.
    pub identity: B256,
}

impl<'r> Choice<'r> {
    /// Picks terms: the first limit (the buyer's order of preference) that an offer meets, and the
    /// cheapest of the offers that meet it.
    ///
    /// # Errors
    /// [`ChoiceError`] if there are none.
    pub fn pick(required: &'r Required, limits: &[SpendingLimit]) -> Result<Self, ChoiceError> {
        let signable = required.signable();
        let mut too_expensive = None;
        for limit in limits {
            let cheapest = signable
                .iter()
                .filter(|(_, terms)| terms.chain() == limit.chain && terms.asset() == limit.asset)
                .min_by_key(|(_, terms)| terms.amount);
            match cheapest {
                Some((accepted, terms)) if terms.amount <= limit.amount_max => {
                    return Ok(Self {
                        accepted: *accepted,
                        terms: terms.clone(),
                    });
                }
                Some((_, terms)) => {
                    too_expensive.get_or_insert(ChoiceError::TooExpensive {
                        price: terms.amount,
                        limit: limit.amount_max,
                        asset: limit.asset,
                        chain: limit.chain,
                    });
                }
                None => {}
            }
        }
        Err(too_expensive.unwrap_or(ChoiceError::NothingAllowed {
            offered: required.offered(),
        }))
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Signs. `nonce` must be 32 fresh random bytes; `identifier` is sent if the server declared
    /// the extension.
    #[must_use]
    pub fn sign(
        &self,
        key: &SecretKey,
        now: UnixSeconds,
        nonce: B256,
        identifier: Option<&PaymentIdentifier>,
    ) -> SignedPayment {
        let window_seconds = u64::from(self.terms.max_timeout_seconds).min(WINDOW_SECONDS_MAX);
        let valid_after = match self.accepted {
            Accepted::V1(_) => now.0.saturating_sub(V1_CLOCK_SKEW_SECONDS),
            Accepted::V2(..) => 0,
        };
        let authorization = Authorization {
            from: address_of(key),
            to: self.terms.pay_to,
            value: Uint256::from(self.terms.amount.units()),
            valid_after: valid_after.into(),
            valid_before: now.plus(window_seconds).0.into(),
            nonce,
        };
        let signature = sign_authorization(key, &self.terms.token, &authorization);
        let payload = ExactPayload::Eip3009 {
            authorization,
            signature: SignatureBytes::from(signature.to_vec()),
        };
        let payment = self.payment(payload, identifier);
        SignedPayment {
            header_name: payment.version().payment_header(),
            header_value: Redacted::new(payment.to_header()),
            authorization,
            identity: payment_identity(
                self.terms.chain(),
                self.terms.asset(),
                authorization.from,
                nonce,
            ),
        }
    }

    fn payment(&self, payload: ExactPayload, identifier: Option<&PaymentIdentifier>) -> Payment {
        match self.accepted {
            Accepted::V1(accepted) => Payment::V1(v1::PaymentPayload {
                x402_version: VersionTag,
                scheme: SCHEME_EXACT.to_owned(),
                network: accepted.network.clone(),
                payload,
            }),
            Accepted::V2(required, accepted) => {
                let mut extensions = required.extensions.clone();
                if let (Some(extensions), Some(identifier)) = (&mut extensions, identifier) {
                    identifier.fill_in(&mut extensions.0);
                }
                Payment::V2(v2::PaymentPayload {
                    x402_version: VersionTag,
                    resource: Some(required.resource.clone()),
                    accepted: accepted.clone(),
                    payload,
                    extensions,
                })
            }
        }
    }
}
