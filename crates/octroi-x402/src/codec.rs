//! Base64 headers and strict JSON.
//!
//! What could be read in two ways (a key that appears twice in one object, however it is escaped) and
//! what is nested deeper than [`JSON_DEPTH_MAX`] is refused, so that neither a lenient peer nor a
//! later change of a wire type can make two parts of a system see different payments in the same
//! bytes.

mod ambiguity;

use std::fmt;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use ambiguity::{check_unambiguous, is_plainly_unambiguous};

/// The longest header text that is read, in bytes. Node's default for all headers together.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// The longest JSON body that is read, in bytes: a facilitator's request or answer, a v1 402.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The deepest nesting of arrays and objects that is read. Payments need five levels; the rest is
/// room for the JSON Schemas that some servers put into `extensions`.
pub const JSON_DEPTH_MAX: usize = 32;

const READ: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, READ);
const URL_SAFE_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, READ);

/// Why a header or body could not be read. Holds positions, never text of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than the limit.
    #[error("longer than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not base64 in either alphabet.
    #[error("not base64")]
    Base64,
    /// Not JSON.
    #[error("not JSON (line {line}, column {column})")]
    Json {
        /// Line of the decoded text, from 1.
        line: usize,
        /// Column of the decoded text, from 1.
        column: usize,
    },
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// A key appears twice in one object.
    #[error("an object has the same key twice")]
    DuplicateKey,
    /// `x402Version` is missing or not the expected one.
    #[error("x402Version is missing or is not the expected one")]
    Version,
    /// JSON, but a field is missing or malformed.
    #[error("a field is missing or malformed (before line {line}, column {column})")]
    Shape {
        /// Line of the decoded text, from 1.
        line: usize,
        /// Column of the decoded text, from 1.
        column: usize,
    },
}

/// An open JSON object: `extra`, `extensions`. `Debug` shows its keys only, because extensions
/// carry identifiers that work like secrets (money rule 9).
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JsonObject(pub Map<String, Value>);

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Appends the JSON of a wire value.
#[expect(
    clippy::expect_used,
    reason = "wire types have string keys and are written to memory: serde_json has no way to fail"
)]
pub(crate) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("wire types serialize");
}

/// The JSON of a wire value.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut json = Vec::with_capacity(512);
    write_json(&mut json, value);
    json
}

/// JSON bytes as a header value: standard alphabet, padded, which is all that the SDKs read.
pub(crate) fn encode_base64(json: &[u8]) -> String {
    STANDARD.encode(json)
}

/// A wire value as a header value.
pub(crate) fn to_header<T: Serialize + ?Sized>(value: &T) -> String {
    encode_base64(&to_json(value))
}

/// The JSON bytes of a header value: either alphabet, padded or not.
pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, DecodeError> {
    let text = text.trim_ascii();
    if text.len() > HEADER_BYTES_MAX {
        return Err(DecodeError::TooLarge {
            bytes_max: HEADER_BYTES_MAX,
        });
    }
    // The standard alphabet is what clients send, so the text is not searched for the other's letters.
    STANDARD_ANY_PADDING
        .decode(text)
        .or_else(|_| URL_SAFE_ANY_PADDING.decode(text))
        .map_err(|_| DecodeError::Base64)
}

/// Reads a value from a header.
pub(crate) fn from_header<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    from_json(&decode_base64(text)?)
}

/// Reads a value from a body.
pub(crate) fn from_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    check_body_size(body)?;
    from_json(body)
}

/// Refuses a body above [`BODY_BYTES_MAX`].
pub(crate) fn check_body_size(body: &[u8]) -> Result<(), DecodeError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(DecodeError::TooLarge {
            bytes_max: BODY_BYTES_MAX,
        });
    }
    Ok(())
}

/// Reads a value from JSON whose size has been checked.
pub(crate) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, DecodeError> {
    // serde_json does not look at the encoding of texts that nobody reads.
    let parsed = str::from_utf8(json).map(serde_json::from_str);
    if let Ok(Ok(value)) = parsed
        && is_plainly_unambiguous(json)
    {
        return Ok(value);
    }
    check_unambiguous(json)?;
    serde_json::from_slice(json).map_err(|error| DecodeError::Shape {
        line: error.line(),
        column: error.column(),
    })
}

/// Reads an object of one version from JSON whose size has been checked.
///
/// # Errors
/// [`DecodeError::Version`] if it is of another version, even where its shape differs too.
pub(crate) fn from_versioned<T: DeserializeOwned>(
    json: &[u8],
    version: u8,
) -> Result<T, DecodeError> {
    from_json(json).map_err(|error| match error {
        DecodeError::Shape { .. } if peek_version(json) != Ok(version) => DecodeError::Version,
        other => other,
    })
}

/// The version that a document claims, from its own `x402Version` or that of its payload.
pub(crate) fn peek_version(json: &[u8]) -> Result<u8, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Claims {
        x402_version: Option<u8>,
        payment_payload: Option<Inner>,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "x402Version")]
        version: u8,
    }
    let claims: Claims = serde_json::from_slice(json).map_err(|_| DecodeError::Version)?;
    match (claims.x402_version, claims.payment_payload) {
        (Some(outer), Some(inner)) if outer != inner.version => Err(DecodeError::Version),
        (Some(version), _) | (None, Some(Inner { version })) => Ok(version),
        (None, None) => Err(DecodeError::Version),
    }
}

/// `null` read as if the field were absent, for fields that are not `Option`.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
