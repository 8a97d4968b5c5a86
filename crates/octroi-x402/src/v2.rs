//! The objects of version 2.
//!
//! Texts that other schemes and chains fill differently (network, asset, payee, amount) are kept as
//! they came: a foreign entry in `accepts` must not make the rest unreadable. They get their types
//! in [`Terms`](crate::Terms), the only thing that is paid or settled by.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, JsonObject};
use crate::payload::ExactPayload;
use crate::payment::VersionTag;

/// What is sold.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceInfo {
    /// Its URL; not empty.
    pub url: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Media type of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// 1 to 32 printable ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// At most 5, each of 1 to 32 printable ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// At most 2048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
}

/// One acceptable way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequirements {
    /// `exact`, or a scheme that is not spoken here.
    pub scheme: String,
    /// CAIP-2.
    pub network: String,
    /// Decimal digits, in the asset's smallest unit.
    pub amount: String,
    /// The token contract.
    pub asset: String,
    /// Who is paid.
    pub pay_to: String,
    /// How long a payment may take, in seconds; positive.
    pub max_timeout_seconds: u64,
    /// The scheme's own facts: for `exact` the EIP-712 `name` and `version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<JsonObject>,
}

/// The terms on a 402, in the header `PAYMENT-REQUIRED`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// 2.
    pub x402_version: VersionTag<2>,
    /// Why the last payment was refused; clients switch on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is sold.
    pub resource: ResourceInfo,
    /// The ways to pay; at least one.
    pub accepts: Vec<PaymentRequirements>,
    /// Declarations of extensions by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<JsonObject>,
}

impl PaymentRequired {
    /// Reads the header value.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not a version 2 object.
    pub fn from_header(text: &str) -> Result<Self, DecodeError> {
        codec::from_versioned(&codec::decode_base64(text)?, 2)
    }

    /// Writes the header value.
    #[must_use]
    pub fn to_header(&self) -> String {
        codec::to_header(self)
    }
}

/// A payment, in the header `PAYMENT-SIGNATURE`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    /// 2.
    pub x402_version: VersionTag<2>,
    /// What the client thinks it buys; never believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceInfo>,
    /// The terms that the client chose, as it got them.
    pub accepted: PaymentRequirements,
    /// What is signed, and the signature.
    pub payload: ExactPayload,
    /// Extensions, echoed and filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<JsonObject>,
}

impl fmt::Debug for PaymentPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentPayload")
            .field("x402_version", &self.x402_version)
            .field("accepted", &self.accepted)
            .field("payload", &self.payload)
            .field("extensions", &self.extensions)
            .finish_non_exhaustive()
    }
}
