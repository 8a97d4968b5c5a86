//! The REST bodies of a facilitator: `POST /verify`, `POST /settle`, `GET /supported`.
//!
//! Verification and settlement are answered with status 200 even when the payment is invalid; the
//! answers are [`VerifyResponse`](crate::VerifyResponse) and
//! [`SettleResponse`](crate::SettleResponse). A settle request that times out has an unknown
//! outcome, by contract (money rule 16).

use std::collections::BTreeMap;

use octroi_types::{Address, ChainId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, JsonObject};
use crate::payment::{Payment, Version};
use crate::reason::Reason;
use crate::terms::Terms;
use crate::{SCHEME_EXACT, v1, v2};

/// The body of `POST /verify` and `POST /settle`: a payment and the terms it should meet, of the
/// same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacilitatorRequest {
    payment: Payment,
    requirements: Requirements,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Requirements {
    V1(v1::PaymentRequirements),
    V2(v2::PaymentRequirements),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<P, R> {
    payment_payload: P,
    payment_requirements: R,
}

impl FacilitatorRequest {
    /// Asks about a payment, with our own terms: those that the client says it accepted are not
    /// passed on as requirements.
    ///
    /// # Errors
    /// [`Reason::InvalidNetwork`] for a version 1 payment on a chain without a version 1 name.
    pub fn new(
        payment: Payment,
        terms: &Terms,
        resource: &v2::ResourceInfo,
    ) -> Result<Self, Reason> {
        let requirements = match payment.version() {
            Version::V1 => Requirements::V1(terms.to_v1(resource).ok_or(Reason::InvalidNetwork)?),
            Version::V2 => Requirements::V2(terms.to_v2()),
        };
        Ok(Self {
            payment,
            requirements,
        })
    }

    /// Reads the body.
    ///
    /// # Errors
    /// [`DecodeError`]; also if the two `x402Version`s disagree.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        codec::check_body_size(body)?;
        match codec::peek_version(body) {
            Ok(1) => codec::from_json(body).map(|body: Body<_, _>| Self {
                payment: Payment::V1(body.payment_payload),
                requirements: Requirements::V1(body.payment_requirements),
            }),
            Ok(2) => codec::from_json(body).map(|body: Body<_, _>| Self {
                payment: Payment::V2(body.payment_payload),
                requirements: Requirements::V2(body.payment_requirements),
            }),
            // What is not even JSON is told as such.
            _ => codec::from_json::<IgnoredAny>(body).and(Err(DecodeError::Version)),
        }
    }

    /// Writes the body.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'r> {
            x402_version: u8,
            payment_payload: &'r Payment,
            payment_requirements: &'r Requirements,
        }
        codec::to_json(&Body {
            x402_version: self.payment.version().number(),
            payment_payload: &self.payment,
            payment_requirements: &self.requirements,
        })
    }

    /// The payment.
    #[must_use]
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }

    /// The terms that the asking server demands, ready for
    /// [`verify_exact`](crate::verify_exact). Whether their token is one that the facilitator
    /// serves is its own policy.
    ///
    /// # Errors
    /// The [`Reason`] why they cannot be met here.
    pub fn terms(&self) -> Result<Terms, Reason> {
        if self.payment.scheme() != SCHEME_EXACT {
            return Err(Reason::InvalidScheme);
        }
        match &self.requirements {
            Requirements::V1(requirements) => Terms::from_v1(requirements),
            Requirements::V2(requirements) => Terms::from_v2(requirements),
        }
    }

    /// The network that the payment names, which every answer must repeat.
    #[must_use]
    pub fn network(&self) -> &str {
        self.payment.network()
    }
}

/// One thing that a facilitator can settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedKind {
    /// Version of the protocol.
    pub x402_version: u64,
    /// Scheme.
    pub scheme: String,
    /// Network, in the version's spelling.
    pub network: String,
    /// The scheme's own facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<JsonObject>,
}

/// The answer of `GET /supported`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupportedResponse {
    /// What can be settled.
    pub kinds: Vec<SupportedKind>,
    /// Keys of extensions.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub extensions: Vec<String>,
    /// Settlement wallets by CAIP-2 family, `eip155:*`.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub signers: BTreeMap<String, Vec<String>>,
}

impl SupportedResponse {
    /// `exact` on these chains: in version 2, and in version 1 where the chain has a name there.
    #[must_use]
    pub fn exact(chains: &[ChainId], signers: &[Address]) -> Self {
        let kind = |version: Version, chain: ChainId| SupportedKind {
            x402_version: version.number().into(),
            scheme: SCHEME_EXACT.to_owned(),
            network: version.network_name(chain),
            extra: None,
        };
        let v2 = chains.iter().map(|chain| kind(Version::V2, *chain));
        let v1 = chains
            .iter()
            .filter(|chain| chain.v1_name().is_some())
            .map(|chain| kind(Version::V1, *chain));
        Self {
            kinds: v2.chain(v1).collect(),
            extensions: Vec::new(),
            signers: BTreeMap::from([(
                "eip155:*".to_owned(),
                signers.iter().map(Address::to_string).collect(),
            )]),
        }
    }

    /// Whether `exact` of this version can be settled on this chain.
    #[must_use]
    pub fn covers(&self, version: Version, chain: ChainId) -> bool {
        self.kinds.iter().any(|kind| {
            kind.x402_version == u64::from(version.number())
                && kind.scheme == SCHEME_EXACT
                && version.chain(&kind.network) == Some(chain)
        })
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        codec::from_body(body)
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        codec::to_json(self)
    }
}
