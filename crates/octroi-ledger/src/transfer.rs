//! Transfers as they are kept: never updated, never deleted (money rule 29).

use octroi_types::{
    AccountId, Amount, ClaimId, CreditId, GrantId, SettlementId, TransactionId, TransferId,
    UnixMicros,
};

use crate::refusal::Refusal;

/// What a transfer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferKind {
    /// Moved its amount at once.
    Post,
    /// Set its amount aside on both accounts.
    Hold {
        /// From this moment on it can no longer be captured or voided, only expired.
        expires_at: UnixMicros,
    },
    /// Moved its amount, at most the hold's, and gave the rest of the hold back.
    Capture {
        /// The hold that it resolved.
        hold: TransferId,
    },
    /// Gave the whole hold back.
    Void {
        /// The hold that it resolved.
        hold: TransferId,
    },
    /// Gave the whole hold back because its time had come.
    Expire {
        /// The hold that it resolved.
        hold: TransferId,
    },
}

impl TransferKind {
    /// The small integer that storage keeps.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Post => 1,
            Self::Hold { .. } => 2,
            Self::Capture { .. } => 3,
            Self::Void { .. } => 4,
            Self::Expire { .. } => 5,
        }
    }

    /// Reads what storage keeps: the code with the columns of [`Self::hold`] and
    /// [`Self::expires_at`]. `None` if they do not fit together.
    #[must_use]
    pub const fn from_columns(
        code: u8,
        hold: Option<TransferId>,
        expires_at: Option<UnixMicros>,
    ) -> Option<Self> {
        Some(match (code, hold, expires_at) {
            (1, None, None) => Self::Post,
            (2, None, Some(expires_at)) => Self::Hold { expires_at },
            (3, Some(hold), None) => Self::Capture { hold },
            (4, Some(hold), None) => Self::Void { hold },
            (5, Some(hold), None) => Self::Expire { hold },
            _ => return None,
        })
    }

    /// The hold that this kind of transfer resolved. Storage keeps it unique: a hold is resolved
    /// once.
    #[must_use]
    pub const fn hold(self) -> Option<TransferId> {
        match self {
            Self::Post | Self::Hold { .. } => None,
            Self::Capture { hold } | Self::Void { hold } | Self::Expire { hold } => Some(hold),
        }
    }

    /// When the hold that this kind of transfer made runs out.
    #[must_use]
    pub const fn expires_at(self) -> Option<UnixMicros> {
        match self {
            Self::Hold { expires_at } => Some(expires_at),
            Self::Post | Self::Capture { .. } | Self::Void { .. } | Self::Expire { .. } => None,
        }
    }

    /// How this kind of transfer resolved its hold.
    #[must_use]
    pub const fn resolution(self) -> Option<Resolution> {
        match self {
            Self::Post | Self::Hold { .. } => None,
            Self::Capture { .. } => Some(Resolution::Captured),
            Self::Void { .. } => Some(Resolution::Voided),
            Self::Expire { .. } => Some(Resolution::Expired),
        }
    }
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Its amount, or less, was posted.
    Captured,
    /// It was given back.
    Voided,
    /// It was given back because its time had come.
    Expired,
}

impl Resolution {
    pub(crate) const fn refusal(self) -> Refusal {
        match self {
            Self::Captured => Refusal::HoldAlreadyCaptured,
            Self::Voided => Refusal::HoldAlreadyVoided,
            Self::Expired => Refusal::HoldExpired,
        }
    }
}

coded_enum! {
    /// What kind of business event a transfer belongs to.
    Reason {
        /// A payment arrived on its rail.
        Settlement = 1, "settlement";
        /// A settled payment vanished for good.
        SettlementReversal = 2, "settlement_reversal";
        /// Paid work was not delivered.
        CreditIssue = 3, "credit_issue";
        /// A refund credit pays for work.
        CreditRedemption = 4, "credit_redemption";
        /// A refund credit was issued for money that vanished.
        CreditRevocation = 5, "credit_revocation";
        /// A hold ran out.
        HoldExpiry = 6, "hold_expiry";
        /// Prepaid money was given to a balance.
        GrantIssue = 7, "grant_issue";
        /// Prepaid money pays for work.
        Charge = 8, "charge";
        /// The operator's part of what a tenant charged.
        PlatformFee = 9, "platform_fee";
        /// Prepaid money ran out of time.
        GrantExpiry = 10, "grant_expiry";
        /// What a balance owed is paid back from a new grant.
        OverdraftRepayment = 11, "overdraft_repayment";
    }
}

/// The record that a transfer leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A claim, which leads to the request and the payment.
    Claim(ClaimId),
    /// A transaction as the seller sees it.
    Transaction(TransactionId),
    /// A settlement on a chain.
    Settlement(SettlementId),
    /// A refund credit.
    Credit(CreditId),
    /// Another transfer, which this one follows from.
    Transfer(TransferId),
    /// A grant of prepaid money.
    Grant(GrantId),
}

impl Subject {
    /// The small integer and the sixteen bytes that storage keeps.
    #[must_use]
    pub const fn columns(&self) -> (u8, [u8; 16]) {
        match self {
            Self::Claim(id) => (1, *id.as_bytes()),
            Self::Transaction(id) => (2, *id.as_bytes()),
            Self::Settlement(id) => (3, *id.as_bytes()),
            Self::Credit(id) => (4, *id.as_bytes()),
            Self::Transfer(id) => (5, *id.as_bytes()),
            Self::Grant(id) => (6, *id.as_bytes()),
        }
    }

    /// Reads what storage keeps.
    #[must_use]
    pub const fn from_columns(code: u8, id: [u8; 16]) -> Option<Self> {
        Some(match code {
            1 => Self::Claim(ClaimId::from_bytes(id)),
            2 => Self::Transaction(TransactionId::from_bytes(id)),
            3 => Self::Settlement(SettlementId::from_bytes(id)),
            4 => Self::Credit(CreditId::from_bytes(id)),
            5 => Self::Transfer(TransferId::from_bytes(id)),
            6 => Self::Grant(GrantId::from_bytes(id)),
            _ => return None,
        })
    }
}

/// Why a transfer was made (money rule 30).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause {
    /// The kind of event.
    pub reason: Reason,
    /// The record it leads to.
    pub subject: Subject,
}

/// A transfer as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// The id that its caller made.
    pub id: TransferId,
    /// The account debited; of the hold, for a transfer that resolves one.
    pub debit: AccountId,
    /// The account credited; of the hold, for a transfer that resolves one.
    pub credit: AccountId,
    /// What was posted, held, captured, or given back.
    pub amount: Amount,
    /// What it did.
    pub kind: TransferKind,
    /// Why it was made.
    pub cause: Cause,
    /// When it was applied.
    pub created_at: UnixMicros,
}

/// A transfer id that was tried against the books and refused. It stays failed (money rule 28), so
/// that a late copy of a refused request can never go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Failure {
    /// The id that is used up.
    pub id: TransferId,
    /// Why it was refused.
    pub refusal: Refusal,
    /// When.
    pub failed_at: UnixMicros,
}
