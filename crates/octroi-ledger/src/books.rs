//! What the books must answer, and how reading them can fail.

use octroi_types::{AccountId, TransferId};

use crate::account::Account;
use crate::transfer::{Failure, Resolution, Transfer};

/// Read access to the books, within the transaction that will write the effects: nothing it
/// answered may change before they are written.
pub trait Books {
    /// Why a read can fail.
    type Error: std::error::Error + 'static;

    /// An account as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    fn account(&self, id: AccountId) -> Result<Option<Account>, Self::Error>;

    /// What became of a transfer id.
    ///
    /// # Errors
    /// When it cannot be read.
    fn record(&self, id: TransferId) -> Result<Option<Record>, Self::Error>;

    /// How a hold ended; `None` while it is open. It is the kind of the one transfer whose
    /// [`crate::TransferKind::hold`] is this id.
    ///
    /// # Errors
    /// When it cannot be read.
    fn resolution(&self, hold: TransferId) -> Result<Option<Resolution>, Self::Error>;
}

/// What became of a transfer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// It was applied.
    Applied(Transfer),
    /// It was refused and is used up.
    Failed(Failure),
}

/// How the books contradict themselves. Writing must stop: what was read is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// A hold names an account that does not exist.
    #[error("hold {0} names an account that does not exist")]
    HoldWithoutAccount(TransferId),
    /// An account counts less on hold than one of its open holds.
    #[error("hold {0} is open and its account does not count it")]
    HoldNotCounted(TransferId),
}

/// Why no decision could be made. Nothing may be written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError<E: std::error::Error + 'static> {
    /// The books could not be read.
    #[error("the books could not be read")]
    Books(#[source] E),
    /// The books contradict themselves.
    #[error("the books contradict themselves")]
    Corrupt(#[source] Corruption),
}
