//! What holds in any store at any time.

use std::collections::{BTreeMap, BTreeSet};

use octroi_claim::{PaymentState, WorkState};
use octroi_ledger::{Account, AccountKind, Ledger, Reason, Transfer, TransferKind, trial_balance};
use octroi_types::{AccountId, Address, Asset};

use crate::{Event, EventKind, Page, Store, Transaction, TransactionFilter, TransactionState};

/// Every transaction, newest first.
pub(super) async fn transactions(store: &dyn Store) -> Vec<Transaction> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let filter = TransactionFilter::default();
        let page = store
            .transactions_list(filter, after, Page::ROWS_MAX)
            .await
            .unwrap();
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

/// Checks that the books balance, within their limits, and agree with transactions, events and
/// credits.
pub async fn check_invariants(store: &dyn Store) {
    let accounts = store.accounts_list().await.unwrap();
    for (ledger, totals) in trial_balance(&accounts) {
        assert!(totals.is_balanced(), "{ledger:?} {totals:?}");
    }
    for account in &accounts {
        assert!(account.is_within_limit(), "{account:?}");
    }
    let mut money = Money::default();
    for transaction in transactions(store).await {
        let events = store.transaction_events(transaction.id).await.unwrap();
        let transfers = store.transaction_transfers(transaction.id).await.unwrap();
        check_history(&transaction, &events);
        check_transfers(&transaction, &events, &transfers);
        if let Some(id) = transaction.refund_credit {
            let credit = store.credit_get(id).await.unwrap().unwrap();
            assert!(credit.available <= credit.amount, "{credit:?}");
            assert_eq!(credit.transaction, transaction.id);
            *money.credits.entry(payer(&transaction)).or_default() +=
                i128::from(credit.available.units());
        }
        money.add(&transaction, &transfers);
    }
    money.check(&accounts);
}

/// The last event tells the state that the transaction shows.
fn check_history(transaction: &Transaction, events: &[Event]) {
    let Transaction { payment, work, .. } = *transaction;
    assert_eq!(transaction.state, TransactionState::of(payment, work));
    assert_eq!(
        events.first().map(|event| event.kind),
        Some(EventKind::Claimed)
    );
    let claimed = events
        .iter()
        .filter(|event| event.kind == EventKind::Claimed)
        .count();
    assert_eq!(claimed, 1, "{transaction:?}");
    let ids: BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len(), "{events:?}");
    let happened = |kind| events.iter().any(|event| event.kind == kind);
    let expected = match payment {
        PaymentState::Claimed => None,
        PaymentState::Broadcast => Some(EventKind::Broadcast),
        PaymentState::Settled => Some(EventKind::Settled),
        PaymentState::Failed => Some(EventKind::Failed),
        PaymentState::Unknown => Some(EventKind::Broadcast),
        PaymentState::Covered => transaction.covered_by.map(|_| EventKind::Claimed),
        PaymentState::Released if transaction.covered_by.is_some() => Some(EventKind::Broken),
        PaymentState::Released => Some(EventKind::Released),
    };
    assert!(expected.is_none_or(happened), "{transaction:?} {events:?}");
    assert_eq!(
        work == WorkState::Delivered,
        happened(EventKind::Delivered),
        "{transaction:?}"
    );
    assert_eq!(
        transaction.refund_credit.is_some(),
        happened(EventKind::Credited)
    );
}

/// Each thing is posted once, and only if it happened.
fn check_transfers(transaction: &Transaction, events: &[Event], transfers: &[Transfer]) {
    let happened = |kind| events.iter().any(|event| event.kind == kind);
    let failed = transaction.payment == PaymentState::Failed;
    let settled = happened(EventKind::Settled);
    for (reason, expected) in [
        (Reason::Settlement, settled),
        (Reason::SettlementReversal, settled && failed),
        (Reason::CreditIssue, transaction.refund_credit.is_some()),
    ] {
        let posted: Vec<_> = transfers
            .iter()
            .filter(|transfer| transfer.cause.reason == reason)
            .collect();
        assert_eq!(
            posted.len(),
            usize::from(expected),
            "{reason} {transaction:?}"
        );
        assert!(
            posted
                .iter()
                .all(|transfer| transfer.amount == transaction.amount)
        );
    }
    let redemptions = transfers
        .iter()
        .filter(|transfer| transfer.cause.reason == Reason::CreditRedemption)
        .map(|transfer| transfer.kind.code());
    let expected: &[u8] = match (transaction.covered_by, transaction.work) {
        (None, _) => &[],
        (Some(_), WorkState::Delivered) => &[2, 3],
        (Some(_), WorkState::Broken) => &[2, 4],
        (Some(_), WorkState::NotStarted | WorkState::Executing | WorkState::Answered) => &[2],
    };
    let mut redemptions: Vec<u8> = redemptions.collect();
    redemptions.sort_unstable();
    assert_eq!(redemptions, expected, "{transaction:?}");
}

/// A payer at a tenant.
type Payer = (Ledger, Address);

fn payer(transaction: &Transaction) -> Payer {
    let asset = Asset::Token {
        chain: transaction.network,
        address: transaction.asset,
    };
    let ledger = Ledger {
        tenant: transaction.tenant,
        mode: transaction.mode,
        asset,
    };
    (ledger, transaction.payer)
}

/// What the accounts must say, by what the transactions and transfers say.
#[derive(Default)]
struct Money {
    credits: BTreeMap<Payer, i128>,
    /// Posted and pending, of each side: debits, credits.
    sides: BTreeMap<AccountId, [i128; 4]>,
}

impl Money {
    fn add(&mut self, transaction: &Transaction, transfers: &[Transfer]) {
        for transfer in transfers {
            let held = transfers
                .iter()
                .find(|held| Some(held.id) == transfer.kind.hold());
            let held = held.map_or(0, |held| i128::from(held.amount.units()));
            let amount = i128::from(transfer.amount.units());
            let (posted, pending) = match transfer.kind {
                TransferKind::Post => (amount, 0),
                TransferKind::Hold { .. } => (0, amount),
                TransferKind::Capture { .. } => (amount, -held),
                TransferKind::Void { .. } | TransferKind::Expire { .. } => (0, -held),
            };
            let debit = self.sides.entry(transfer.debit).or_default();
            debit[0] += posted;
            debit[1] += pending;
            let credit = self.sides.entry(transfer.credit).or_default();
            credit[2] += posted;
            credit[3] += pending;
        }
        self.credits.entry(payer(transaction)).or_default();
    }

    fn check(&self, accounts: &[Account]) {
        for account in accounts {
            let sums = [account.debits, account.credits];
            let stored = sums.map(|sum| [sum.posted.units(), sum.pending.units()].map(i128::from));
            let moved = self.sides.get(&account.id).copied().unwrap_or_default();
            assert_eq!(stored.as_flattened(), moved, "{account:?}");
        }
        let refundable = |(ledger, payer): &Payer| {
            let id = ledger.refund_credit(*payer).id;
            let account = accounts.iter().find(|account| account.id == id);
            account
                .and_then(Account::available)
                .map_or(0, |amount| i128::from(amount.units()))
        };
        for (payer, credits) in &self.credits {
            assert_eq!(*credits, refundable(payer), "{payer:?}");
        }
        let refund_accounts = accounts
            .iter()
            .filter(|account| account.kind == AccountKind::RefundCredit)
            .count();
        assert!(refund_accounts <= self.credits.len());
    }
}
