//! What is decided: an outcome to answer and effects to write.

use octroi_types::{AccountId, TransferId};

use crate::account::Account;
use crate::refusal::Refusal;
use crate::transfer::{Failure, Transfer};

/// What an intent does: write the effects, and once they are durable answer the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What to answer.
    pub outcome: Outcome,
    /// What to write. Empty when the intent exists; a failure at most when it is refused.
    pub effects: Effects,
}

/// What became of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was applied.
    Applied,
    /// All of it had been applied before: the answer to a retry, and as good as applied.
    Exists,
    /// None of it was applied.
    Refused(Refused),
}

/// A refusal and the part of the intent that met it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct Refused {
    /// The part.
    pub part: Part,
    /// Why.
    pub refusal: Refusal,
}

/// A part of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The intent itself.
    Intent,
    /// An account to open.
    Account(AccountId),
    /// A transfer.
    Transfer(TransferId),
}

/// What to write. A store inserts and updates these rows and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Accounts opened or changed, each once.
    pub accounts: Vec<AccountChange>,
    /// Transfers to insert, in the order in which they were applied.
    pub transfers: Vec<Transfer>,
    /// Transfer ids that are used up.
    pub failures: Vec<Failure>,
}

impl Effects {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.transfers.is_empty() && self.failures.is_empty()
    }
}

/// An account to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountChange {
    /// The version that is replaced; `None` for an account to insert.
    pub replaces: Option<u64>,
    /// The account after the change.
    pub after: Account,
}
