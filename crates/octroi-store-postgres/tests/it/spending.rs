//! Intents that meet: on two nodes at the same moment, or in one batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use octroi_ledger::{
    Account, Action, Draw, GrantSource, Intent, Ledger, Outcome, Record, Refusal, charge_hold_id,
};
use octroi_store::LedgerStore as _;
use octroi_store::conformance::START;
use octroi_store_postgres::{PostgresOptions, PostgresStore};
use octroi_types::{Amount, Asset, ClaimId, GrantId, Mode, TenantId, TransferId};
use tokio::task::JoinSet;

use crate::CLUSTER;
use crate::races::Pair;

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

fn numbered(kind: u8, number: u32) -> [u8; 16] {
    let mut id = [kind; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    id
}

fn grant(number: u32) -> GrantId {
    GrantId::from_bytes(numbered(7, number))
}

fn claim(number: u32) -> ClaimId {
    ClaimId::from_bytes(numbered(8, number))
}

fn issue(number: u32, units: u64) -> Intent {
    ledger().grant_issue(grant(number), GrantSource::Rail, amount(units))
}

fn hold(number: u32, of: u32, units: u64) -> Intent {
    let draw = Draw {
        grant: grant(of),
        amount: amount(units),
    };
    ledger().charge_hold(claim(number), 0, &[draw], Duration::MAX)
}

fn void(number: u32) -> Intent {
    Intent::charge_void(claim(number), 0, 1)
}

/// A capture that is not the same transfer as the void.
fn capture(number: u32, units: u64) -> Intent {
    let hold = charge_hold_id(claim(number), 0, 0);
    let mut intent = void(number);
    intent.transfers[0].id = TransferId::from_bytes(numbered(9, number));
    intent.transfers[0].action = Action::Capture {
        hold,
        amount: amount(units),
    };
    intent
}

/// Submits all of these at once, over both nodes in turn.
async fn submit_all(pair: &Pair, intents: &[Intent]) -> Vec<Outcome> {
    let mut calls = JoinSet::new();
    for (number, intent) in (0..).zip(intents) {
        let (store, intent) = (pair.store(number), intent.clone());
        calls.spawn(async move { (number, store.ledger_submit(intent, START).await.unwrap()) });
    }
    let outcomes: BTreeMap<u32, Outcome> = calls.join_all().await.into_iter().collect();
    outcomes.into_values().collect()
}

async fn account(pair: &Pair, number: u32) -> Account {
    let id = ledger().grant(grant(number)).id;
    pair.stores[1].account_get(id).await.unwrap().unwrap()
}

fn refusal(outcome: &Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Refused(refused) => Some(refused.refusal),
        Outcome::Applied | Outcome::Exists => None,
    }
}

#[tokio::test]
async fn a_grant_is_never_overspent_on_two_nodes() {
    let pair = Pair::open().await;
    submit_all(&pair, &[issue(1, 100)]).await;
    let holds: Vec<Intent> = (0..64).map(|number| hold(number, 1, 3)).collect();
    let outcomes = submit_all(&pair, &holds).await;
    let applied = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Applied);
    assert_eq!(applied.count(), 33);
    let exceeding = outcomes
        .iter()
        .filter(|outcome| refusal(outcome) == Some(Refusal::ExceedsCredits));
    assert_eq!(exceeding.count(), 31);
    assert_eq!(account(&pair, 1).await.available(), Some(amount(1)));

    // Late copies, each on the other node.
    for (number, (hold, outcome)) in (0..).zip(holds.into_iter().zip(&outcomes)) {
        let again = pair.store(number + 1).ledger_submit(hold, START).await;
        match outcome {
            Outcome::Applied => assert_eq!(again.unwrap(), Outcome::Exists),
            Outcome::Exists | Outcome::Refused(_) => {
                assert_eq!(refusal(&again.unwrap()), Some(Refusal::IdAlreadyFailed));
            }
        }
    }
    pair.stores[1].audit().await.unwrap();
}

