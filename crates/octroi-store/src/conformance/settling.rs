//! Settlements: durable before they are sent, whole or not at all (money rules 15–19).

use std::sync::Arc;

use octroi_claim::{Claim, PaymentState as P, Step, WorkState as W};
use octroi_types::{ChainId, Mode};

use super::Backend;
use super::payment::{Payment, START};
use super::suite::{CHAIN, Suite, attempt, inclusion, settled, settlement, settlement_id, wallet};
use crate::{
    EventKind, Fact, FactOutcome, NewSettlement, OpenOutcome, SettlementState, StoreError,
};

pub async fn a_settlement_opens_whole_or_not_at_all(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let good = suite.granted(&Payment::new(1)).await;
    let released = suite.granted(&Payment::new(2)).await;
    suite.advance(&released, &[Step::Release]).await;
    let mut stale = suite.granted(&Payment::new(3)).await;
    stale.epoch += 1;
    let mut absent = suite.granted(&Payment::new(4)).await;
    absent.terms.valid_before = absent.terms.valid_before.plus(1);
    let elsewhere = suite
        .granted(&Payment {
            chain: 8_453,
            ..Payment::new(5)
        })
        .await;

    let bad = [&released, &stale, &absent, &elsewhere, &good];
    let claims = [&good, &released, &stale, &absent, &elsewhere, &good];
    let fenced = OpenOutcome::Fenced(bad.iter().map(|claim| claim.key()).collect());
    assert_eq!(suite.open_settlement(1, &claims).await, fenced);
    assert_eq!(suite.state(&good).await, (P::Claimed, W::Executing));
    assert!(suite.unfinished(1).await.is_none());
    assert_eq!(
        suite
            .store
            .settlement_nonce_max(CHAIN, wallet(1))
            .await
            .unwrap(),
        None
    );

    let other = suite.granted(&Payment::new(6)).await;
    suite.broadcast(1, &[&good, &other]).await;
    for claim in [&good, &other] {
        assert_eq!(suite.state(claim).await, (P::Broadcast, W::Answered));
        assert_eq!(suite.get(claim).await.tx_hash, Some(attempt(1).tx_hash));
        let events = suite.events(claim.terms.transaction).await;
        assert_eq!(events, [EventKind::Claimed, EventKind::Broadcast]);
    }
    let opened = suite.unfinished(1).await.unwrap();
    assert_eq!(opened.claims, [good.key(), other.key()]);
    assert_eq!(
        (opened.state, opened.inclusion),
        (SettlementState::Open, None)
    );
    assert_eq!(opened.attempts, [attempt(1)]);
    suite.check().await;
}

pub async fn a_wallets_nonce_is_used_once(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let first = suite.granted(&Payment::new(1)).await;
    let second = suite.granted(&Payment::new(2)).await;
    suite.broadcast(1, &[&first]).await;

    let taken = NewSettlement {
        nonce: 1,
        ..settlement(2, &[&second])
    };
    let outcome = suite.store.settlement_open(taken.clone()).await.unwrap();
    assert_eq!(outcome, OpenOutcome::NonceTaken);
    assert_eq!(suite.state(&second).await, (P::Claimed, W::Executing));
    // The same settlement again is the answer to a retry; another one under its id is not.
    assert_eq!(
        suite.open_settlement(1, &[&first]).await,
        OpenOutcome::Opened
    );
    assert_eq!(suite.events(first.terms.transaction).await.len(), 2);
    let other = NewSettlement {
        attempt: attempt(9),
        ..settlement(1, &[&second])
    };
    assert_eq!(
        suite.store.settlement_open(other).await.unwrap(),
        OpenOutcome::NonceTaken
    );

    // Another wallet, or another chain, counts for itself. A gap is filled without claims.
    let wallet_2 = NewSettlement {
        wallet: wallet(2),
        ..taken.clone()
    };
    assert_eq!(
        suite.store.settlement_open(wallet_2).await.unwrap(),
        OpenOutcome::Opened
    );
    let chain_2 = NewSettlement {
        chain: ChainId(1),
        nonce: 1,
        ..settlement(3, &[])
    };
    assert_eq!(
        suite.store.settlement_open(chain_2).await.unwrap(),
        OpenOutcome::Opened
    );
    suite.broadcast(7, &[]).await;
    let highest = |chain, number| suite.store.settlement_nonce_max(chain, wallet(number));
    assert_eq!(highest(CHAIN, 1).await.unwrap(), Some(7));
    assert_eq!(highest(CHAIN, 2).await.unwrap(), Some(1));
    assert_eq!(highest(ChainId(1), 1).await.unwrap(), Some(1));
    assert_eq!(highest(ChainId(1), 2).await.unwrap(), None);
    suite.check().await;
}

