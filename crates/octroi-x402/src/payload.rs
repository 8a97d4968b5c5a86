//! The scheme's part of a payment: `{ signature, authorization }`.

use octroi_types::Redacted;
use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::eip712::Authorization;

/// The payload of scheme `exact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExactPayload {
    /// An EIP-3009 authorization and its signature.
    Eip3009 {
        /// What is signed.
        authorization: Authorization,
        /// By whom, supposedly.
        signature: SignatureBytes,
    },
    /// Another kind (Permit2, another chain's transaction). It is refused, so nothing of it is
    /// kept, and it is written as `{}`.
    Unsupported,
}

/// The bytes of a signature, `0x` and hex digits in JSON. `Debug` does not show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureBytes(Redacted<Vec<u8>>);

impl SignatureBytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.expose()
    }
}

impl From<Vec<u8>> for SignatureBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Redacted::new(bytes))
    }
}

impl Serialize for ExactPayload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Eip3009 {
                authorization,
                signature,
            } => {
                let mut object = serializer.serialize_struct("ExactPayload", 2)?;
                object.serialize_field("signature", signature)?;
                object.serialize_field("authorization", authorization)?;
                object.end()
            }
            Self::Unsupported => serializer.serialize_struct("ExactPayload", 0)?.end(),
        }
    }
}

impl<'de> Deserialize<'de> for ExactPayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            authorization: Option<Authorization>,
            signature: Option<SignatureBytes>,
        }
        let fields = Fields::deserialize(deserializer)?;
        match (fields.authorization, fields.signature) {
            (Some(authorization), Some(signature)) => Ok(Self::Eip3009 {
                authorization,
                signature,
            }),
            (Some(_), None) => Err(D::Error::missing_field("signature")),
            (None, _) => Ok(Self::Unsupported),
        }
    }
}

impl Serialize for SignatureBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(self.as_slice())))
    }
}

impl<'de> Deserialize<'de> for SignatureBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let expected = || D::Error::custom("expected 0x and hex digits");
        let digits = text.strip_prefix("0x").ok_or_else(expected)?;
        // Into a slice: several times quicker than collecting, on the way of every payment.
        let mut bytes = vec![0; digits.len() / 2];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| expected())?;
        Ok(Self::from(bytes))
    }
}
