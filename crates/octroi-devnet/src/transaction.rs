//! Signed transactions as they arrive.

use alloy_consensus::{Transaction as _, TxEnvelope, Typed2718};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::context::TxEnv;
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

use crate::account::address_of_key;
use crate::pool::PoolError;

/// The most bytes that one transaction may take, what nodes accept from strangers.
const TRANSACTION_BYTES_MAX: usize = 128 * 1024;

/// A transaction whose signature has been checked.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) envelope: TxEnvelope,
    pub(crate) hash: B256,
    pub(crate) sender: Address,
    /// As it was sent (EIP-2718).
    pub(crate) raw: Bytes,
}

impl Transaction {
    /// Decodes a transaction for this chain and finds who signed it.
    ///
    /// # Errors
    /// It is too large, not a transaction, of a type that is not supported, for another chain,
    /// without replay protection (EIP-155), or not signed.
    pub(crate) fn decode(raw: Bytes, chain_id: u64) -> Result<Self, PoolError> {
        if raw.len() > TRANSACTION_BYTES_MAX {
            return Err(PoolError::Oversized {
                size: raw.len(),
                limit: TRANSACTION_BYTES_MAX,
            });
        }
        let envelope = decode_envelope(&raw).ok_or(PoolError::Undecodable)?;
        if !matches!(
            envelope,
            TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_)
        ) {
            return Err(PoolError::UnsupportedType);
        }
        match envelope.chain_id() {
            None => return Err(PoolError::NotReplayProtected),
            Some(have) if have != chain_id => {
                return Err(PoolError::WrongChain {
                    have,
                    want: chain_id,
                });
            }
            Some(_) => {}
        }
        Ok(Self {
            sender: recover(&envelope).ok_or(PoolError::InvalidSignature)?,
            hash: *envelope.tx_hash(),
            envelope,
            raw,
        })
    }

    /// What the sender must own for it to run, in wei.
    pub(crate) fn cost(&self) -> U256 {
        let gas = U256::from(self.envelope.gas_limit());
        // Neither overflows: 64 by 128 bits, and saturation is beyond any balance.
        (gas * U256::from(self.envelope.max_fee_per_gas())).saturating_add(self.envelope.value())
    }

    /// The transaction as the EVM takes it.
    pub(crate) fn environment(&self) -> TxEnv {
        let envelope = &self.envelope;
        TxEnv {
            tx_type: envelope.ty(),
            caller: self.sender,
            gas_limit: envelope.gas_limit(),
            gas_price: envelope.max_fee_per_gas(),
            kind: envelope.kind(),
            value: envelope.value(),
            data: envelope.input().clone(),
            nonce: envelope.nonce(),
            chain_id: envelope.chain_id(),
            access_list: envelope.access_list().cloned().unwrap_or_default(),
            gas_priority_fee: envelope.max_priority_fee_per_gas(),
            ..TxEnv::default()
        }
    }
}

/// Reads a transaction and refuses bytes after it.
pub(crate) fn decode_envelope(raw: &[u8]) -> Option<TxEnvelope> {
    TxEnvelope::decode_2718_exact(raw).ok()
}

/// The signer, unless the signature is not one or is the mirrored twin of one (EIP-2).
fn recover(envelope: &TxEnvelope) -> Option<Address> {
    let signature = envelope.signature();
    if signature.normalize_s().is_some() {
        return None;
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let parity = if signature.v() {
        RecoveryId::One
    } else {
        RecoveryId::Zero
    };
    let signature = RecoverableSignature::from_compact(&compact, parity).ok()?;
    let digest = Message::from_digest(envelope.signature_hash().0);
    Some(address_of_key(&signature.recover(digest).ok()?))
}