pub async fn a_settlement_is_of_one_mode(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let test = suite.granted(&Payment::new(1)).await;
    let live = suite
        .granted(&Payment {
            mode: Mode::Live,
            ..Payment::new(2)
        })
        .await;
    let mixed = settlement(1, &[&test, &live]);
    let refused = suite.store.settlement_open(mixed).await;
    assert!(matches!(refused, Err(StoreError::Inconsistent { .. })));
    for claim in [&test, &live] {
        assert_eq!(suite.state(claim).await, (P::Claimed, W::Executing));
    }
    assert!(suite.unfinished(1).await.is_none());
    suite.broadcast(1, &[&live]).await;
    suite.check().await;
}

pub async fn one_of_many_settlements_gets_a_nonce(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let mut attempts = Vec::new();
    for number in 1..=16 {
        let claim = suite.granted(&Payment::new(number)).await;
        let new = NewSettlement {
            nonce: 5,
            ..settlement(number, &[&claim])
        };
        let store = Arc::clone(&suite.store);
        attempts.push((
            claim,
            tokio::spawn(async move { store.settlement_open(new).await }),
        ));
    }
    let mut opened = 0;
    for (claim, outcome) in attempts {
        match outcome.await.unwrap().unwrap() {
            OpenOutcome::Opened => {
                opened += 1;
                assert_eq!(suite.state(&claim).await, (P::Broadcast, W::Answered));
            }
            OpenOutcome::NonceTaken => {
                assert_eq!(suite.state(&claim).await, (P::Claimed, W::Executing));
            }
            OpenOutcome::Fenced(keys) => panic!("fenced: {keys:?}"),
        }
    }
    assert_eq!(opened, 1);
    suite.check().await;
}

pub async fn signed_bytes_are_kept_until_final(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let claim = suite.granted(&Payment::new(1)).await;
    suite.broadcast(1, &[&claim]).await;
    for number in [11, 12, 11] {
        suite
            .store
            .settlement_attempt(settlement_id(1), attempt(number))
            .await
            .unwrap();
    }
    let open = suite.unfinished(1).await.unwrap();
    assert_eq!(open.attempts, [attempt(1), attempt(11), attempt(12)]);

    // The fee bump is what made it into a block.
    let settles = Fact::Settled {
        inclusion: inclusion(11),
        log_index: 3,
    };
    let facts = vec![(claim.key(), settles)];
    let outcome = suite
        .store
        .settlement_included(settlement_id(1), inclusion(11), facts, START);
    assert!(matches!(
        outcome.await.unwrap()[..],
        [FactOutcome::Applied(_)]
    ));
    let included = suite.unfinished(1).await.unwrap();
    assert_eq!(
        (included.state, included.inclusion),
        (SettlementState::Included, Some(inclusion(11)))
    );
    assert!(
        included
            .attempts
            .iter()
            .all(|attempt| !attempt.raw_tx.expose().is_empty())
    );

    let missing = suite
        .store
        .settlements_final(vec![settlement_id(1), settlement_id(8)])
        .await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    assert!(suite.unfinished(1).await.is_some());
    for _ in 0..2 {
        suite
            .store
            .settlements_final(vec![settlement_id(1)])
            .await
            .unwrap();
        assert!(suite.unfinished(1).await.is_none());
    }
    // What is final neither vanishes nor is seen again.
    let vanished = suite
        .store
        .settlement_vanished(settlement_id(1), START)
        .await;
    assert!(matches!(vanished, Err(StoreError::NotFound { .. })));
    let again = suite
        .store
        .settlement_included(settlement_id(1), inclusion(1), vec![], START);
    again.await.unwrap();
    assert!(suite.unfinished(1).await.is_none());
    assert_eq!(suite.get(&claim).await.tx_hash, Some(inclusion(11).tx_hash));

    let nowhere = settlement_id(9);
    let unknown = StoreError::NotFound {
        what: "unfinished settlement",
    };
    let attempted = suite.store.settlement_attempt(nowhere, attempt(1)).await;
    assert_eq!(attempted, Err(unknown.clone()));
    let facts = vec![(claim.key(), Fact::Vanished)];
    let included = suite
        .store
        .settlement_included(nowhere, inclusion(1), facts, START)
        .await;
    assert_eq!(included, Err(unknown.clone()));
    assert_eq!(
        suite.store.settlement_vanished(nowhere, START).await,
        Err(unknown)
    );
    assert_eq!(suite.state(&claim).await, (P::Settled, W::Answered));
    suite.check().await;
}

