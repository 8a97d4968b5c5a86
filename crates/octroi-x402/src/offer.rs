//! What a route offers, prepared so that an unpaid request costs next to nothing.
//!
//! Only the resource's URL and the error differ between two 402s of one route. Everything else is
//! serialized once; answering means to splice two escaped strings into it. The result is, byte for
//! byte, what serde writes for [`v2::PaymentRequired`] and [`v1::PaymentRequired`].

use std::fmt;

use octroi_types::UnixSeconds;

use crate::codec::{self, JsonObject};
use crate::payment::{Payment, VersionTag};
use crate::reason::Reason;
use crate::terms::Terms;
use crate::verify::{CheckedAuthorization, WindowRules, verify_payment};
use crate::{v1, v2};

const V2_START: &[u8] = br#"{"x402Version":2"#;
const V2_RESOURCE: &[u8] = br#","resource":{"url":"#;
const V1_START: &[u8] = br#"{"x402Version":1"#;
const ERROR: &[u8] = br#","error":"#;
/// The empty text that a URL replaces.
const EMPTY: &[u8] = br#""""#;

/// What people and programs are told about the resource, beside its URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferDetails {
    /// For people.
    pub description: Option<String>,
    /// Media type of the answer.
    pub mime_type: Option<String>,
    /// Declarations of extensions. Clients echo them in their payment, so keep them small: with
    /// the rest they must fit common header limits (4 to 8 KiB a line).
    pub extensions: Option<JsonObject>,
}

/// Terms that clients could not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// There must be one at least.
    #[error("an offer needs terms")]
    NoTerms,
    /// Clients refuse `maxTimeoutSeconds` 0.
    #[error("the timeout of terms must be positive")]
    NoTimeout,
}

/// Terms that are offered no more, and honoured a little longer (money rule 11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierTerms {
    /// The terms.
    pub terms: Terms,
    /// They are honoured before this.
    pub honoured_until: UnixSeconds,
}

/// The ways to pay for one route.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    terms: Vec<Terms>,
    earlier: Vec<EarlierTerms>,
    details: OfferDetails,
    v2_suffix: V2Suffix,
    v1_parts: Vec<V1Parts>,
}

/// A document of version 2 from the end of the URL to its own end.
#[derive(Clone, Default, PartialEq, Eq)]
struct V2Suffix {
    json: Vec<u8>,
    /// In base64, without the first none, one or two bytes: those fill up the last group of three
    /// bytes of what stands before, whatever its length.
    encoded: [String; 3],
}

/// One requirement of version 1, cut open where the URL stands.
#[derive(Clone, PartialEq, Eq)]
struct V1Parts {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("terms", &self.terms)
            .field("earlier", &self.earlier)
            .field("details", &self.details)
            .finish_non_exhaustive()
    }
}

impl Offer {
    /// Prepares an offer.
    ///
    /// # Errors
    /// [`OfferError`] if clients would refuse it.
    pub fn new(terms: Vec<Terms>, details: OfferDetails) -> Result<Self, OfferError> {
        if terms.is_empty() {
            return Err(OfferError::NoTerms);
        }
        if terms.iter().any(|terms| terms.max_timeout_seconds == 0) {
            return Err(OfferError::NoTimeout);
        }
        let mut offer = Self {
            terms,
            earlier: Vec::new(),
            details,
            v2_suffix: V2Suffix::default(),
            v1_parts: Vec::new(),
        };
        offer.v2_suffix = V2Suffix::cut(&offer.payment_required("", None));
        offer.v1_parts = offer
            .payment_required_v1("", None)
            .accepts
            .iter()
            .map(V1Parts::cut)
            .collect();
        Ok(offer)
    }

    /// The same offer, whose buyers may still accept what was offered before it.
    #[must_use]
    pub fn honouring(mut self, earlier: Vec<EarlierTerms>) -> Self {
        self.earlier = earlier;
        self
    }

    /// The terms, in the seller's order of preference.
    #[must_use]
    pub fn terms(&self) -> &[Terms] {
        &self.terms
    }

    /// Whether clients of version 1 can pay: not all chains have a name there.
    #[must_use]
    pub const fn has_version_1(&self) -> bool {
        !self.v1_parts.is_empty()
    }

    /// What is said about the resource.
    #[must_use]
    pub const fn details(&self) -> &OfferDetails {
        &self.details
    }

    /// What is sold, at its URL.
    #[must_use]
    pub fn resource(&self, url: &str) -> v2::ResourceInfo {
        v2::ResourceInfo {
            url: url.to_owned(),
            description: self.details.description.clone(),
            mime_type: self.details.mime_type.clone(),
            ..v2::ResourceInfo::default()
        }
    }

