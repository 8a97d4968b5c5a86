//! Two nodes on one database, at the same moment.

use std::sync::Arc;

use octroi_claim::{Claim, NodeId, PaymentState as P, RefusedClaim, SettleOrder, Step};
use octroi_store::conformance::{
    Payment, START, Suite, check_invariants, settled, settlement, settlement_id,
};
use octroi_store::{
    ClaimOutcome, ClaimStore, Fact, FactOutcome, OpenOutcome, SettlementStore, TransactionStore,
    refund_credit_id,
};
use octroi_store_postgres::PostgresStore;
use octroi_store_postgres::cluster::Database;
use octroi_types::UnixMicros;
use tokio::task::JoinSet;

use crate::CLUSTER;

/// Two stores on one database, with node 1 alive.
pub(crate) struct Pair {
    pub(crate) stores: [Arc<PostgresStore>; 2],
    _database: Database<'static>,
}

impl Pair {
    pub(crate) async fn open() -> Self {
        let database = CLUSTER.database();
        let stores = [crate::open(&database).await, crate::open(&database).await];
        let forever = UnixMicros(i64::MAX);
        stores[0]
            .node_beat(NodeId(1), forever, START)
            .await
            .unwrap();
        Self {
            stores,
            _database: database,
        }
    }

    /// A store for the number of a call: one and the other in turn.
    pub(crate) fn store(&self, number: u32) -> Arc<PostgresStore> {
        Arc::clone(&self.stores[usize::try_from(number % 2).unwrap()])
    }

    /// Makes all these arrivals at once, over both.
    async fn make(&self, payments: Vec<Payment>) -> Vec<ClaimOutcome> {
        let mut calls = JoinSet::new();
        for (number, payment) in (0..).zip(payments) {
            let store = self.store(number);
            calls.spawn(async move { store.claim_make(payment.arrive()).await.unwrap() });
        }
        calls.join_all().await
    }

    fn suite(&self) -> Suite {
        Suite {
            store: self.store(0),
        }
    }

    async fn check(&self) {
        self.stores[1].audit().await.unwrap();
        check_invariants(&*self.stores[1]).await;
    }
}

fn granted(outcomes: Vec<ClaimOutcome>) -> Vec<Claim> {
    let claims = outcomes.into_iter().filter_map(|outcome| match outcome {
        ClaimOutcome::Granted(claim) => Some(*claim),
        ClaimOutcome::Refused(_) => None,
    });
    claims.collect()
}

#[tokio::test]
async fn sixty_four_copies_on_two_nodes_get_one_grant() {
    let pair = Pair::open().await;
    for round in 0..8 {
        let payment = Payment::new(round);
        let copies = (0..64).map(|copy| payment.again(1_000 * round + copy));
        let outcomes = pair.make(copies.collect()).await;
        assert_eq!(outcomes.len(), 64);
        assert_eq!(granted(outcomes).len(), 1);
    }
    pair.check().await;
}

#[tokio::test]
async fn a_nonce_that_is_signed_for_two_days_is_granted_once() {
    let pair = Pair::open().await;
    for round in 0..8 {
        let payment = Payment::new(round);
        let copies = (0..32).map(|copy| Payment {
            valid_before: payment.valid_before.plus(86_400 * u64::from(copy / 2 % 3)),
            ..payment.again(1_000 * round + copy)
        });
        let outcomes = pair.make(copies.collect()).await;
        assert_eq!(granted(outcomes).len(), 1);
    }
    pair.check().await;
}

#[tokio::test]
async fn a_payer_is_trusted_on_both_nodes_together_up_to_the_balance() {
    let pair = Pair::open().await;
    let payments = (0..40).map(|number| Payment {
        payer_balance: Some(350),
        ..Payment::new(number)
    });
    let claims = granted(pair.make(payments.collect()).await);
    let trusted = claims
        .iter()
        .filter(|claim| claim.terms.order == SettleOrder::ResponseHead);
    assert_eq!((claims.len(), trusted.count()), (40, 3));
    pair.check().await;
}

