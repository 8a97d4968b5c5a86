//! How transactions become blocks.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{B256, Bytes};

use crate::execution::{self, Built};
use crate::history::Link;
use crate::node::{DevNet, Writer};
use crate::options::BlockTime;
use crate::pool::PoolError;
use crate::record::Record;
use crate::store::StoreError;
use crate::transaction::Transaction;

/// Why a transaction did not enter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    #[error(transparent)]
    Refused(#[from] PoolError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What goes into a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Whatever is ready, and no block if nothing is.
    Some,
    /// Whatever is ready, if only nothing.
    Any,
    /// Nothing.
    Empty,
}

impl DevNet {
    /// Takes a signed transaction in, and in instant mode makes a block of it before returning.
    pub(crate) fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let transaction = Arc::new(Transaction::decode(raw, self.rules.chain_id)?);
        execution::check(&transaction, &self.rules)?;
        let hash = transaction.hash;
        {
            // The chain stays locked until the transaction is in, so that no block slips between
            // the check of its nonce and its place in the pool.
            let chain = self.chain.read();
            let sender = chain.state.basics(transaction.sender);
            self.pool.lock().insert(transaction, sender)?;
        }
        if *self.block_time.lock() == BlockTime::Instant {
            // Whoever waits here for the writer finds that its transaction went into the block
            // of another: what arrives together is mined together.
            let mut writer = self.writer.lock();
            while self.make_block(&mut writer, Contents::Some)? {}
        }
        Ok(hash)
    }

    /// Makes a block and says whether it did.
    pub(crate) fn make_block(
        &self,
        writer: &mut Writer,
        contents: Contents,
    ) -> Result<bool, StoreError> {
        let Built { block, rejected } = {
            let chain = self.chain.read();
            let next = chain.next_block(&self.rules, (self.clock)());
            let ready = if contents == Contents::Empty {
                Vec::new()
            } else {
                let nonce = |sender| chain.state.basics(sender).nonce;
                self.pool.lock().ready(nonce, next.base_fee)
            };
            if ready.is_empty() && contents == Contents::Some {
                return Ok(false);
            }
            execution::build_block(&chain, &self.rules, next, &ready)
        };
        for hash in rejected {
            self.pool.lock().remove(hash);
        }
        if block.transactions.is_empty() && contents == Contents::Some {
            return Ok(false);
        }
        let senders: Vec<_> = block
            .transactions
            .iter()
            .map(|mined| mined.sender)
            .collect();
        self.commit(writer, Record::Block(Box::new(block)))?;
        let chain = self.chain.read();
        let mut pool = self.pool.lock();
        for sender in senders {
            pool.remove_passed(sender, chain.state.basics(sender).nonce);
        }
        drop(pool);
        self.head.send_replace(chain.head().number());
        Ok(true)
    }

    /// Puts transactions of blocks that were taken back into the pool again.
    pub(crate) fn return_to_pool(&self, blocks: &[Link]) {
        let chain = self.chain.read();
        let mut pool = self.pool.lock();
        let oldest_first = blocks
            .iter()
            .rev()
            .flat_map(|link| &link.block.transactions);
        for mined in oldest_first {
            let transaction = Transaction::decode(mined.raw.clone(), self.rules.chain_id);
            if let Ok(transaction) = transaction {
                let sender = chain.state.basics(transaction.sender);
                // One that can no longer run is lost, as it is on a real chain.
                let _ = pool.insert(Arc::new(transaction), sender);
            }
        }
    }

    /// Whether time asks for a block.
    pub(crate) fn block_is_due(&self) -> bool {
        let chain = self.chain.read();
        let head = chain.head();
        let age = chain.time((self.clock)()).saturating_sub(head.timestamp());
        let interval = match *self.block_time.lock() {
            BlockTime::Manual => return false,
            BlockTime::Interval(interval) => interval,
            BlockTime::Instant => {
                let finalized = head.number().saturating_sub(self.finality.finalized_depth);
                let unfinalized = chain
                    .history
                    .above(finalized)
                    .is_some_and(|mut links| links.any(|link| !link.block.transactions.is_empty()));
                if unfinalized || !self.pool.lock().is_empty() {
                    self.idle_blocks.unfinalized
                } else {
                    self.idle_blocks.quiet
                }
            }
        };
        age >= whole_seconds(interval)
    }
}

/// Rounded up, and at least one: block times tell no smaller difference.
fn whole_seconds(interval: Duration) -> u64 {
    (interval.as_secs() + u64::from(interval.subsec_nanos() > 0)).max(1)
}
