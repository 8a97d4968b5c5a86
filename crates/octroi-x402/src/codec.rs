//! Base64 headers and strict JSON.
//!
//! Every document is walked once before it is given to serde. The walk refuses what could be read
//! in two ways (a key that appears twice in one object, however it is escaped) and what is nested
//! deeper than [`JSON_DEPTH_MAX`], so that neither a lenient peer nor a later change of a wire type
//! can make two parts of a system see different payments in the same bytes.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine as _};
use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

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
    let engine = if text.contains(['-', '_']) {
        &URL_SAFE_ANY_PADDING
    } else {
        &STANDARD_ANY_PADDING
    };
    engine.decode(text).map_err(|_| DecodeError::Base64)
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

fn check_unambiguous(json: &[u8]) -> Result<(), DecodeError> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Walk {
        fault: &fault,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end())
    .map_err(|error| {
        fault.get().unwrap_or(DecodeError::Json {
            line: error.line(),
            column: error.column(),
        })
    })
}

/// Visits any JSON value without building it.
#[derive(Clone, Copy)]
struct Walk<'f> {
    /// Where a refusal is noted, because serde's errors carry text only.
    fault: &'f Cell<Option<DecodeError>>,
    depth: usize,
}

/// A key, borrowed from the input unless it has escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Walk<'_> {
    fn refuse<E: serde::de::Error>(self, fault: DecodeError) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > JSON_DEPTH_MAX {
            return Err(self.refuse(DecodeError::TooDeep));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys: Vec<Key<'de>> = Vec::with_capacity(8);
        while let Some(key) = entries.next_key()? {
            keys.push(key);
            entries.next_value_seed(inner)?;
        }
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.refuse(DecodeError::DuplicateKey));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
