//! The books: what is posted, refused and repeated (money rules 26–29).

use std::sync::Arc;
use std::time::Duration;

use octroi_ledger::{
    AccountKind, Action, Books as _, Cause, Draw, GrantSource, Holder, Intent, Ledger, MemoryBooks,
    NewTransfer, Outcome, Reason, Record, Refusal, Subject, charge_hold_id, decide,
};
use octroi_types::{Amount, Asset, ClaimId, GrantId, Mode, TenantId, TransactionId, TransferId};

use super::Backend;
use super::payment::{START, id_at};
use crate::Store;

fn ledger() -> Ledger {
    Ledger {
        tenant: TenantId::from_bytes([1; 16]),
        mode: Mode::Live,
        asset: Asset::Usd,
    }
}

fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

fn grant(number: u32) -> GrantId {
    GrantId::from_bytes(id_at(START, 7, number))
}

fn claim(number: u32) -> ClaimId {
    ClaimId::from_bytes(id_at(START, 8, number))
}

/// A charge of one grant.
fn hold(number: u32, grants: &[GrantId], units: u64) -> Intent {
    let draws: Vec<_> = grants
        .iter()
        .map(|grant| Draw {
            grant: *grant,
            amount: amount(units),
        })
        .collect();
    ledger().charge_hold(claim(number), 0, &draws, Duration::MAX)
}

async fn submit(store: &dyn Store, intent: &Intent) -> Outcome {
    store.ledger_submit(intent.clone(), START).await.unwrap()
}

async fn available(store: &dyn Store, grant: GrantId) -> u64 {
    let account = store.account_get(ledger().grant(grant).id).await.unwrap();
    account.unwrap().available().unwrap().units()
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refused) => refused.refusal,
        Outcome::Applied | Outcome::Exists => panic!("{outcome:?}"),
    }
}

pub async fn an_intent_is_posted_once(backend: &dyn Backend) {
    let issue = ledger().grant_issue(grant(1), GrantSource::Rail, amount(100));
    let store = backend.open().await;
    assert_eq!(submit(&*store, &issue).await, Outcome::Applied);
    assert_eq!(submit(&*store, &issue).await, Outcome::Exists);
    assert_eq!(available(&*store, grant(1)).await, 100);
    drop(store);

    let store = backend.reopen().await;
    assert_eq!(submit(&*store, &issue).await, Outcome::Exists);
    assert_eq!(available(&*store, grant(1)).await, 100);
    let posted = store.transfer_get(issue.transfers[0].id).await.unwrap();
    let Some(Record::Applied(transfer)) = posted else {
        panic!("{posted:?}")
    };
    assert_eq!((transfer.amount, transfer.created_at), (amount(100), START));
    assert_eq!(transfer.cause, issue.transfers[0].cause);
}

pub async fn a_refused_id_stays_refused(backend: &dyn Backend) {
    let store = backend.open().await;
    let issue = ledger().grant_issue(grant(1), GrantSource::Rail, amount(100));
    submit(&*store, &issue).await;
    let too_much = hold(1, &[grant(1)], 101);
    assert_eq!(
        refusal(submit(&*store, &too_much).await),
        Refusal::ExceedsCredits
    );
    drop(store);

    let store = backend.reopen().await;
    // Now there would be enough; a late copy of the request must not go through.
    let more = ledger().grant_issue(grant(2), GrantSource::Rail, amount(100));
    submit(&*store, &more).await;
    assert_eq!(
        refusal(submit(&*store, &too_much).await),
        Refusal::IdAlreadyFailed
    );
    let record = store.transfer_get(charge_hold_id(claim(1), 0, 0)).await;
    assert!(matches!(record, Ok(Some(Record::Failed(failure)))
        if failure.refusal == Refusal::ExceedsCredits && failure.failed_at == START));
    assert_eq!(
        submit(&*store, &hold(2, &[grant(1)], 100)).await,
        Outcome::Applied
    );
    assert_eq!(available(&*store, grant(1)).await, 0);
}

