//! Many intents, one commit.

use std::collections::BTreeMap;

use octroi_types::{AccountId, TransferId, UnixMicros};

use crate::account::Account;
use crate::books::{Books, LedgerError, Record};
use crate::decide::decide;
use crate::decision::{AccountChange, Effects, Outcome};
use crate::intent::Intent;
use crate::memory::MemoryBooks;
use crate::transfer::{Failure, Resolution, Transfer};

/// Decides intents one after the other, each seeing those before it, and collects what they write:
/// an account that a thousand of them touched is written once.
///
/// Outcomes are answered only after the effects are durable. When an error comes up, drop the
/// batch: nothing of it was written.
#[derive(Debug)]
pub struct Batch<'a, B> {
    books: &'a B,
    overlay: MemoryBooks,
    /// The accounts changed, with the version that each had in the books.
    replaced: BTreeMap<AccountId, Option<u64>>,
    transfers: Vec<Transfer>,
    failures: Vec<Failure>,
}

impl<'a, B: Books> Batch<'a, B> {
    /// An empty batch over the books.
    #[must_use]
    pub fn new(books: &'a B) -> Self {
        Self {
            books,
            overlay: MemoryBooks::default(),
            replaced: BTreeMap::new(),
            transfers: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Decides one intent.
    ///
    /// # Errors
    /// As [`decide`].
    pub fn submit(
        &mut self,
        intent: &Intent,
        now: UnixMicros,
    ) -> Result<Outcome, LedgerError<B::Error>> {
        let decision = decide(self, intent, now)?;
        self.overlay.apply(&decision.effects);
        for change in &decision.effects.accounts {
            self.replaced
                .entry(change.after.id)
                .or_insert(change.replaces);
        }
        self.transfers
            .extend_from_slice(&decision.effects.transfers);
        self.failures.extend_from_slice(&decision.effects.failures);
        Ok(decision.outcome)
    }

    /// What the batch writes, accounts in the order of their ids.
    #[must_use]
    pub fn into_effects(self) -> Effects {
        let Self {
            overlay,
            replaced,
            transfers,
            failures,
            ..
        } = self;
        let change = |(id, replaces)| {
            overlay
                .get_account(id)
                .map(|after| AccountChange { replaces, after })
        };
        let accounts = replaced.into_iter().filter_map(change).collect();
        Effects {
            accounts,
            transfers,
            failures,
        }
    }
}

impl<B: Books> Books for Batch<'_, B> {
    type Error = B::Error;

    fn account(&self, id: AccountId) -> Result<Option<Account>, B::Error> {
        match self.overlay.get_account(id) {
            Some(account) => Ok(Some(account)),
            None => self.books.account(id),
        }
    }

    fn record(&self, id: TransferId) -> Result<Option<Record>, B::Error> {
        match self.overlay.get_record(id) {
            Some(record) => Ok(Some(record)),
            None => self.books.record(id),
        }
    }

    fn resolution(&self, hold: TransferId) -> Result<Option<Resolution>, B::Error> {
        match self.overlay.get_resolution(hold) {
            Some(resolution) => Ok(Some(resolution)),
            None => self.books.resolution(hold),
        }
    }
}
