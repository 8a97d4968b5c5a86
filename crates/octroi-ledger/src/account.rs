//! Accounts: what they hold, in which ledger, and how far they may go.

use octroi_types::{AccountId, Amount, Asset, Mode, TenantId, UnixMicros};

use crate::refusal::Refusal;

/// The books of one tenant in one mode and one asset. Transfers never leave a ledger (money
/// rules 2 and 3); a conversion is a pair of linked transfers in two ledgers of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ledger {
    /// Whose books.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// What the amounts count.
    pub asset: Asset,
}

coded_enum! {
    /// What an account is for.
    AccountKind {
        /// What the tenant earned. Grows by credits.
        TenantRevenue = 1, "tenant_revenue";
        /// What the tenant owes a buyer for one grant of prepaid money. Grows by credits, never
        /// overdrawn.
        PrepaidGrant = 2, "prepaid_grant";
        /// What came in over a payment rail. Grows by debits; what leaves was there.
        RailClearing = 3, "rail_clearing";
        /// What the operator takes. Grows by credits.
        Fees = 4, "fees";
        /// What the tenant owes one payer for work that was paid and not delivered (money rule
        /// 22). Grows by credits, never overdrawn.
        RefundCredit = 5, "refund_credit";
        /// Settled money that vanished from its chain for good (money rule 18). Grows by debits.
        SettlementLoss = 6, "settlement_loss";
        /// Prepaid money whose time ran out. Grows by credits.
        Breakage = 7, "breakage";
        /// One side of a conversion between two assets.
        Conversion = 8, "conversion";
        /// What one balance owes for work that cost more than it had, as far as its terms allow.
        /// Grows by debits; what is paid back was owed.
        Overdraft = 9, "overdraft";
        /// Work that cost more than its buyer may owe. Grows by debits.
        WriteOff = 10, "write_off";
        /// Prepaid money that nobody paid for. Grows by debits.
        Promotion = 11, "promotion";
    }
}

impl AccountKind {
    /// How far accounts of this kind may go.
    #[must_use]
    pub const fn limit(self) -> AccountLimit {
        match self {
            Self::PrepaidGrant | Self::RefundCredit => AccountLimit::DebitsMustNotExceedCredits,
            Self::RailClearing | Self::Overdraft => AccountLimit::CreditsMustNotExceedDebits,
            Self::TenantRevenue
            | Self::Fees
            | Self::SettlementLoss
            | Self::Breakage
            | Self::Conversion
            | Self::WriteOff
            | Self::Promotion => AccountLimit::None,
        }
    }
}

coded_enum! {
    /// A bound that the books themselves enforce. Holds count against it in full from the moment
    /// they are made, and money that is merely on hold for the account does not help.
    AccountLimit {
        /// No bound.
        None = 0, "none";
        /// Posted and pending debits stay within the posted credits.
        DebitsMustNotExceedCredits = 1, "debits_must_not_exceed_credits";
        /// Posted and pending credits stay within the posted debits.
        CreditsMustNotExceedDebits = 2, "credits_must_not_exceed_debits";
    }
}

/// An account to be opened. Opening one that exists with the same terms changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NewAccount {
    /// Its id, derived by [`Ledger::account`].
    pub id: AccountId,
    /// The ledger it belongs to.
    pub ledger: Ledger,
    /// What it is for.
    pub kind: AccountKind,
    /// How far it may go.
    pub limit: AccountLimit,
}

/// One side of an account. `posted` and `pending` together never exceed [`Amount::MAX`], so a hold
/// that was taken can always be captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sums {
    /// All that was ever posted. Never shrinks.
    pub posted: Amount,
    /// All that is on hold now.
    pub pending: Amount,
}

impl Sums {
    /// Posted and pending together. Saturates, which sums within their bound never do.
    #[must_use]
    pub fn total(self) -> Amount {
        self.posted.checked_add(self.pending).unwrap_or(Amount::MAX)
    }

    pub(crate) fn with_posted(self, amount: Amount) -> Option<Self> {
        let posted = self.posted.checked_add(amount)?;
        Self { posted, ..self }.bounded()
    }

    pub(crate) fn with_held(self, amount: Amount) -> Option<Self> {
        let pending = self.pending.checked_add(amount)?;
        Self { pending, ..self }.bounded()
    }

    /// Ends a hold of `held`, of which `captured` is posted. `None` if no such hold was counted.
    pub(crate) fn with_resolved(self, held: Amount, captured: Amount) -> Option<Self> {
        Self {
            posted: self.posted,
            pending: self.pending.checked_sub(held)?,
        }
        .with_posted(captured)
    }

    fn bounded(self) -> Option<Self> {
        self.posted.checked_add(self.pending).map(|_| self)
    }
}

/// An account as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The ledger it belongs to.
    pub ledger: Ledger,
    /// What it is for.
    pub kind: AccountKind,
    /// How far it may go.
    pub limit: AccountLimit,
    /// Its debit side.
    pub debits: Sums,
    /// Its credit side.
    pub credits: Sums,
    /// When it was opened.
    pub created_at: UnixMicros,
    /// How many transfers touched it.
    pub version: u64,
}

impl Account {
    pub(crate) fn open(new: &NewAccount, created_at: UnixMicros) -> Self {
        let NewAccount {
            id,
            ledger,
            kind,
            limit,
        } = *new;
        let (debits, credits) = (Sums::default(), Sums::default());
        Self {
            id,
            ledger,
            kind,
            limit,
            debits,
            credits,
            created_at,
            version: 0,
        }
    }

    /// What may still be moved out of an account with a limit, against its normal side, with
    /// every hold counted as taken. `None` where there is no limit.
    #[must_use]
    pub fn available(&self) -> Option<Amount> {
        let (normal, against) = match self.limit {
            AccountLimit::None => return None,
            AccountLimit::DebitsMustNotExceedCredits => (self.credits, self.debits),
            AccountLimit::CreditsMustNotExceedDebits => (self.debits, self.credits),
        };
        Some(
            normal
                .posted
                .checked_sub(against.total())
                .unwrap_or(Amount::ZERO),
        )
    }

    /// Whether the limit holds.
    #[must_use]
    pub fn is_within_limit(&self) -> bool {
        match self.limit {
            AccountLimit::None => true,
            AccountLimit::DebitsMustNotExceedCredits => self.debits.total() <= self.credits.posted,
            AccountLimit::CreditsMustNotExceedDebits => self.credits.total() <= self.debits.posted,
        }
    }

    /// Why `new` cannot be taken for this account, if it cannot.
    pub(crate) fn conflict(&self, new: &NewAccount) -> Option<Refusal> {
        if self.ledger.tenant != new.ledger.tenant {
            Some(Refusal::AccountExistsWithDifferentTenant)
        } else if self.ledger.mode != new.ledger.mode {
            Some(Refusal::AccountExistsWithDifferentMode)
        } else if self.ledger.asset != new.ledger.asset {
            Some(Refusal::AccountExistsWithDifferentAsset)
        } else if self.kind != new.kind {
            Some(Refusal::AccountExistsWithDifferentKind)
        } else if self.limit != new.limit {
            Some(Refusal::AccountExistsWithDifferentLimit)
        } else {
            None
        }
    }
}