    /// The value of `PAYMENT-REQUIRED` for a request.
    #[must_use]
    pub fn payment_required_header(&self, resource_url: &str, error: Option<&str>) -> String {
        let mut json = Vec::with_capacity(128 + resource_url.len());
        json.extend_from_slice(V2_START);
        push_error(&mut json, error);
        json.extend_from_slice(V2_RESOURCE);
        codec::write_json(&mut json, resource_url);
        self.v2_suffix.append_to(json)
    }

    /// The version 1 body for a request: one JSON object, with `accepts` limited to the chains that
    /// have a version 1 name and therefore possibly empty. Members of another protocol may be
    /// spliced in after its opening brace.
    #[must_use]
    pub fn v1_body(&self, resource_url: &str, error: Option<&str>) -> Vec<u8> {
        let parts: usize = self
            .v1_parts
            .iter()
            .map(|parts| parts.before.len() + resource_url.len() + parts.after.len() + 8)
            .sum();
        let mut url = Vec::with_capacity(resource_url.len() + 8);
        codec::write_json(&mut url, resource_url);
        let mut json = Vec::with_capacity(128 + parts);
        json.extend_from_slice(V1_START);
        push_error(&mut json, error);
        json.extend_from_slice(br#","accepts":["#);
        for (index, parts) in self.v1_parts.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&parts.before);
            json.extend_from_slice(&url);
            json.extend_from_slice(&parts.after);
        }
        json.extend_from_slice(b"]}");
        json
    }

    /// The version 2 terms for a request as an object, for transports without headers.
    #[must_use]
    pub fn payment_required(&self, resource_url: &str, error: Option<&str>) -> v2::PaymentRequired {
        v2::PaymentRequired {
            x402_version: VersionTag,
            error: error.map(str::to_owned),
            resource: self.resource(resource_url),
            accepts: self.terms.iter().map(Terms::to_v2).collect(),
            extensions: self.details.extensions.clone(),
        }
    }

    /// The version 1 terms for a request as an object.
    #[must_use]
    pub fn payment_required_v1(
        &self,
        resource_url: &str,
        error: Option<&str>,
    ) -> v1::PaymentRequired {
        let resource = self.resource(resource_url);
        v1::PaymentRequired {
            x402_version: VersionTag,
            error: error.map(str::to_owned),
            accepts: self
                .terms
                .iter()
                .filter_map(|terms| terms.to_v1(&resource))
                .collect(),
        }
    }

    /// [`verify_payment`] against these terms, and against earlier ones in their time.
    ///
    /// # Errors
    /// The [`Reason`] for the client: why the terms of now do not fit, because those are what the
    /// next offer says.
    pub fn verify(
        &self,
        payment: &Payment,
        now: UnixSeconds,
        rules: &WindowRules,
    ) -> Result<(&Terms, CheckedAuthorization), Reason> {
        let checked = verify_payment(payment, &self.terms, now, rules);
        // A signature that was not computed to be the payer's may be meant for earlier terms.
        if self.earlier.is_empty() || matches!(&checked, Ok((_, checked)) if checked.is_recovered())
        {
            return checked;
        }
        let honoured = self
            .earlier
            .iter()
            .filter(|earlier| now < earlier.honoured_until)
            .map(|earlier| &earlier.terms);
        match (verify_payment(payment, honoured, now, rules), checked) {
            (Ok(earlier), Ok(_)) if earlier.1.is_recovered() => Ok(earlier),
            (Ok(earlier), Err(_)) => Ok(earlier),
            (_, checked) => checked,
        }
    }
}

impl V2Suffix {
    fn cut(required: &v2::PaymentRequired) -> Self {
        let json =
            codec::to_json(required).split_off(V2_START.len() + V2_RESOURCE.len() + EMPTY.len());
        let encoded = [0, 1, 2].map(|skipped| codec::encode_base64(&json[skipped..]));
        Self { json, encoded }
    }

    /// The whole document in base64, of which only `before` is encoded now.
    fn append_to(&self, mut before: Vec<u8>) -> String {
        let missing = (3 - before.len() % 3) % 3;
        before.extend_from_slice(&self.json[..missing]);
        codec::encode_base64(&before) + &self.encoded[missing]
    }
}

impl V1Parts {
    fn cut(requirements: &v1::PaymentRequirements) -> Self {
        // None of these three has anything to escape.
        let before = format!(
            r#"{{"scheme":"{}","network":"{}","maxAmountRequired":"{}","resource":"#,
            requirements.scheme, requirements.network, requirements.max_amount_required
        );
        Self {
            after: codec::to_json(requirements).split_off(before.len() + EMPTY.len()),
            before: before.into_bytes(),
        }
    }
}

fn push_error(json: &mut Vec<u8>, error: Option<&str>) {
    if let Some(error) = error {
        json.extend_from_slice(ERROR);
        codec::write_json(json, error);
    }
}
