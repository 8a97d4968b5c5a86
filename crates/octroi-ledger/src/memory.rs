//! Books in memory: the plainest store, and the overlay of a batch.

use std::collections::HashMap;
use std::convert::Infallible;

use octroi_types::{AccountId, TransferId};

use crate::account::Account;
use crate::books::{Books, Record};
use crate::decision::Effects;
use crate::transfer::{Resolution, Transfer};

/// Books in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryBooks {
    accounts: HashMap<AccountId, Account>,
    records: HashMap<TransferId, Record>,
    resolutions: HashMap<TransferId, Resolution>,
}

impl MemoryBooks {
    /// Writes effects. What is recorded under a transfer id is never replaced.
    pub fn apply(&mut self, effects: &Effects) {
        for change in &effects.accounts {
            self.accounts.insert(change.after.id, change.after);
        }
        for transfer in &effects.transfers {
            self.records
                .entry(transfer.id)
                .or_insert(Record::Applied(*transfer));
            if let (Some(hold), Some(how)) = (transfer.kind.hold(), transfer.kind.resolution()) {
                self.resolutions.entry(hold).or_insert(how);
            }
        }
        for failure in &effects.failures {
            self.records
                .entry(failure.id)
                .or_insert(Record::Failed(*failure));
        }
    }

    /// Every account, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// Every hold that nothing resolved yet, in no order.
    pub fn open_holds(&self) -> impl Iterator<Item = &Transfer> {
        self.records.values().filter_map(|record| match record {
            Record::Applied(transfer)
                if transfer.kind.expires_at().is_some()
                    && !self.resolutions.contains_key(&transfer.id) =>
            {
                Some(transfer)
            }
            Record::Applied(_) | Record::Failed(_) => None,
        })
    }

    pub(crate) fn get_account(&self, id: AccountId) -> Option<Account> {
        self.accounts.get(&id).copied()
    }

    pub(crate) fn get_record(&self, id: TransferId) -> Option<Record> {
        self.records.get(&id).copied()
    }

    pub(crate) fn get_resolution(&self, hold: TransferId) -> Option<Resolution> {
        self.resolutions.get(&hold).copied()
    }
}

impl Books for MemoryBooks {
    type Error = Infallible;

    fn account(&self, id: AccountId) -> Result<Option<Account>, Infallible> {
        Ok(self.get_account(id))
    }

    fn record(&self, id: TransferId) -> Result<Option<Record>, Infallible> {
        Ok(self.get_record(id))
    }

    fn resolution(&self, hold: TransferId) -> Result<Option<Resolution>, Infallible> {
        Ok(self.get_resolution(hold))
    }
}
