//! What came of a verification or a settlement, as facilitators answer it and buyers get it.

use octroi_types::{Address, Amount, B256, ChainId};
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, JsonObject};
use crate::payment::Version;
use crate::reason::{Reason, RemoteReason};

/// The answer of `POST /verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifyResponse {
    /// Whether the payment would settle.
    pub is_valid: bool,
    /// Why not; see [`RemoteReason::parse`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_reason: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid_message: Option<String>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// Answers of extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<JsonObject>,
    /// The scheme's own facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<JsonObject>,
}

impl VerifyResponse {
    /// The payment is good.
    #[must_use]
    pub fn valid(payer: Address) -> Self {
        Self {
            is_valid: true,
            invalid_reason: None,
            invalid_message: None,
            payer: Some(payer.to_string()),
            extensions: None,
            extra: None,
        }
    }

    /// The payment is not good. The payer is told as far as it is known.
    #[must_use]
    pub fn invalid(reason: Reason, payer: Option<Address>) -> Self {
        Self {
            is_valid: false,
            invalid_reason: Some(reason.as_str().to_owned()),
            invalid_message: Some(reason.message().to_owned()),
            payer: payer.map(|payer| payer.to_string()),
            extensions: None,
            extra: None,
        }
    }

    /// Reads a facilitator's answer.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one; `isValid` must be there.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        codec::from_body(body)
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        codec::to_json(self)
    }

    /// Why it is invalid, in the protocol's words where possible.
    #[must_use]
    pub fn reason(&self) -> Option<RemoteReason> {
        self.invalid_reason.as_deref().map(RemoteReason::parse)
    }
}

/// The outcome of a settlement: the answer of `POST /settle` and the receipt for the buyer, in
/// `PAYMENT-RESPONSE` (v2) or `X-PAYMENT-RESPONSE` (v1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    /// Whether the payee has the money.
    pub success: bool,
    /// Why not; see [`RemoteReason::parse`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The transaction's hash; empty if there is none.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub transaction: String,
    /// The network, in the version's spelling.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub network: String,
    /// What was really paid, where it can differ from the terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Answers of extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<JsonObject>,
    /// The scheme's own facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<JsonObject>,
}

impl SettleResponse {
    /// The payment settled. `amount` is given where it can differ from the terms.
    #[must_use]
    pub fn settled(
        version: Version,
        chain: ChainId,
        transaction: B256,
        payer: Address,
        amount: Option<Amount>,
    ) -> Self {
        Self {
            success: true,
            error_reason: None,
            error_message: None,
            payer: Some(payer.to_string()),
            transaction: transaction.to_string(),
            network: version.network_name(chain),
            amount: amount.map(|amount| amount.to_string()),
            extensions: None,
            extra: None,
        }
    }

    /// The payment did not settle, or is not known to ([`Reason::SettlementPending`], with the hash
    /// of the transaction that may still land).
    #[must_use]
    pub fn failed(
        version: Version,
        chain: ChainId,
        reason: Reason,
        transaction: Option<B256>,
        payer: Option<Address>,
    ) -> Self {
        Self {
            success: false,
            error_reason: Some(reason.as_str().to_owned()),
            error_message: Some(reason.message().to_owned()),
            payer: payer.map(|payer| payer.to_string()),
            transaction: transaction.map_or_else(String::new, |hash| hash.to_string()),
            network: version.network_name(chain),
            amount: None,
            extensions: None,
            extra: None,
        }
    }

    /// Reads a receipt header.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one; `success` must be there.
    pub fn from_header(text: &str) -> Result<Self, DecodeError> {
        codec::from_header(text)
    }

    /// Writes the receipt header.
    #[must_use]
    pub fn to_header(&self) -> String {
        codec::to_header(self)
    }

    /// Reads a facilitator's answer.
    ///
    /// # Errors
    /// [`DecodeError`] if it is not one; `success` must be there.
    pub fn from_body(body: &[u8]) -> Result<Self, DecodeError> {
        codec::from_body(body)
    }

    /// Writes the answer.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        codec::to_json(self)
    }

    /// Why it failed, in the protocol's words where possible.
    #[must_use]
    pub fn reason(&self) -> Option<RemoteReason> {
        self.error_reason.as_deref().map(RemoteReason::parse)
    }

    /// The transaction's hash, if there is one.
    #[must_use]
    pub fn transaction_hash(&self) -> Option<B256> {
        self.transaction.parse().ok()
    }
}
