//! Payments drawn up by hand, where no client would sign what a test needs. The buyers' keys are the
//! node's own, so the node signs: the payload is not checked by the code that made it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_types::{Address, B256};
use serde_json::{Value, json};

use crate::rpc::hex_text;
use crate::{Account, Arg, Reply, Rpc, calldata};

/// The terms of a 402: the first of the ways to pay, and what is sold.
#[derive(Debug, Clone)]
pub struct Terms {
    /// An element of `accepts`.
    pub accepted: Value,
    /// The `resource` beside it.
    pub resource: Value,
}

/// An authorization that is not signed yet. The numbers are text, so that a test can write nonsense.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Who pays, and signs.
    pub from: Account,
    /// Who is paid.
    pub to: Address,
    /// How much.
    pub value: String,
    /// When its window opens, in seconds of Unix time.
    pub valid_after: String,
    /// When its window ends.
    pub valid_before: String,
    /// 32 bytes in hex.
    pub nonce: String,
    /// What the payment says that it accepts; also what names the token.
    pub terms: Terms,
}

/// A signed payment.
#[derive(Debug, Clone)]
pub struct Payment {
    /// What was signed.
    pub draft: Draft,
    /// By the payer, if a test has not spoilt it.
    pub signature: String,
}

impl Terms {
    /// What the `PAYMENT-REQUIRED` header of a 402 says.
    ///
    /// # Errors
    /// When there is no such header, or nothing in it.
    pub fn of(reply: &Reply) -> Result<Self> {
        let required = reply.decoded("payment-required")?;
        let accepted = required["accepts"].get(0).context("nothing is accepted")?;
        Ok(Self {
            accepted: accepted.clone(),
            resource: required["resource"].clone(),
        })
    }

    /// Accepts them as a client does: from now until `maxTimeoutSeconds` have passed.
    ///
    /// # Errors
    /// When they are no terms.
    pub fn draft(&self, from: Account) -> Result<Draft> {
        let text = |key: &str| self.accepted[key].as_str().context("no such term");
        let timeout = self.accepted["maxTimeoutSeconds"]
            .as_u64()
            .context("no time-out")?;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).ok().context("no randomness")?;
        Ok(Draft {
            from,
            to: text("payTo")?.parse()?,
            value: text("amount")?.to_owned(),
            valid_after: "0".to_owned(),
            valid_before: (unix_seconds()? + timeout).to_string(),
            nonce: hex_text(&nonce),
            terms: self.clone(),
        })
    }

    /// Accepts and signs them.
    ///
    /// # Errors
    /// When they are no terms, or `node` does not know the payer's key.
    pub async fn sign(&self, node: &Rpc, from: Account) -> Result<Payment> {
        self.draft(from)?.sign(node).await
    }
}

impl Draft {
    /// Has the node sign it.
    ///
    /// # Errors
    /// When the node does not know the payer's key.
    pub async fn sign(&self, node: &Rpc) -> Result<Payment> {
        let typed = self.typed_data()?;
        let signed = node
            .request("eth_signTypedData_v4", json!([self.from.address, typed]))
            .await?;
        let signature = signed.as_str().context("no signature")?.to_owned();
        Ok(Payment {
            draft: self.clone(),
            signature,
        })
    }

    /// The authorization as payments carry it.
    #[must_use]
    pub fn authorization(&self) -> Value {
        json!({
            "from": self.from.address,
            "to": self.to,
            "value": self.value,
            "validAfter": self.valid_after,
            "validBefore": self.valid_before,
            "nonce": self.nonce,
        })
    }

    fn typed_data(&self) -> Result<Value> {
        let accepted = &self.terms.accepted;
        let network = accepted["network"].as_str().context("no network")?;
        let chain: u64 = network.trim_start_matches("eip155:").parse()?;
        let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
        Ok(json!({
            "types": {
                "EIP712Domain": [
                    field("name", "string"),
                    field("version", "string"),
                    field("chainId", "uint256"),
                    field("verifyingContract", "address"),
                ],
                "TransferWithAuthorization": [
                    field("from", "address"),
                    field("to", "address"),
                    field("value", "uint256"),
                    field("validAfter", "uint256"),
                    field("validBefore", "uint256"),
                    field("nonce", "bytes32"),
                ],
            },
            "primaryType": "TransferWithAuthorization",
            "domain": {
                "name": accepted["extra"]["name"],
                "version": accepted["extra"]["version"],
                "chainId": chain,
                "verifyingContract": accepted["asset"],
            },
            "message": self.authorization(),
        }))
    }
}

impl Payment {
    /// The payment as JSON, version 2.
    #[must_use]
    pub fn to_v2(&self) -> Value {
        json!({
            "x402Version": 2,
            "resource": self.draft.terms.resource,
            "accepted": self.draft.terms.accepted,
            "payload": self.payload(),
        })
    }

    /// The payment as JSON, version 1, for Base Sepolia.
    #[must_use]
    pub fn to_v1(&self) -> Value {
        json!({
            "x402Version": 1,
            "scheme": "exact",
            "network": "base-sepolia",
            "payload": self.payload(),
        })
    }

    /// The value for `PAYMENT-SIGNATURE`.
    #[must_use]
    pub fn header(&self) -> String {
        encoded(&self.to_v2())
    }

    /// The value for `X-PAYMENT`.
    #[must_use]
    pub fn header_v1(&self) -> String {
        encoded(&self.to_v1())
    }

    /// The call that makes the transfer: whoever has the payment can send it.
    ///
    /// # Errors
    /// When the payment holds nonsense.
    pub fn transfer_calldata(&self) -> Result<Vec<u8>> {
        const CALL: &str = "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";
        let Draft {
            from,
            to,
            value,
            valid_after,
            valid_before,
            nonce,
            ..
        } = &self.draft;
        let signature = hex::decode(self.signature.trim_start_matches("0x"))?;
        let (r, rest) = signature.split_at_checked(32).context("no signature")?;
        let (s, v) = rest.split_at_checked(32).context("no signature")?;
        let v = *v.first().context("no signature")?;
        Ok(calldata(
            CALL,
            &[
                Arg::Address(from.address),
                Arg::Address(*to),
                Arg::Uint(value.parse()?),
                Arg::Uint(valid_after.parse()?),
                Arg::Uint(valid_before.parse()?),
                Arg::Word(nonce.parse()?),
                Arg::Uint(v.into()),
                Arg::Word(B256(r.try_into()?)),
                Arg::Word(B256(s.try_into()?)),
            ],
        ))
    }

    fn payload(&self) -> Value {
        json!({"signature": self.signature, "authorization": self.draft.authorization()})
    }
}

/// Bytes in standard base64 with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// JSON as payment headers carry it: standard base64 with padding.
#[must_use]
pub fn encoded(value: &Value) -> String {
    base64(value.to_string().as_bytes())
}

/// The wall clock.
///
/// # Errors
/// When it stands before 1970.
pub fn unix_seconds() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