/// A hold ends once, whoever ends it.
#[tokio::test]
async fn a_hold_is_captured_or_voided_on_one_of_two_nodes() {
    let pair = Pair::open().await;
    submit_all(&pair, &[issue(1, 1_000)]).await;
    for round in 0..24 {
        submit_all(&pair, &[hold(round, 1, 10)]).await;
        let ends = [void(round), capture(round, 10)];
        let outcomes = submit_all(&pair, &ends).await;
        match &outcomes[..] {
            [Outcome::Applied, Outcome::Refused(refused)] => {
                assert_eq!(refused.refusal, Refusal::HoldAlreadyVoided);
            }
            [Outcome::Refused(refused), Outcome::Applied] => {
                assert_eq!(refused.refusal, Refusal::HoldAlreadyCaptured);
            }
            both => panic!("{both:?}"),
        }
    }
    assert_eq!(account(&pair, 1).await.debits.pending, Amount::ZERO);
    pair.stores[1].audit().await.unwrap();
}

/// Money, or a hold, that comes at the same moment is there for all copies of an intent, or for none.
#[tokio::test]
async fn copies_of_an_intent_come_to_one_end_on_two_nodes() {
    let pair = Pair::open().await;
    for round in 0..40 {
        let mut intents = vec![hold(round, round, 10); 6];
        intents.insert(usize::try_from(round % 7).unwrap(), issue(round, 10));
        intents.extend(vec![void(round); 6]);
        let outcomes = submit_all(&pair, &intents).await;
        for id in [
            charge_hold_id(claim(round), 0, 0),
            void(round).transfers[0].id,
        ] {
            let of_id = intents
                .iter()
                .zip(&outcomes)
                .filter(|(intent, _)| intent.transfers[0].id == id)
                .map(|(_, outcome)| *outcome);
            let record = pair.stores[0].transfer_get(id).await.unwrap().unwrap();
            let (first, copies): (Vec<_>, Vec<_>) = of_id.partition(|outcome| {
                *outcome != Outcome::Exists && refusal(outcome) != Some(Refusal::IdAlreadyFailed)
            });
            assert_eq!((first.len(), copies.len()), (1, 5), "round {round}");
            match record {
                Record::Applied(_) => {
                    assert_eq!(first, [Outcome::Applied]);
                    assert!(copies.iter().all(|copy| *copy == Outcome::Exists));
                }
                Record::Failed(failure) => {
                    assert_eq!(refusal(&first[0]), Some(failure.refusal));
                    assert!(copies.iter().all(|copy| refusal(copy).is_some()));
                }
            }
        }
    }
    pair.stores[1].audit().await.unwrap();
}

/// What one intent of a batch holds is there for the next.
#[tokio::test]
async fn a_hold_ends_in_the_batch_that_made_it() {
    const PAIRS: u32 = 50;
    let database = CLUSTER.database();
    let commits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&commits);
    let options = PostgresOptions {
        lanes: 1,
        on_commit: Some(Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        })),
        ..crate::options()
    };
    let store = PostgresStore::open(&database.address(), options).await;
    let store = Arc::new(store.unwrap());
    store.ledger_submit(issue(1, 10), START).await.unwrap();
    commits.store(0, Ordering::Relaxed);
    let mut calls = JoinSet::new();
    for number in 0..PAIRS {
        let store = Arc::clone(&store);
        calls.spawn(async move {
            // In this order, and nothing comes between: there is one thread here.
            tokio::join!(
                store.ledger_submit(hold(number, 1, 10), START),
                store.ledger_submit(void(number), START),
            )
        });
    }
    for (held, voided) in calls.join_all().await {
        assert_eq!(
            (held.unwrap(), voided.unwrap()),
            (Outcome::Applied, Outcome::Applied)
        );
    }
    // Fewer cuts than pairs: some were not cut.
    assert!(commits.load(Ordering::Relaxed) <= PAIRS);
    store.audit().await.unwrap();
}
