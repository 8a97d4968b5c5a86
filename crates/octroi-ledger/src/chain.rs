//! The hash chain over batches: a row that was changed, added or removed later is found (money
//! rule 29).
//!
//! Each writer lane chains its own batches. What is sealed never changes in storage: the terms of
//! opened accounts, transfers, and used-up ids. Balances are not sealed; they are the sum of the
//! transfers. Rows are sealed in the order of their ids, so that a table needs no more than the
//! lane and the sequence of the batch to verify it.

use octroi_types::B256;
use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::chart::update_ledger;
use crate::decision::Effects;
use crate::transfer::{Failure, Subject, Transfer};

/// One writer: a process, or one of its connections. No two write the same lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId(pub u32);

/// The rows that one batch inserted.
#[derive(Debug, Clone, Default)]
pub struct BatchRows<'a> {
    /// Accounts opened. Their sums and version are not sealed.
    pub opened: Vec<&'a Account>,
    /// Transfers.
    pub transfers: Vec<&'a Transfer>,
    /// Used-up transfer ids.
    pub failures: Vec<&'a Failure>,
}

impl<'a> From<&'a Effects> for BatchRows<'a> {
    fn from(effects: &'a Effects) -> Self {
        let opened = effects
            .accounts
            .iter()
            .filter(|change| change.replaces.is_none());
        Self {
            opened: opened.map(|change| &change.after).collect(),
            transfers: effects.transfers.iter().collect(),
            failures: effects.failures.iter().collect(),
        }
    }
}

/// One link of a lane's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seal {
    /// The lane.
    pub lane: LaneId,
    /// The number of the batch in its lane, from 1.
    pub sequence: u64,
    /// The hash of the batch before.
    pub previous: B256,
    /// SHA-256 of all of the above and the batch's rows.
    pub hash: B256,
}

impl Seal {
    /// What a lane's first batch follows.
    #[must_use]
    pub const fn genesis(lane: LaneId) -> Self {
        Self {
            lane,
            sequence: 0,
            previous: B256::ZERO,
            hash: B256::ZERO,
        }
    }

    /// Seals the batch that follows this one.
    #[must_use]
    pub fn next(&self, rows: BatchRows<'_>) -> Self {
        let (lane, sequence, previous) = (self.lane, self.sequence.saturating_add(1), self.hash);
        let hash = hash(lane, sequence, previous, rows);
        Self {
            lane,
            sequence,
            previous,
            hash,
        }
    }
}

/// Where a stored chain breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A batch is missing, or belongs to another lane.
    #[error("batch {sequence} does not come next")]
    Gap {
        /// The number found.
        sequence: u64,
    },
    /// A batch does not follow the one before it.
    #[error("batch {sequence} follows another batch than the one before it")]
    Broken {
        /// The number of the batch.
        sequence: u64,
    },
    /// A batch's rows are not those that were sealed.
    #[error("the rows of batch {sequence} are not those that were sealed")]
    Altered {
        /// The number of the batch.
        sequence: u64,
    },
}

/// Verifies stored batches of one lane, in order, from a seal that is trusted: the genesis, or one
/// that a checkpoint covers. Returns the last seal, to be compared with the lane's head.
///
/// # Errors
/// The first [`ChainFault`].
pub fn verify<'a>(
    trusted: Seal,
    batches: impl IntoIterator<Item = (Seal, BatchRows<'a>)>,
) -> Result<Seal, ChainFault> {
    let mut last = trusted;
    for (stored, rows) in batches {
        let expected = last.next(rows);
        let sequence = stored.sequence;
        if (stored.lane, sequence) != (expected.lane, expected.sequence) {
            return Err(ChainFault::Gap { sequence });
        }
        if stored.previous != expected.previous {
            return Err(ChainFault::Broken { sequence });
        }
        if stored.hash != expected.hash {
            return Err(ChainFault::Altered { sequence });
        }
        last = expected;
    }
    Ok(last)
}

/// One hash over the heads of all lanes, to be kept where the books cannot be rewritten. The
/// order of the heads does not matter.
#[must_use]
pub fn checkpoint(heads: &[Seal]) -> B256 {
    let mut heads = heads.to_vec();
    heads.sort_unstable_by_key(|head| (head.lane, head.sequence));
    let mut hasher = Sha256::new();
    hasher.update(b"octroi ledger checkpoint v1\0");
    for head in heads {
        hasher.update(head.lane.0.to_be_bytes());
        hasher.update(head.sequence.to_be_bytes());
        hasher.update(head.hash.0);
    }
    B256(hasher.finalize().into())
}

/// Every field has a fixed width, or a tag that tells its width, and every list its length: no two
/// batches share one byte string.
fn hash(lane: LaneId, sequence: u64, previous: B256, rows: BatchRows<'_>) -> B256 {
    let BatchRows {
        mut opened,
        mut transfers,
        mut failures,
    } = rows;
    opened.sort_unstable_by_key(|account| account.id);
    transfers.sort_unstable_by_key(|transfer| transfer.id);
    failures.sort_unstable_by_key(|failure| failure.id);

    let mut hasher = Sha256::new();
    hasher.update(b"octroi ledger batch v1\0");
    hasher.update(lane.0.to_be_bytes());
    hasher.update(sequence.to_be_bytes());
    hasher.update(previous.0);
    update_count(&mut hasher, opened.len());
    for account in opened {
        update_account(&mut hasher, account);
    }
    update_count(&mut hasher, transfers.len());
    for transfer in transfers {
        update_transfer(&mut hasher, transfer);
    }
    update_count(&mut hasher, failures.len());
    for failure in failures {
        hasher.update(failure.id.as_bytes());
        hasher.update([failure.refusal.code()]);
        hasher.update(failure.failed_at.0.to_be_bytes());
    }
    B256(hasher.finalize().into())
}

fn update_count(hasher: &mut Sha256, count: usize) {
    hasher.update((count as u64).to_be_bytes());
}

fn update_account(hasher: &mut Sha256, account: &Account) {
    hasher.update(account.id.as_bytes());
    update_ledger(hasher, &account.ledger);
    hasher.update([account.kind.code(), account.limit.code()]);
    hasher.update(account.created_at.0.to_be_bytes());
}

fn update_transfer(hasher: &mut Sha256, transfer: &Transfer) {
    hasher.update(transfer.id.as_bytes());
    hasher.update(transfer.debit.as_bytes());
    hasher.update(transfer.credit.as_bytes());
    hasher.update(transfer.amount.units().to_be_bytes());
    hasher.update([transfer.kind.code()]);
    if let Some(hold) = transfer.kind.hold() {
        hasher.update(hold.as_bytes());
    }
    if let Some(expires_at) = transfer.kind.expires_at() {
        hasher.update(expires_at.0.to_be_bytes());
    }
    hasher.update([transfer.cause.reason.code()]);
    let (code, id) = Subject::columns(&transfer.cause.subject);
    hasher.update([code]);
    hasher.update(id);
    hasher.update(transfer.created_at.0.to_be_bytes());
}
