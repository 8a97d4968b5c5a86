//! Blocks and what happened in them.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, keccak256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use crate::state::StateChange;

/// A transaction in a block, with its receipt.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct Mined {
    pub(crate) hash: B256,
    pub(crate) sender: Address,
    /// As it was sent (EIP-2718).
    pub(crate) raw: Bytes,
    pub(crate) succeeded: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
}

impl Mined {
    pub(crate) fn bloom(&self) -> Bloom {
        self.logs.iter().collect()
    }
}

/// A block with its body, its receipts and the step that it takes in the state.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct Block {
    /// Its roots are not Merkle roots.
    pub(crate) header: Header,
    pub(crate) transactions: Vec<Mined>,
    pub(crate) change: StateChange,
}

/// The bloom of a block's logs.
pub(crate) fn logs_bloom(transactions: &[Mined]) -> Bloom {
    let logs = transactions.iter().flat_map(|mined| &mined.logs);
    logs.collect()
}

/// Stands in for the Merkle root of a block's transactions.
pub(crate) fn transactions_root(transactions: &[Mined]) -> B256 {
    let mut hashes = Vec::with_capacity(transactions.len() * 32);
    for mined in transactions {
        hashes.extend_from_slice(mined.hash.as_slice());
    }
    keccak256(hashes)
}

/// Stands in for the Merkle root of a block's receipts.
pub(crate) fn receipts_root(transactions: &[Mined]) -> B256 {
    let mut receipts = Vec::new();
    for mined in transactions {
        receipts.push(u8::from(mined.succeeded));
        receipts.extend_from_slice(&mined.gas_used.to_be_bytes());
        alloy_rlp::encode_list(&mined.logs, &mut receipts);
    }
    keccak256(receipts)
}
