//! Which payment evidence a request carries.

use http::HeaderMap;
use http::header::HeaderValue;
use octroi_x402::{DecodeError, Payment, Version};

/// What was found in the headers.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// Nothing: answer with the terms.
    None,
    /// Something that cannot be read: answer with fresh terms and the reason.
    Undecodable(DecodeError),
    /// More than one: refuse, charge nothing.
    Ambiguous,
    /// One payment.
    Payment(Box<Payment>),
}

/// Looks for payments of either version.
pub(crate) fn find(headers: &HeaderMap) -> Evidence {
    let mut found = None;
    for version in [Version::V2, Version::V1] {
        for value in headers.get_all(version.payment_header()) {
            if found.replace((version, value)).is_some() {
                return Evidence::Ambiguous;
            }
        }
    }
    match found {
        None => Evidence::None,
        Some((version, value)) => decode(version, value),
    }
}

fn decode(version: Version, value: &HeaderValue) -> Evidence {
    // What is not text is given a character outside of every base64 alphabet.
    let text = value.to_str().unwrap_or("\u{fffd}");
    match Payment::from_header(version, text) {
        Ok(payment) => Evidence::Payment(Box::new(payment)),
        Err(error) => Evidence::Undecodable(error),
    }
}
