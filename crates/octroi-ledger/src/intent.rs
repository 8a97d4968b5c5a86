//! What callers ask for.

use std::time::Duration;

use octroi_types::{AccountId, Amount, TransferId};

use crate::account::NewAccount;
use crate::refusal::Refusal;
use crate::transfer::{Cause, Transfer, TransferKind};

/// How many accounts, and how many transfers, one intent may name.
pub const LINKED_MAX: usize = 128;

/// Accounts to open and transfers to make, all together or not at all. Later transfers see
/// earlier ones.
///
/// An intent names every account it needs: opening one that exists changes nothing, and no lookup
/// comes before the write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intent {
    /// Accounts to open if they do not exist, before the transfers.
    pub accounts: Vec<NewAccount>,
    /// Transfers, in order.
    pub transfers: Vec<NewTransfer>,
}

/// A transfer to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NewTransfer {
    /// The caller's id. The same id with the same content is the same transfer.
    pub id: TransferId,
    /// What to do.
    pub action: Action,
    /// Why.
    pub cause: Cause,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Move an amount at once.
    Post {
        /// The account to debit.
        debit: AccountId,
        /// The account to credit.
        credit: AccountId,
        /// More than zero.
        amount: Amount,
    },
    /// Set an amount aside, to be captured, voided or expired.
    Hold {
        /// The account to debit.
        debit: AccountId,
        /// The account to credit.
        credit: AccountId,
        /// More than zero.
        amount: Amount,
        /// How long it lasts from the moment it is applied. A duration and no point in time, so
        /// that a retry repeats it exactly and one clock decides.
        timeout: Duration,
    },
    /// Post a hold's amount, or less, and give the rest back.
    Capture {
        /// The hold.
        hold: TransferId,
        /// Up to the hold's amount; zero ends the hold as captured and moves nothing.
        amount: Amount,
    },
    /// Give a hold back.
    Void {
        /// The hold.
        hold: TransferId,
    },
    /// Give a hold back whose time has come. Until this is applied, the hold counts.
    Expire {
        /// The hold.
        hold: TransferId,
    },
}

impl Action {
    /// Why this cannot be done whatever the books say.
    pub(crate) fn malformed(&self) -> Option<Refusal> {
        match self {
            Self::Post { amount, .. } | Self::Hold { amount, .. } if amount.is_zero() => {
                Some(Refusal::AmountZero)
            }
            Self::Post { debit, credit, .. } | Self::Hold { debit, credit, .. }
                if debit == credit =>
            {
                Some(Refusal::AccountsEqual)
            }
            Self::Hold { timeout, .. } if timeout.as_micros() == 0 => Some(Refusal::TimeoutZero),
            Self::Post { .. }
            | Self::Hold { .. }
            | Self::Capture { .. }
            | Self::Void { .. }
            | Self::Expire { .. } => None,
        }
    }

    /// The accounts that it names itself: debit, credit.
    #[must_use]
    pub const fn accounts(&self) -> Option<(AccountId, AccountId)> {
        match *self {
            Self::Post { debit, credit, .. } | Self::Hold { debit, credit, .. } => {
                Some((debit, credit))
            }
            Self::Capture { .. } | Self::Void { .. } | Self::Expire { .. } => None,
        }
    }

    /// The hold that it resolves.
    #[must_use]
    pub const fn hold(&self) -> Option<TransferId> {
        match *self {
            Self::Capture { hold, .. } | Self::Void { hold } | Self::Expire { hold } => Some(hold),
            Self::Post { .. } | Self::Hold { .. } => None,
        }
    }

    /// The amount that it names itself.
    const fn amount(&self) -> Option<Amount> {
        match *self {
            Self::Post { amount, .. }
            | Self::Hold { amount, .. }
            | Self::Capture { amount, .. } => Some(amount),
            Self::Void { .. } | Self::Expire { .. } => None,
        }
    }

    const fn same_kind(&self, kind: TransferKind) -> bool {
        matches!(
            (self, kind),
            (Self::Post { .. }, TransferKind::Post)
                | (Self::Hold { .. }, TransferKind::Hold { .. })
                | (Self::Capture { .. }, TransferKind::Capture { .. })
                | (Self::Void { .. }, TransferKind::Void { .. })
                | (Self::Expire { .. }, TransferKind::Expire { .. })
        )
    }
}

impl NewTransfer {
    /// Why this is not the transfer that already has its id, if it is not.
    pub(crate) fn conflict(&self, existing: &Transfer) -> Option<Refusal> {
        if !self.action.same_kind(existing.kind) {
            return Some(Refusal::ExistsWithDifferentKind);
        }
        if self.action.hold() != existing.kind.hold() {
            return Some(Refusal::ExistsWithDifferentHold);
        }
        if let Some((debit, credit)) = self.action.accounts() {
            if debit != existing.debit {
                return Some(Refusal::ExistsWithDifferentDebitAccount);
            }
            if credit != existing.credit {
                return Some(Refusal::ExistsWithDifferentCreditAccount);
            }
        }
        if self
            .action
            .amount()
            .is_some_and(|amount| amount != existing.amount)
        {
            return Some(Refusal::ExistsWithDifferentAmount);
        }
        if let Action::Hold { timeout, .. } = self.action
            && existing.kind.expires_at() != Some(existing.created_at.plus(timeout))
        {
            return Some(Refusal::ExistsWithDifferentTimeout);
        }
        (self.cause != existing.cause).then_some(Refusal::ExistsWithDifferentCause)
    }
}
