//! Transactions that wait for a block.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::map::{AddressMap, B256Map};
use alloy_primitives::{Address, B256, U256};

use crate::state::AccountBasics;
use crate::transaction::Transaction;

/// The most transactions that wait, all senders together.
const TRANSACTIONS_MAX: usize = 16_384;
/// By how much the fees of a replacement must exceed those of what it replaces, percent.
const REPLACEMENT_BUMP_PERCENT: u128 = 10;

/// Why a transaction is refused. The words are those that clients look for in a node's answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PoolError {
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized { size: usize, limit: usize },
    #[error("rlp: the bytes are not one transaction")]
    Undecodable,
    #[error("transaction type not supported")]
    UnsupportedType,
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    NotReplayProtected,
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    WrongChain { have: u64, want: u64 },
    #[error("invalid sender: invalid transaction signature")]
    InvalidSignature,
    #[error("already known")]
    AlreadyKnown,
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveFeeCap { tip: u128, cap: u128 },
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas { have: u64, want: u64 },
    #[error("max initcode size exceeded: code size {size}, limit {limit}")]
    InitCodeTooLarge { size: usize, limit: usize },
    #[error("sender not an eoa")]
    SenderHasCode,
    #[error("nonce has max value")]
    NonceMax,
    #[error("nonce too low: next nonce {next}, tx nonce {have}")]
    NonceTooLow { next: u64, have: u64 },
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds { balance: U256, cost: U256 },
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}"
    )]
    Overdraft {
        balance: U256,
        queued: U256,
        cost: U256,
    },
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    #[error("txpool is full")]
    Full,
}

#[derive(Debug)]
struct Waiting {
    transaction: Arc<Transaction>,
    /// Its place in the order of arrival.
    arrival: u64,
}

/// The waiting transactions by sender and nonce. Those that follow on the sender's nonce are
/// pending; behind a gap they are queued.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    senders: AddressMap<BTreeMap<u64, Waiting>>,
    hashes: B256Map<(Address, u64)>,
    arrivals: u64,
}

impl Pool {
    /// Adds a transaction of a sender with this state.
    ///
    /// A fee cap below the base fee is no reason to refuse: the transaction waits until gas is
    /// cheaper, as on a real node.
    pub(crate) fn insert(
        &mut self,
        transaction: Arc<Transaction>,
        sender: AccountBasics,
    ) -> Result<(), PoolError> {
        let envelope = &transaction.envelope;
        if self.hashes.contains_key(&transaction.hash) {
            return Err(PoolError::AlreadyKnown);
        }
        if sender.code_hash != AccountBasics::EMPTY.code_hash {
            return Err(PoolError::SenderHasCode);
        }
        if envelope.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        if envelope.nonce() < sender.nonce {
            return Err(PoolError::NonceTooLow {
                next: sender.nonce,
                have: envelope.nonce(),
            });
        }
        let (cost, balance) = (transaction.cost(), sender.balance);
        if balance < cost {
            return Err(PoolError::InsufficientFunds { balance, cost });
        }
        let mut queued = U256::ZERO;
        for (nonce, waiting) in self.senders.get(&transaction.sender).into_iter().flatten() {
            if *nonce != envelope.nonce() {
                queued = queued.saturating_add(waiting.transaction.cost());
            } else if !outbids(&transaction, &waiting.transaction) {
                return Err(PoolError::ReplacementUnderpriced);
            }
        }
        if queued.saturating_add(cost) > balance {
            return Err(PoolError::Overdraft {
                balance,
                queued,
                cost,
            });
        }
        if self.hashes.len() >= TRANSACTIONS_MAX {
            return Err(PoolError::Full);
        }
        self.put(transaction);
        Ok(())
    }

    fn put(&mut self, transaction: Arc<Transaction>) {
        let (sender, nonce) = (transaction.sender, transaction.envelope.nonce());
        self.arrivals += 1;
        self.hashes.insert(transaction.hash, (sender, nonce));
        let waiting = Waiting {
            transaction,
            arrival: self.arrivals,
        };
        let replaced = self
            .senders
            .entry(sender)
            .or_default()
            .insert(nonce, waiting);
        if let Some(replaced) = replaced {
            self.hashes.remove(&replaced.transaction.hash);
        }
    }

    pub(crate) fn get(&self, hash: B256) -> Option<&Arc<Transaction>> {
        let (sender, nonce) = self.hashes.get(&hash)?;
        Some(&self.senders.get(sender)?.get(nonce)?.transaction)
    }

    /// Forgets one transaction. Those of the same sender behind it stay and are queued.
    pub(crate) fn remove(&mut self, hash: B256) -> bool {
        let Some((sender, nonce)) = self.hashes.remove(&hash) else {
            return false;
        };
        if let Some(waiting) = self.senders.get_mut(&sender) {
            waiting.remove(&nonce);
            if waiting.is_empty() {
                self.senders.remove(&sender);
            }
        }
        true
    }

    /// Forgets what can no longer run, because the sender's nonce has passed it.
    pub(crate) fn remove_passed(&mut self, sender: Address, nonce: u64) {
        let Some(waiting) = self.senders.get_mut(&sender) else {
            return;
        };
        let kept = waiting.split_off(&nonce);
        for passed in waiting.values() {
            self.hashes.remove(&passed.transaction.hash);
        }
        if kept.is_empty() {
            self.senders.remove(&sender);
        } else {
            *waiting = kept;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.senders.clear();
        self.hashes.clear();
    }

    /// The nonce after the pending transactions of a sender.
    pub(crate) fn next_nonce(&self, sender: Address, state_nonce: u64) -> u64 {
        let Some(waiting) = self.senders.get(&sender) else {
            return state_nonce;
        };
        waiting
            .range(state_nonce..)
            .zip(state_nonce..)
            .take_while(|((nonce, _), expected)| *nonce == expected)
            .last()
            .map_or(state_nonce, |(_, expected)| expected + 1)
    }

    /// What can go into the next block, in the order of arrival as far as nonces allow.
    pub(crate) fn ready(
        &self,
        state_nonce: impl Fn(Address) -> u64,
        base_fee: u64,
    ) -> Vec<Arc<Transaction>> {
        // One entry per sender: the earliest arrival among the next transactions goes first.
        let mut next = BinaryHeap::new();
        for (sender, waiting) in &self.senders {
            let nonce = state_nonce(*sender);
            if let Some(first) = waiting.get(&nonce) {
                next.push(Reverse((first.arrival, *sender, nonce)));
            }
        }
        let mut ready = Vec::new();
        while let Some(Reverse((_, sender, nonce))) = next.pop() {
            let Some(waiting) = self.senders.get(&sender) else {
                continue;
            };
            let Some(candidate) = waiting.get(&nonce) else {
                continue;
            };
            if candidate.transaction.envelope.max_fee_per_gas() < u128::from(base_fee) {
                continue;
            }
            ready.push(Arc::clone(&candidate.transaction));
            if let Some(following) = waiting.get(&(nonce + 1)) {
                next.push(Reverse((following.arrival, sender, nonce + 1)));
            }
        }
        ready
    }
}

/// Whether a transaction offers enough more than another to take its place.
fn outbids(new: &Transaction, old: &Transaction) -> bool {
    let enough = |new: u128, old: u128| {
        let least = old
            .saturating_mul(100 + REPLACEMENT_BUMP_PERCENT)
            .div_ceil(100);
        new >= least && new > old
    };
    enough(
        new.envelope.max_fee_per_gas(),
        old.envelope.max_fee_per_gas(),
    ) && enough(
        new.envelope.priority_fee_or_price(),
        old.envelope.priority_fee_or_price(),
    )
}
