//! What kind of signature it is, who made it, and making one.
//!
//! The token decides by the payer's code (its `SignatureChecker`): no code, then `ecrecover` of 65
//! bytes with a low `s`; code, then EIP-1271 and nothing else. Offline only the first can be
//! computed, so a signature that is not plainly the payer's own is kept as a question for the chain
//! and never believed.

use std::fmt;

use octroi_types::{Address, B256, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

use crate::eip712::{Authorization, Token};
use crate::erc6492::Counterfactual;
use crate::reason::Reason;

/// Half the order of secp256k1: a larger `s` is the mirror image of a smaller one, and the tokens
/// refuse it.
const S_MAX: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// A signature by what it must be checked with.
#[derive(Clone, PartialEq, Eq)]
pub enum Signature {
    /// ECDSA that recovers to the payer: enough if the payer has no code.
    Eoa {
        /// `r`.
        r: B256,
        /// `s`, at most half the order.
        s: B256,
        /// 27 or 28.
        v: u8,
    },
    /// Anything else, for the `isValidSignature` of the payer's contract: not checked at all yet.
    Contract(Vec<u8>),
    /// By a wallet that may have to be deployed first: not checked at all yet.
    Counterfactual(Counterfactual),
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eoa { .. } => f.write_str("Eoa([redacted])"),
            Self::Contract(bytes) => write!(f, "Contract([redacted; {} bytes])", bytes.len()),
            Self::Counterfactual(wrapped) => wrapped.fmt(f),
        }
    }
}

impl Signature {
    /// Tells what `bytes` are, given who should have signed what.
    ///
    /// # Errors
    /// [`Reason::InvalidSignature`] if there is nothing, or the payer's own signature in its
    /// malleated form (high `s`); [`Reason::FailedToParseSignature`] for a malformed ERC-6492
    /// wrapper.
    pub fn classify(bytes: &[u8], digest: B256, payer: Address) -> Result<Self, Reason> {
        if bytes.is_empty() {
            return Err(Reason::InvalidSignature);
        }
        if Counterfactual::is_wrapped(bytes) {
            return Counterfactual::unwrap_signature(bytes)
                .map(Self::Counterfactual)
                .map_err(|_| Reason::FailedToParseSignature);
        }
        let ours = <&[u8; 65]>::try_from(bytes)
            .ok()
            .filter(|bytes| recover(bytes, digest) == Some(payer));
        let Some([rs @ .., v]) = ours else {
            return Ok(Self::Contract(bytes.to_vec()));
        };
        let (r, s) = split_rs(rs);
        if s > S_MAX {
            return Err(Reason::InvalidSignature);
        }
        Ok(Self::Eoa {
            r: B256(r),
            s: B256(s),
            v: if matches!(v, 0 | 27) { 27 } else { 28 },
        })
    }

    /// Whether it was computed to be the payer's.
    #[must_use]
    pub const fn is_recovered(&self) -> bool {
        matches!(self, Self::Eoa { .. })
    }
}

/// Who signed `digest`, from `r ‖ s ‖ v` with v one of 0, 1, 27, 28; `None` if nobody did. A high
/// `s` is recovered like any other.
#[must_use]
pub fn recover(signature: &[u8; 65], digest: B256) -> Option<Address> {
    let [rs @ .., v] = signature;
    let id = match v {
        0 | 27 => RecoveryId::Zero,
        1 | 28 => RecoveryId::One,
        _ => return None,
    };
    let signature = RecoverableSignature::from_compact(rs, id).ok()?;
    let key = SECP256K1
        .recover_ecdsa(Message::from_digest(digest.0), &signature)
        .ok()?;
    Some(address_of_public(&key))
}

/// The account that a secret key controls.
#[must_use]
pub fn address_of(key: &SecretKey) -> Address {
    address_of_public(&key.public_key(SECP256K1))
}

/// Signs an authorization for a token: `r ‖ s ‖ v` with a low `s` and v 27 or 28.
///
/// `authorization.from` should be [`address_of`] the key, otherwise nobody will accept it.
#[must_use]
pub fn sign_authorization(
    key: &SecretKey,
    token: &Token,
    authorization: &Authorization,
) -> [u8; 65] {
    let digest = Message::from_digest(token.digest(authorization).0);
    let (id, rs) = SECP256K1
        .sign_ecdsa_recoverable(digest, key)
        .serialize_compact();
    let mut signature = [0; 65];
    signature[..64].copy_from_slice(&rs);
    signature[64] = if id == RecoveryId::Zero { 27 } else { 28 };
    signature
}

fn address_of_public(key: &PublicKey) -> Address {
    let [_, point @ ..] = key.serialize_uncompressed();
    let hash = keccak256(&point).0;
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Address(address)
}

fn split_rs(rs: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    r.copy_from_slice(&rs[..32]);
    s.copy_from_slice(&rs[32..]);
    (r, s)
}
