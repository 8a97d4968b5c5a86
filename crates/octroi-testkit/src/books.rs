//! What a gate has written down, and whether it can be right.

use octroi_claim::{PaymentState, WorkState};
use octroi_ledger::{Account, AccountKind, trial_balance};
use octroi_store::{Page, Transaction, TransactionFilter, TransactionState, TransactionStore};

/// The records of a store at one moment.
#[derive(Debug)]
pub struct Books {
    /// Every payment attempt, oldest first.
    pub transactions: Vec<Transaction>,
    /// Every account.
    pub accounts: Vec<Account>,
}

impl Books {
    /// Reads all there is.
    pub async fn read(store: &(impl TransactionStore + ?Sized)) -> Self {
        let accounts = store.accounts_list().await.unwrap();
        let (mut transactions, mut after) = (Vec::new(), None);
        loop {
            let filter = TransactionFilter::default();
            let page: Page<Transaction> =
                store.transactions_list(filter, after, 1_000).await.unwrap();
            transactions.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        transactions.reverse();
        Self {
            transactions,
            accounts,
        }
    }

    /// The only attempt.
    #[must_use]
    pub fn only(&self) -> &Transaction {
        assert_eq!(self.transactions.len(), 1, "{:#?}", self.transactions);
        &self.transactions[0]
    }

    /// How the attempts stand, oldest first.
    #[must_use]
    pub fn states(&self) -> Vec<(PaymentState, WorkState)> {
        self.transactions
            .iter()
            .map(|row| (row.payment, row.work))
            .collect()
    }

    /// How the seller sees the attempts, oldest first.
    #[must_use]
    pub fn shown(&self) -> Vec<TransactionState> {
        self.transactions.iter().map(|row| row.state).collect()
    }

    /// Attempts of which it is not known how they end.
    pub fn open(&self) -> impl Iterator<Item = &Transaction> {
        self.transactions.iter().filter(|row| {
            matches!(
                row.payment,
                PaymentState::Claimed | PaymentState::Broadcast | PaymentState::Unknown
            ) || matches!(
                (row.payment, row.work),
                (
                    PaymentState::Settled | PaymentState::Covered,
                    WorkState::NotStarted | WorkState::Executing | WorkState::Answered
                )
            )
        })
    }

    /// What was settled, in the token's smallest unit.
    #[must_use]
    pub fn settled_units(&self) -> u64 {
        let settled = self
            .transactions
            .iter()
            .filter(|row| row.payment == PaymentState::Settled);
        settled.map(|row| row.amount.units()).sum()
    }

    /// What payers have left, in the token's smallest unit.
    #[must_use]
    pub fn credit_units(&self) -> u64 {
        self.balance(AccountKind::RefundCredit)
    }

    /// What the seller has earned, in the token's smallest unit.
    #[must_use]
    pub fn revenue_units(&self) -> u64 {
        self.balance(AccountKind::TenantRevenue)
    }

    fn balance(&self, kind: AccountKind) -> u64 {
        let accounts = self.accounts.iter().filter(|account| account.kind == kind);
        accounts
            .map(|account| account.credits.posted.units() - account.debits.posted.units())
            .sum()
    }

    /// What must hold at any time: every ledger balances, what is settled is either earned or owed
    /// to a payer, and nothing settled for nothing is without its credit.
    pub fn check(&self) {
        for (ledger, totals) in trial_balance(&self.accounts) {
            assert!(
                totals.is_balanced(),
                "{ledger:?} does not balance: {totals:?}"
            );
        }
        let held = self.accounts.iter().filter(|account| {
            account.kind == AccountKind::RefundCredit && !account.debits.pending.is_zero()
        });
        let covering = self
            .open()
            .filter(|row| row.payment == PaymentState::Covered);
        assert_eq!(
            held.count() > 0,
            covering.count() > 0,
            "credit is held for nobody"
        );
        for row in &self.transactions {
            match (row.payment, row.work) {
                (PaymentState::Settled, WorkState::Broken) => {
                    assert!(row.refund_credit.is_some(), "{row:#?}");
                }
                // It had settled, and vanished afterwards.
                (PaymentState::Unknown | PaymentState::Failed, WorkState::Broken) => {}
                _ => assert_eq!(row.refund_credit, None, "{row:#?}"),
            }
        }
    }

    /// What must hold when nothing is going on any more.
    pub fn check_at_rest(&self) {
        self.check();
        let open: Vec<_> = self.open().collect();
        assert!(open.is_empty(), "left half-done: {open:#?}");
    }
}