#[tokio::test]
async fn credits_are_spent_once_on_both_nodes_together() {
    let pair = Pair::open().await;
    let suite = pair.suite();
    // All at once, or each would be covered by the one before.
    let mut claims = Vec::new();
    for number in 1..=5 {
        claims.push(suite.granted(&Payment::new(number)).await);
    }
    let all: Vec<&Claim> = claims.iter().collect();
    suite.broadcast(1, &all).await;
    suite.include(1, &all).await;
    for claim in &claims {
        let credit = Some(refund_credit_id(claim.terms.id));
        suite.advance(claim, &[Step::Break { credit }]).await;
    }
    let payments = (100..140).map(Payment::new).collect();
    let claims = granted(pair.make(payments).await);
    let (covered, others): (Vec<_>, Vec<_>) = claims
        .into_iter()
        .partition(|claim| claim.payment == P::Covered);
    assert_eq!((covered.len(), others.len()), (5, 35));
    pair.check().await;

    // What is given back on one node covers on the other, while others take from it.
    let mut calls = JoinSet::new();
    for (number, claim) in (0..).zip(covered) {
        let store = pair.store(number);
        calls.spawn(async move {
            let steps = vec![Step::Break { credit: None }];
            let advanced = store.claim_advance(claim.key(), claim.epoch, steps, START);
            advanced.await.unwrap().unwrap();
        });
    }
    let payments = (200..240).map(Payment::new).collect();
    let claims = granted(pair.make(payments).await);
    calls.join_all().await;
    let covered = claims.iter().filter(|claim| claim.payment == P::Covered);
    assert!(covered.count() <= 5);
    pair.check().await;
}

#[tokio::test]
async fn a_dead_nodes_claims_are_recovered_once() {
    let pair = Pair::open().await;
    let suite = pair.suite();
    let mut claims = Vec::new();
    for number in 0..50_u32 {
        let payment = Payment {
            owner: NodeId(7),
            payer: number.to_le_bytes()[0] + 1,
            ..Payment::new(number)
        };
        claims.push(suite.granted(&payment).await);
    }
    let later = UnixMicros(START.0 + 1_000);
    for (store, node) in pair.stores.iter().zip([8, 9]) {
        let beat = store.node_beat(NodeId(node), UnixMicros(i64::MAX), later);
        beat.await.unwrap();
    }
    let mut calls = JoinSet::new();
    for (number, node) in (0..).zip([8, 9, 8, 9, 8, 9]) {
        let store = pair.store(number);
        calls.spawn(async move { store.claims_recover(NodeId(node), 20, later).await.unwrap() });
    }
    let recovered: Vec<Claim> = calls.join_all().await.into_iter().flatten().collect();
    let mut keys: Vec<_> = recovered.iter().map(Claim::key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), recovered.len(), "each is recovered by one");
    for claim in &recovered {
        assert_eq!((claim.payment, claim.epoch), (P::Released, 1));
    }
    // What they left to each other is still to be had.
    let left = pair.stores[0].claims_recover(NodeId(8), 100, later).await;
    assert_eq!(left.unwrap().len() + recovered.len(), claims.len());
    let late = pair.stores[1]
        .claim_advance(claims[0].key(), 0, vec![Step::Answer], later)
        .await;
    assert!(late.unwrap().is_err(), "its owner is turned away");
    pair.check().await;
}

#[tokio::test]
async fn a_nonce_of_a_wallet_is_used_once_on_two_nodes() {
    let pair = Pair::open().await;
    for nonce in 1..=8 {
        let mut calls = JoinSet::new();
        for number in 0..16_u32 {
            let store = pair.store(number);
            let mut new = settlement(nonce, &[]);
            new.id = settlement_id(1_000 * nonce + number);
            calls.spawn(async move { store.settlement_open(new).await.unwrap() });
        }
        let outcomes = calls.join_all().await;
        let opened = outcomes
            .iter()
            .filter(|outcome| **outcome == OpenOutcome::Opened);
        assert_eq!(opened.count(), 1);
    }
    pair.check().await;
}

