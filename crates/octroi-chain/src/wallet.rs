//! A settlement wallet: a key, an address, and signatures.

use std::fmt;

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Bytes, TxKind, U256};
use octroi_types::{Address, B256, ChainId, Redacted};
use octroi_x402::address_of;
use secp256k1::{Message, SECP256K1, SecretKey};

/// A text that is not a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a wallet key is 32 bytes in hex, with or without 0x")]
pub struct WalletKeyError;

/// A key that sends settlements. Never shown.
#[derive(Clone)]
pub struct Wallet {
    key: SecretKey,
    address: Address,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({})", self.address)
    }
}

/// What a settlement transaction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) chain: ChainId,
    pub(crate) nonce: u64,
    pub(crate) to: Address,
    pub(crate) data: Redacted<Vec<u8>>,
    pub(crate) gas_limit: u64,
    pub(crate) max_fee_per_gas: u64,
    pub(crate) max_priority_fee_per_gas: u64,
}

impl Wallet {
    /// Reads a private key in hex.
    ///
    /// # Errors
    /// [`WalletKeyError`].
    pub fn from_hex(text: &str) -> Result<Self, WalletKeyError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| WalletKeyError)?;
        SecretKey::from_byte_array(bytes)
            .map(Self::new)
            .map_err(|_| WalletKeyError)
    }

    /// Wraps a key.
    #[must_use]
    pub fn new(key: SecretKey) -> Self {
        Self {
            key,
            address: address_of(&key),
        }
    }

    /// The address that pays the gas.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs: the bytes to send, and the transaction's hash. Deterministic (RFC 6979).
    pub(crate) fn sign(&self, draft: &Draft) -> (Redacted<Vec<u8>>, B256) {
        let transaction = TxEip1559 {
            chain_id: draft.chain.0,
            nonce: draft.nonce,
            gas_limit: draft.gas_limit,
            max_fee_per_gas: u128::from(draft.max_fee_per_gas),
            max_priority_fee_per_gas: u128::from(draft.max_priority_fee_per_gas),
            to: TxKind::Call(draft.to.0.into()),
            value: U256::ZERO,
            access_list: Default::default(),
            input: Bytes::copy_from_slice(draft.data.expose()),
        };
        let digest = Message::from_digest(transaction.signature_hash().0);
        let (id, rs) = SECP256K1
            .sign_ecdsa_recoverable(digest, &self.key)
            .serialize_compact();
        let (r, s) = rs.split_at(32);
        let odd = i32::from(id) & 1 == 1;
        let signature =
            alloy_primitives::Signature::new(U256::from_be_slice(r), U256::from_be_slice(s), odd);
        let signed = transaction.into_signed(signature);
        let hash = B256(signed.hash().0);
        (Redacted::new(signed.encoded_2718()), hash)
    }
}

/// The nonce gap filler's and the re-sender's view of a signed transaction.
pub(crate) struct SentTransaction {
    pub(crate) to: Address,
    pub(crate) data: Redacted<Vec<u8>>,
    pub(crate) gas_limit: u64,
}

/// Reads back what [`Wallet::sign`] wrote.
pub(crate) fn read_sent(raw: &[u8]) -> Option<SentTransaction> {
    use alloy_consensus::{Transaction as _, TxEnvelope};
    use alloy_eips::eip2718::Decodable2718 as _;
    let mut bytes = raw;
    let envelope = TxEnvelope::decode_2718(&mut bytes).ok()?;
    let to = envelope.to()?;
    Some(SentTransaction {
        to: Address(to.0.0),
        data: Redacted::new(envelope.input().to_vec()),
        gas_limit: envelope.gas_limit(),
    })
}
