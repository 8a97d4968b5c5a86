//! Why the books say no.

coded_enum! {
    /// Why an intent was refused. Nothing of a refused intent is applied.
    ///
    /// They are looked for in the order of their codes' tens: the request alone (1–9), ids (10–19),
    /// accounts to open (20–29), the books (30 and up).
    Refusal {
        /// More than [`crate::LINKED_MAX`] accounts or transfers.
        IntentTooLong = 1, "intent_too_long";
        /// Two transfers of the intent have one id.
        IdRepeated = 2, "id_repeated";
        /// A post or a hold of nothing. (A capture of nothing is allowed: the work was done and
        /// costs nothing.)
        AmountZero = 3, "amount_zero";
        /// Debit and credit account are the same.
        AccountsEqual = 4, "accounts_equal";
        /// A hold must last at least a microsecond.
        TimeoutZero = 5, "timeout_zero";

        /// The id was tried before and refused; a new attempt needs a new id.
        IdAlreadyFailed = 10, "id_already_failed";
        /// The id belongs to a transfer of another kind.
        ExistsWithDifferentKind = 11, "exists_with_different_kind";
        /// The id belongs to a transfer that debits another account.
        ExistsWithDifferentDebitAccount = 12, "exists_with_different_debit_account";
        /// The id belongs to a transfer that credits another account.
        ExistsWithDifferentCreditAccount = 13, "exists_with_different_credit_account";
        /// The id belongs to a transfer of another amount.
        ExistsWithDifferentAmount = 14, "exists_with_different_amount";
        /// The id belongs to a hold that lasts another time.
        ExistsWithDifferentTimeout = 15, "exists_with_different_timeout";
        /// The id belongs to a transfer that resolved another hold.
        ExistsWithDifferentHold = 16, "exists_with_different_hold";
        /// The id belongs to a transfer with another cause.
        ExistsWithDifferentCause = 17, "exists_with_different_cause";
        /// Some transfers of the intent exist and others do not: it is not a retry.
        LinkedTransferExists = 18, "linked_transfer_exists";

        /// The account exists, and belongs to another tenant.
        AccountExistsWithDifferentTenant = 20, "account_exists_with_different_tenant";
        /// The account exists, in the other mode.
        AccountExistsWithDifferentMode = 21, "account_exists_with_different_mode";
        /// The account exists, in another asset.
        AccountExistsWithDifferentAsset = 22, "account_exists_with_different_asset";
        /// The account exists, and is for something else.
        AccountExistsWithDifferentKind = 23, "account_exists_with_different_kind";
        /// The account exists, with another limit.
        AccountExistsWithDifferentLimit = 24, "account_exists_with_different_limit";

        /// The account to debit was never opened.
        DebitAccountNotFound = 30, "debit_account_not_found";
        /// The account to credit was never opened.
        CreditAccountNotFound = 31, "credit_account_not_found";
        /// The accounts belong to two tenants.
        TenantsDiffer = 32, "tenants_differ";
        /// One account holds play money and the other real money.
        ModesDiffer = 33, "modes_differ";
        /// The accounts count two assets.
        AssetsDiffer = 34, "assets_differ";
        /// The hold to resolve does not exist.
        HoldNotFound = 35, "hold_not_found";
        /// The transfer to resolve is not a hold.
        NotAHold = 36, "not_a_hold";
        /// The hold was captured.
        HoldAlreadyCaptured = 37, "hold_already_captured";
        /// The hold was voided.
        HoldAlreadyVoided = 38, "hold_already_voided";
        /// The hold's time has come, or it was expired already.
        HoldExpired = 39, "hold_expired";
        /// The hold's time has not come yet.
        HoldNotDue = 40, "hold_not_due";
        /// The capture is larger than the hold.
        ExceedsHold = 41, "exceeds_hold";
        /// The debited account cannot count that much.
        OverflowsDebits = 42, "overflows_debits";
        /// The credited account cannot count that much.
        OverflowsCredits = 43, "overflows_credits";
        /// The debited account does not have that much.
        ExceedsCredits = 44, "exceeds_credits";
        /// The credited account does not take that much.
        ExceedsDebits = 45, "exceeds_debits";
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Whether the refused transfer's id is used up (money rule 28).
    ///
    /// What depends on the books may change with them, so those refusals are recorded. What the
    /// request alone decides comes out the same each time, and an id that is taken has its record.
    /// Asking too early for an expiry uses nothing up: its derived id must still work when the
    /// time has come.
    #[must_use]
    pub const fn uses_id_up(self) -> bool {
        match self {
            Self::DebitAccountNotFound
            | Self::CreditAccountNotFound
            | Self::TenantsDiffer
            | Self::ModesDiffer
            | Self::AssetsDiffer
            | Self::HoldNotFound
            | Self::NotAHold
            | Self::HoldAlreadyCaptured
            | Self::HoldAlreadyVoided
            | Self::HoldExpired
            | Self::ExceedsHold
            | Self::OverflowsDebits
            | Self::OverflowsCredits
            | Self::ExceedsCredits
            | Self::ExceedsDebits => true,
            Self::HoldNotDue
            | Self::IntentTooLong
            | Self::IdRepeated
            | Self::AmountZero
            | Self::AccountsEqual
            | Self::TimeoutZero
            | Self::IdAlreadyFailed
            | Self::ExistsWithDifferentKind
            | Self::ExistsWithDifferentDebitAccount
            | Self::ExistsWithDifferentCreditAccount
            | Self::ExistsWithDifferentAmount
            | Self::ExistsWithDifferentTimeout
            | Self::ExistsWithDifferentHold
            | Self::ExistsWithDifferentCause
            | Self::LinkedTransferExists
            | Self::AccountExistsWithDifferentTenant
            | Self::AccountExistsWithDifferentMode
            | Self::AccountExistsWithDifferentAsset
            | Self::AccountExistsWithDifferentKind
            | Self::AccountExistsWithDifferentLimit => false,
        }
    }
}
