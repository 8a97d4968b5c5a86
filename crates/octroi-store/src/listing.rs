//! Lists of transactions.

use std::ops::Range;

use octroi_types::{Address, PaywallId, TenantId, TransactionId, UnixMicros};

use crate::transaction::{Transaction, TransactionState};

/// Which transactions to list.
#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only in this state.
    pub state: Option<TransactionState>,
    /// Only for this paywall.
    pub paywall: Option<PaywallId>,
    /// Only by this payer.
    pub payer: Option<Address>,
    /// Only at or after, by the time in the id.
    pub from: Option<UnixMicros>,
    /// Only before, by the time in the id.
    pub until: Option<UnixMicros>,
}

/// One page, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Pass this to get the next page; `None` on the last.
    pub next: Option<TransactionId>,
}

impl Page<Transaction> {
    /// The most rows of a page.
    pub const ROWS_MAX: usize = 1_000;

    /// How many rows a caller gets who asks for `limit`.
    #[must_use]
    pub fn rows_for(limit: usize) -> usize {
        limit.clamp(1, Self::ROWS_MAX)
    }

    /// The page out of one row more than it may have, which tells whether there is another page.
    #[must_use]
    pub fn of(mut rows: Vec<Transaction>, limit: usize) -> Self {
        let limit = Self::rows_for(limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.id);
        Self { rows, next }
    }
}

impl TransactionFilter {
    /// Whether a transaction is asked for.
    #[must_use]
    pub fn matches(&self, transaction: &Transaction) -> bool {
        self.tenant
            .is_none_or(|tenant| tenant == transaction.tenant)
            && self.state.is_none_or(|state| state == transaction.state)
            && self
                .paywall
                .is_none_or(|paywall| paywall == transaction.paywall)
            && self.payer.is_none_or(|payer| payer == transaction.payer)
            && self.ids().contains(&transaction.id)
    }

    /// The ids that lie in the time asked for.
    #[must_use]
    pub fn ids(&self) -> Range<TransactionId> {
        let start = self
            .from
            .map_or(TransactionId::from_bytes([0; 16]), first_id);
        let end = self
            .until
            .map_or(TransactionId::from_bytes([0xff; 16]), first_id);
        start..end
    }
}

/// The least id that was made at this time or later: the first 48 bits of a UUIDv7 are its time in
/// milliseconds (RFC 9562).
fn first_id(at: UnixMicros) -> TransactionId {
    let unix_ms = u64::try_from(at.0).unwrap_or(0).div_ceil(1_000);
    let [_, _, time @ ..] = unix_ms.to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time);
    TransactionId::from_bytes(bytes)
}