#[tokio::test]
async fn a_log_settles_one_claim_on_two_nodes() {
    let pair = Pair::open().await;
    let suite = pair.suite();
    let mut claims = Vec::new();
    for number in 0..16_u32 {
        let payer = number.to_le_bytes()[0] + 1;
        let claim = suite
            .granted(&Payment {
                payer,
                ..Payment::new(number)
            })
            .await;
        claims.push(suite.advance(&claim, &[Step::Delegate]).await);
    }
    let mut calls = JoinSet::new();
    for (number, claim) in (0..).zip(&claims) {
        let (store, key) = (pair.store(number), claim.key());
        calls.spawn(async move {
            let facts = vec![(key, settled(1, 0))];
            store.facts_apply(facts, START).await.unwrap().remove(0)
        });
    }
    let outcomes = calls.join_all().await;
    let applied = |outcome: &&FactOutcome| matches!(outcome, FactOutcome::Applied(_));
    assert_eq!(outcomes.iter().filter(applied).count(), 1);
    let taken = |outcome: &&FactOutcome| matches!(outcome, FactOutcome::LogTaken { .. });
    assert_eq!(outcomes.iter().filter(taken).count(), 15);
    pair.check().await;
}

/// Few payers and tenants, and many calls about them at once: whoever meets another decides again.
#[tokio::test]
async fn many_calls_about_the_same_few_all_succeed() {
    let pair = Arc::new(Pair::open().await);
    let mut workers = JoinSet::new();
    for worker in 0..24_u32 {
        let pair = Arc::clone(&pair);
        workers.spawn(async move {
            for round in 0..12 {
                let number = worker * 100 + round;
                run(&pair, number).await;
            }
        });
    }
    workers.join_all().await;
    let accounts = pair.stores[0].accounts_list().await.unwrap();
    assert!(accounts.len() >= 3 * 3);
    pair.check().await;
}

/// One payment's life, each call on the other node.
async fn run(pair: &Pair, number: u32) {
    let payment = Payment {
        payer: number.to_le_bytes()[0] % 3 + 1,
        tenant: number.to_le_bytes()[0] % 2 + 1,
        ..Payment::new(number)
    };
    let outcome = pair.store(number).claim_make(payment.arrive()).await;
    let claim = match outcome.unwrap() {
        ClaimOutcome::Granted(claim) => claim,
        ClaimOutcome::Refused(RefusedClaim::AwaitEarlier { .. }) => return,
        ClaimOutcome::Refused(refused) => panic!("{refused:?}"),
    };
    let store = pair.store(number + 1);
    let advance = async |steps: Vec<Step>| {
        let advanced = store.claim_advance(claim.key(), claim.epoch, steps, START);
        advanced.await.unwrap().unwrap()
    };
    if claim.payment == P::Covered {
        if number.is_multiple_of(2) {
            advance(vec![Step::Answer, Step::Deliver]).await;
        } else {
            advance(vec![Step::Break { credit: None }]).await;
        }
        return;
    }
    let opened = store.settlement_open(settlement(number, &[&claim])).await;
    assert_eq!(opened.unwrap(), OpenOutcome::Opened);
    let facts: Vec<(_, Fact)> = vec![(claim.key(), settled(number, 0))];
    let block = octroi_store::conformance::inclusion(number);
    let id = settlement_id(number);
    let first = pair.store(number);
    let included = first.settlement_included(id, block, facts, START).await;
    assert!(matches!(included.unwrap()[0], FactOutcome::Applied(_)));
    if number.is_multiple_of(3) {
        let credit = Some(refund_credit_id(claim.terms.id));
        advance(vec![Step::Break { credit }]).await;
    } else {
        advance(vec![Step::Deliver]).await;
    }
}
