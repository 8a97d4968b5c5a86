//! The extension `payment-identifier`: a client's own idempotency key.
//!
//! A server that declares it may answer the same payment with the same identifier again. Repeating
//! the identifier works like a secret (money rule 9), so it is never shown by `Debug`.

use octroi_types::Redacted;
use serde_json::{Map, Value, json};

use crate::codec::JsonObject;
use crate::payment::Payment;

/// Its key in `extensions`.
pub const KEY: &str = "payment-identifier";

const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 128;

/// The identifier is not a string of 16 to 128 characters of `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment identifier is 16 to 128 letters, digits, hyphens or underscores")]
pub struct PaymentIdentifierError;

/// A client's name for one purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentIdentifier(Redacted<String>);

impl PaymentIdentifier {
    /// Checks a text.
    ///
    /// # Errors
    /// [`PaymentIdentifierError`] if it has another length or other characters.
    pub fn new(text: &str) -> Result<Self, PaymentIdentifierError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (LENGTH_MIN..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(Redacted::new(text.to_owned())))
        } else {
            Err(PaymentIdentifierError)
        }
    }

    /// The identifier of a payment; none if the extension or its `id` is absent, which it always is
    /// in version 1.
    ///
    /// # Errors
    /// [`PaymentIdentifierError`] if there is one and it is malformed.
    pub fn of(payment: &Payment) -> Result<Option<Self>, PaymentIdentifierError> {
        let Payment::V2(payment) = payment else {
            return Ok(None);
        };
        let id = payment
            .extensions
            .as_ref()
            .and_then(|JsonObject(extensions)| extensions.get(KEY)?.get("info")?.get("id"));
        match id {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Self::new(text).map(Some),
            Some(_) => Err(PaymentIdentifierError),
        }
    }

    /// The text, for hashing and for the wire.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Fills the identifier into the extensions that a client echoes, if the server declared this
    /// one; a server that did not would refuse or ignore it.
    pub(crate) fn fill_in(&self, extensions: &mut Map<String, Value>) {
        if let Some(Value::Object(info)) = extensions
            .get_mut(KEY)
            .and_then(|extension| extension.get_mut("info"))
        {
            info.insert("id".to_owned(), Value::String(self.expose().to_owned()));
        }
    }
}

/// What an offer declares ([`OfferDetails::extensions`](crate::OfferDetails::extensions)) that takes
/// identifiers and asks for none.
#[must_use]
pub fn optional() -> JsonObject {
    let declared = [(KEY.to_owned(), declaration(false))];
    JsonObject(declared.into_iter().collect())
}

/// The declaration of this one extension.
#[must_use]
pub fn declaration(required: bool) -> Value {
    json!({
        "info": { "required": required },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": {
                    "type": "string",
                    "minLength": LENGTH_MIN,
                    "maxLength": LENGTH_MAX,
                    "pattern": "^[a-zA-Z0-9_-]+$",
                },
            },
            "required": ["required"],
        },
    })
}
