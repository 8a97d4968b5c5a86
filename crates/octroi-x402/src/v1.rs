//! The objects of version 1.
//!
//! Its clients check every element of `accepts` against a fixed list of network names and refuse
//! `null` for `description`, `mimeType` and `outputSchema`. So the strings are always written, the
//! schema never is, and [`Terms::to_v1`](crate::Terms::to_v1) makes no requirements for a chain
//! that has no version 1 name.

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, JsonObject};
use crate::payload::ExactPayload;
use crate::payment::VersionTag;

/// One acceptable way to pay, together with what is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// `exact`, or a scheme that is not spoken here.
    pub scheme: String,
    /// A name such as `base-sepolia`.
    pub network: String,
    /// Decimal digits, in the asset's smallest unit.
    pub max_amount_required: String,
    /// URL of what is sold.
    pub resource: String,
    /// For people; may be empty.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub description: String,
    /// Media type of the answer; may be empty.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub mime_type: String,
    /// Who is paid.
    pub pay_to: String,
    /// How long a payment may take, in seconds; positive.
    pub max_timeout_seconds: u64,
    /// The token contract.
    pub asset: String,
    /// The EIP-712 `name` and `version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<JsonObject>,
}

/// The body of a 402.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// 1.
    pub x402_version: VersionTag<1>,
    /// Why payment is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The ways to pay; none if no offered chain has a version 1 name.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub accepts: Vec<PaymentRequirements>,
}

impl PaymentRequired {
    /// Reads the body of a 402; members of other protocols in the same object are ignored.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a version 1 object.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        codec::check_body_size(body)?;
        codec::from_versioned(body, 1)
    }

    /// Writes the body.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        codec::to_json(self)
    }
}

/// A payment, in the header `X-PAYMENT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    /// 1.
    pub x402_version: VersionTag<1>,
    /// `exact`, or a scheme that is not spoken here.
    pub scheme: String,
    /// A name such as `base-sepolia`.
    pub network: String,
    /// What is signed, and the signature.
    pub payload: ExactPayload,
}
