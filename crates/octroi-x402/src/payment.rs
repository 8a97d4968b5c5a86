//! A payment of either version.

use std::fmt;

use octroi_types::ChainId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{self, DecodeError};
use crate::payload::ExactPayload;
use crate::reason::Reason;
use crate::{header, v1, v2};

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// Terms in the body, `X-PAYMENT`, network names.
    V1,
    /// Terms in a header, `PAYMENT-SIGNATURE`, CAIP-2.
    V2,
}

impl Version {
    /// The header that carries the payment.
    #[must_use]
    pub const fn payment_header(self) -> &'static str {
        match self {
            Self::V1 => header::X_PAYMENT,
            Self::V2 => header::PAYMENT_SIGNATURE,
        }
    }

    /// The header that carries the outcome of the settlement.
    #[must_use]
    pub const fn response_header(self) -> &'static str {
        match self {
            Self::V1 => header::X_PAYMENT_RESPONSE,
            Self::V2 => header::PAYMENT_RESPONSE,
        }
    }

    /// The number in `x402Version`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The version's name for a chain: CAIP-2 also in version 1 where the chain has no name there.
    #[must_use]
    pub fn network_name(self, chain: ChainId) -> String {
        match (self, chain.v1_name()) {
            (Self::V1, Some(name)) => name.to_owned(),
            (Self::V1 | Self::V2, _) => chain.to_string(),
        }
    }

    /// The chain that the version calls by this name.
    #[must_use]
    pub fn chain(self, network: &str) -> Option<ChainId> {
        match self {
            Self::V1 => ChainId::from_v1_name(network),
            Self::V2 => network.parse().ok(),
        }
    }
}

/// The field `x402Version` of an object that exists in one version only.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct VersionTag<const N: u8>;

impl<const N: u8> fmt::Debug for VersionTag<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        N.fmt(f)
    }
}

impl<const N: u8> Serialize for VersionTag<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(N)
    }
}

impl<'de, const N: u8> Deserialize<'de> for VersionTag<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            number if number == N => Ok(Self),
            _ => Err(D::Error::custom("another version")),
        }
    }
}

/// A payment as a client sent it: nothing in it has been checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(
    clippy::large_enum_variant,
    reason = "version 2 is the common case, and payments are not collected"
)]
pub enum Payment {
    /// Version 1.
    V1(v1::PaymentPayload),
    /// Version 2.
    V2(v2::PaymentPayload),
}

impl Payment {
    /// Reads the value of [`Version::payment_header`].
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::reason`] is the code for the client.
    pub fn from_header(version: Version, text: &str) -> Result<Self, DecodeError> {
        let json = codec::decode_base64(text)?;
        match version {
            Version::V1 => codec::from_versioned(&json, 1).map(Self::V1),
            Version::V2 => codec::from_versioned(&json, 2).map(Self::V2),
        }
    }

    /// Writes the value of [`Version::payment_header`].
    #[must_use]
    pub fn to_header(&self) -> String {
        codec::to_header(self)
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> Version {
        match self {
            Self::V1(_) => Version::V1,
            Self::V2(_) => Version::V2,
        }
    }

    /// The scheme that the client names.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match self {
            Self::V1(payment) => &payment.scheme,
            Self::V2(payment) => &payment.accepted.scheme,
        }
    }

    /// The network that the client names, in the version's spelling.
    #[must_use]
    pub fn network(&self) -> &str {
        match self {
            Self::V1(payment) => &payment.network,
            Self::V2(payment) => &payment.accepted.network,
        }
    }

    /// The chain that the client names, if it is an EVM chain known by that name.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        self.version().chain(self.network())
    }

    /// What is signed, and the signature.
    #[must_use]
    pub const fn payload(&self) -> &ExactPayload {
        match self {
            Self::V1(payment) => &payment.payload,
            Self::V2(payment) => &payment.payload,
        }
    }
}

impl DecodeError {
    /// The code for a client whose payment could not be read.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Version => Reason::InvalidVersion,
            Self::TooLarge { .. }
            | Self::Base64
            | Self::Json { .. }
            | Self::TooDeep
            | Self::DuplicateKey
            | Self::Shape { .. } => Reason::InvalidPayload,
        }
    }
}
