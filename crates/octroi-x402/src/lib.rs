//! x402 versions 1 and 2, scheme `exact` on EVM chains with EIP-3009 authorizations.
//!
//! Layer 1: pure. No clock, no randomness, no I/O, no HTTP types; the time, nonces and keys come in
//! as arguments. What only the chain knows (has the payer code, is the nonce used, is there enough
//! balance) is not guessed: [`CheckedAuthorization::payer_check`] says what is still to be asked.
//!
//! The way of a payment through this crate:
//!
//! 1. A seller's [`Token`]s (with their EIP-712 domain separators hashed once) and prices become
//!    [`Terms`]; the terms of one route become an [`Offer`], which writes the 402 of any request by
//!    splicing its URL into prepared JSON.
//! 2. A buyer ([`client`]) chooses terms within its [`client::SpendingLimit`]s and signs.
//! 3. The gate decodes the header ([`Payment::from_header`]) and asks [`verify_payment`]: the
//!    payment is matched with our own terms, its window, value and signature are checked, and a
//!    [`CheckedAuthorization`] comes out. Nothing that the client said about price, asset or payee
//!    survives that step; settlement uses our [`Terms`].
//! 4. [`payment_identity`] names the payment, equally for both versions, for the claim.
//! 5. [`SettleResponse`] carries the outcome to the buyer, [`facilitator`] speaks the same language
//!    with facilitators and with servers that use ours. [`Reason`] is the vocabulary of refusals.
//!
//! Modules by subject: [`header`] names, `codec` (base64 and strict JSON), [`v1`] and [`v2`] wire
//! objects, `uint256`, `eip712`, `erc6492` and `signature` for the cryptography.
//!
//! Reading is tolerant where clients differ (unknown fields, `null` for absent, both base64
//! alphabets, either letter case in addresses) and strict where two readings could disagree
//! (duplicate keys, depth, sizes, decimal strings). Errors and `Debug` output never contain
//! payload text or signatures.

pub mod client;
mod codec;
mod eip712;
mod erc6492;
pub mod facilitator;
pub mod header;
mod identity;
mod matching;
mod offer;
mod payload;
mod payment;
pub mod payment_identifier;
mod reason;
mod settlement;
mod signature;
mod terms;
mod uint256;
pub mod v1;
pub mod v2;
mod verify;

pub use codec::{BODY_BYTES_MAX, DecodeError, HEADER_BYTES_MAX, JSON_DEPTH_MAX, JsonObject};
pub use eip712::{Authorization, Token};
pub use erc6492::{Counterfactual, WrapperError};
pub use identity::payment_identity;
pub use matching::match_terms;
pub use offer::{EarlierTerms, Offer, OfferDetails, OfferError};
pub use payload::{ExactPayload, SignatureBytes};
pub use payment::{Payment, Version, VersionTag};
pub use reason::{Reason, RemoteReason};
pub use settlement::{SettleResponse, VerifyResponse};
pub use signature::{Signature, address_of, recover, sign_authorization};
pub use terms::Terms;
pub use uint256::{Uint256, Uint256Error};
pub use verify::{
    CheckedAuthorization, PayerCheck, WINDOW_SECONDS_MAX, WindowRules, verify_exact, verify_payment,
};

/// The only scheme spoken here: the signed value is the price.
pub const SCHEME_EXACT: &str = "exact";
