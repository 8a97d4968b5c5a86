//! The port for the books themselves.

use async_trait::async_trait;
use octroi_ledger::{Account, Intent, Outcome, Record};
use octroi_types::{AccountId, TransferId, UnixMicros};

use crate::error::StoreError;

/// The books: whole intents go in, decisions come out. What follows from a claim is posted with the
/// claim's own step and does not come this way.
#[async_trait]
pub trait LedgerStore: Send + Sync + 'static {
    /// Decides an intent by [`octroi_ledger::decide`], and makes what it does durable. A refusal is an
    /// answer, and as durable: the transfer id that it uses up stays used up (money rule 28). The
    /// same intent again is answered [`Outcome::Exists`].
    ///
    /// # Errors
    /// [`StoreError`]; the same call may be made again.
    async fn ledger_submit(&self, intent: Intent, now: UnixMicros) -> Result<Outcome, StoreError>;

    /// One account.
    async fn account_get(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// What stands under a transfer id.
    async fn transfer_get(&self, id: TransferId) -> Result<Option<Record>, StoreError>;
}