pub async fn linked_transfers_happen_together_or_not_at_all(backend: &dyn Backend) {
    let store = backend.open().await;
    for number in [1, 2] {
        let issue = ledger().grant_issue(grant(number), GrantSource::Promotion, amount(50));
        submit(&*store, &issue).await;
    }
    let both = [grant(1), grant(2)];
    submit(&*store, &hold(1, &both[1..], 10)).await;
    // The second grant has 40 left.
    let outcome = submit(&*store, &hold(2, &both, 45)).await;
    assert_eq!(refusal(outcome), Refusal::ExceedsCredits);
    assert_eq!(available(&*store, grant(1)).await, 50);
    assert_eq!(submit(&*store, &hold(3, &both, 40)).await, Outcome::Applied);
    assert_eq!(
        submit(&*store, &Intent::charge_void(claim(3), 0, 2)).await,
        Outcome::Applied
    );
    let again = Intent::charge_void(claim(3), 0, 2);
    assert_eq!(submit(&*store, &again).await, Outcome::Exists);
    assert_eq!(available(&*store, grant(2)).await, 40);
}

/// Many callers spend one grant at once.
pub async fn a_grant_is_never_overspent(backend: &dyn Backend) {
    const CALLERS: u32 = 64;
    let store = backend.open().await;
    let issue = ledger().grant_issue(grant(1), GrantSource::Rail, amount(100));
    submit(&*store, &issue).await;
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let store = Arc::clone(&store);
        callers.spawn(async move { submit(&*store, &hold(number, &[grant(1)], 3)).await });
    }
    let outcomes = callers.join_all().await;
    let held = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Applied);
    assert_eq!(held.count(), 33);
    assert_eq!(available(&*store, grant(1)).await, 1);
}

/// One ledger's worth of random posts, holds and ends of holds, beside the books in memory.
pub async fn random_intents_agree_with_the_books_in_memory(backend: &dyn Backend) {
    let store = backend.open().await;
    let mut memory = MemoryBooks::default();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        // xorshift64: the same calls each time.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for round in 0..600_u32 {
        let intent = random_intent(round, &mut random);
        let decision = decide(&memory, &intent, START).unwrap();
        memory.apply(&decision.effects);
        assert_eq!(
            submit(&*store, &intent).await,
            decision.outcome,
            "{intent:#?}"
        );
    }
    for account in memory.accounts() {
        let stored = store.account_get(account.id).await.unwrap();
        assert_eq!(stored.as_ref(), Some(account));
    }
    for number in 0..40 {
        let id = transfer_id(number);
        assert_eq!(
            store.transfer_get(id).await.unwrap(),
            memory.record(id).unwrap()
        );
    }
}

fn transfer_id(number: u64) -> TransferId {
    TransferId::from_bytes(id_at(START, 9, u32::try_from(number).unwrap()))
}

fn random_intent(round: u32, random: &mut impl FnMut(u64) -> u64) -> Intent {
    let accounts = [
        ledger().account(AccountKind::RailClearing, Holder::Tenant),
        ledger().account(AccountKind::TenantRevenue, Holder::Tenant),
        ledger().grant(grant(1)),
        ledger().grant(grant(2)),
    ];
    let mut intent = Intent::default();
    // An account is named by those who may open it, and not by everybody.
    intent
        .accounts
        .extend(accounts.iter().filter(|_| random(8) > 0));
    for _ in 0..=random(3) {
        let mut pick = || accounts[usize::try_from(random(4)).unwrap()].id;
        let (debit, credit) = (pick(), pick());
        let units = amount(random(60));
        let hold = transfer_id(random(40));
        let action = match random(5) {
            0 | 1 => Action::Post {
                debit,
                credit,
                amount: units,
            },
            2 => Action::Hold {
                debit,
                credit,
                amount: units,
                timeout: Duration::MAX,
            },
            3 => Action::Capture {
                hold,
                amount: units,
            },
            _ => Action::Void { hold },
        };
        intent.transfers.push(NewTransfer {
            id: transfer_id(random(40)),
            action,
            cause: Cause {
                reason: Reason::Charge,
                subject: Subject::Transaction(TransactionId::from_bytes(id_at(START, 2, round))),
            },
        });
    }
    intent
}