pub async fn a_replaced_block_opens_its_settlement_again(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let [first, second, third] = [1, 2, 3].map(Payment::new);
    let first = suite.granted(&first).await;
    let second = suite.granted(&second).await;
    let third = suite.granted(&third).await;
    suite.broadcast(1, &[&first, &second, &third]).await;
    suite.include(1, &[&first, &second]).await;
    // The third was settled by somebody else's transaction.
    suite.fact(&third, settled(50, 0)).await;
    let first = suite.advance(&first, &[Step::Deliver]).await;

    for _ in 0..2 {
        suite
            .store
            .settlement_vanished(settlement_id(1), START)
            .await
            .unwrap();
        assert_eq!(suite.state(&first).await, (P::Unknown, W::Delivered));
        assert_eq!(suite.state(&second).await, (P::Unknown, W::Answered));
        assert_eq!(suite.state(&third).await, (P::Settled, W::Answered));
        let open = suite.unfinished(1).await.unwrap();
        assert_eq!((open.state, open.inclusion), (SettlementState::Open, None));
    }
    let events = suite.events(first.terms.transaction).await;
    assert_eq!(
        events
            .iter()
            .filter(|kind| **kind == EventKind::Vanished)
            .count(),
        1
    );
    assert_eq!(suite.store.claims_unknown(10).await.unwrap().len(), 2);
    // The same transaction in another block.
    suite.include(1, &[&first, &second]).await;
    assert_eq!(suite.state(&first).await, (P::Settled, W::Delivered));
    assert_eq!(suite.store.claims_unknown(10).await.unwrap(), []);
    suite.check().await;
}

pub async fn a_claim_that_somebody_else_settled_is_watched_by_itself(backend: &dyn Backend) {
    let mut suite = Suite::open(backend).await;
    let [first, second, third] = [1, 2, 3].map(Payment::new);
    let first = suite.granted(&first).await;
    let second = suite.granted(&second).await;
    let third = suite.granted(&third).await;
    suite.broadcast(1, &[&first, &second]).await;
    suite.advance(&third, &[Step::Delegate]).await;
    // What the settlement settled is watched with it; what another transaction did, is not.
    let facts = vec![(first.key(), settled(1, 0)), (second.key(), settled(50, 1))];
    let outcomes = suite
        .store
        .settlement_included(settlement_id(1), inclusion(1), facts, START);
    assert_eq!(outcomes.await.unwrap().len(), 2);
    suite.fact(&third, settled(51, 2)).await;
    // A claim that takes no such fact is not watched for it.
    let released = suite.granted(&Payment::new(4)).await;
    let released = suite.advance(&released, &[Step::Release]).await;
    suite.try_fact(&released, settled(52, 3)).await;
    suite.store = backend.reopen().await;
    let watched = [
        (suite.get(&second).await, inclusion(50)),
        (suite.get(&third).await, inclusion(51)),
    ];
    assert_eq!(suite.watched().await, watched);
    let elsewhere = suite.store.claims_watched(ChainId(1)).await.unwrap();
    assert_eq!(elsewhere, []);

    // Seen in another block, it is watched there, and the first block says no more about it.
    suite.fact(&second, settled(53, 1)).await;
    let finished = |claim: &Claim, block: u32| (claim.key(), inclusion(block).block_hash);
    let not_watched = [
        finished(&second, 50),
        finished(&first, 1),
        finished(&released, 52),
    ];
    suite.finish(&not_watched).await;
    let watched = [
        (suite.get(&second).await, inclusion(53)),
        (suite.get(&third).await, inclusion(51)),
    ];
    assert_eq!(suite.watched().await, watched);
    // It ends when the claim vanishes, or when its block is final.
    suite.fact(&third, Fact::Vanished).await;
    assert_eq!(suite.watched().await, watched[..1]);
    suite.finish(&[finished(&second, 53)]).await;
    assert_eq!(suite.watched().await, []);
    assert_eq!(suite.state(&second).await, (P::Settled, W::Answered));
    suite.check().await;
}

pub async fn unfinished_settlements_come_in_the_order_of_nonces(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for number in [3, 1, 2, 5] {
        suite.broadcast(number, &[]).await;
    }
    let elsewhere = NewSettlement {
        chain: ChainId(1),
        ..settlement(4, &[])
    };
    suite.store.settlement_open(elsewhere).await.unwrap();
    suite.include(3, &[]).await;
    suite
        .store
        .settlements_final(vec![settlement_id(2)])
        .await
        .unwrap();
    let nonces: Vec<_> = suite
        .store
        .settlements_unfinished(CHAIN)
        .await
        .unwrap()
        .into_iter()
        .map(|row| (row.nonce, row.state))
        .collect();
    let (open, included) = (SettlementState::Open, SettlementState::Included);
    assert_eq!(nonces, [(1, open), (3, included), (5, open)]);
}
