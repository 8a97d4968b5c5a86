//! The name of a payment.

use octroi_types::{Address, B256, ChainId, keccak256};

/// Tells these bytes from anything else that is ever hashed.
const TAG: &[u8] = b"octroi payment: eip155 eip3009\0";

/// The identity of an EIP-3009 payment (money rule 5): equal for both protocol versions, for any
/// spelling of the addresses, and for any signature over the same nonce.
///
/// It is the hash of a tag and the fixed-width fields chain (8 bytes, big-endian), asset, payer and
/// nonce. Claims are stored under it, so it never changes.
#[must_use]
pub fn payment_identity(chain: ChainId, asset: Address, payer: Address, nonce: B256) -> B256 {
    let mut bytes = Vec::with_capacity(TAG.len() + 8 + 20 + 20 + 32);
    bytes.extend_from_slice(TAG);
    bytes.extend_from_slice(&chain.0.to_be_bytes());
    bytes.extend_from_slice(&asset.0);
    bytes.extend_from_slice(&payer.0);
    bytes.extend_from_slice(&nonce.0);
    keccak256(&bytes)
}
