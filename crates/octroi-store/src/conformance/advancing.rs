//! Steps of an owner: compare-and-set on the epoch, all or none (money rule 7).

use std::sync::Arc;

use octroi_claim::{AdvanceError, NodeId, PaymentState as P, SettleOrder, Step, WorkState as W};
use octroi_types::{B256, UnixMicros};

use super::Backend;
use super::payment::{Payment, START};
use super::suite::{Suite, at};
use crate::{EventKind, StoreError, refund_credit_id};

pub async fn steps_are_taken_all_or_none(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let claim = suite.granted(&Payment::new(1)).await;
    let steps = vec![Step::Answer, Step::Deliver];
    let outcome = suite
        .store
        .claim_advance(claim.key(), 0, steps, START)
        .await
        .unwrap();
    // It is answered, and cannot be delivered before it is paid.
    let refused = AdvanceError::NoSuchStep {
        payment: P::Claimed,
        work: W::Answered,
    };
    assert_eq!(outcome, Err(refused));
    assert_eq!(suite.get(&claim).await, claim);
    assert_eq!(
        suite.events(claim.terms.transaction).await,
        [EventKind::Claimed]
    );

    let first = Payment {
        order: SettleOrder::BeforeOrigin,
        ..Payment::new(2)
    };
    let claim = suite.settled(&first).await;
    let claim = suite
        .advance(&claim, &[Step::Execute, Step::Answer, Step::Deliver])
        .await;
    assert_eq!((claim.payment, claim.work), (P::Settled, W::Delivered));
    assert_eq!(suite.get(&claim).await, claim);
    suite.check().await;
}

pub async fn a_stale_epoch_is_fenced(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment::new(1);
    let first = suite.granted(&payment).await;
    suite.advance(&first, &[Step::Release]).await;
    let second = suite.granted(&payment.again(2)).await;
    for epoch in [0, 2] {
        for steps in [vec![], vec![Step::Answer], vec![Step::Release]] {
            let outcome = suite
                .store
                .claim_advance(first.key(), epoch, steps, START)
                .await;
            assert_eq!(outcome, Ok(Err(AdvanceError::Fenced)));
        }
    }
    assert_eq!(suite.get(&second).await, second);
    let nowhere = Payment::new(9).key();
    let outcome = suite
        .store
        .claim_advance(nowhere, 0, vec![Step::Answer], START)
        .await;
    assert_eq!(outcome, Err(StoreError::NotFound { what: "claim" }));
    suite.check().await;
}

pub async fn what_the_chain_decides_is_no_step_of_an_owner(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let claimed = suite.granted(&Payment::new(1)).await;
    let broadcast = suite.granted(&Payment::new(2)).await;
    suite.broadcast(2, &[&broadcast]).await;
    let settled = suite.settled(&Payment::new(3)).await;
    let tx_hash = B256([1; 32]);
    for claim in [claimed, suite.get(&broadcast).await, settled] {
        let steps = [
            Step::Broadcast { tx_hash },
            Step::Settle { tx_hash },
            Step::Fail,
            Step::Vanish,
        ];
        for step in steps {
            let outcome = suite
                .store
                .claim_advance(claim.key(), 0, vec![step], START)
                .await;
            assert!(
                matches!(outcome, Ok(Err(AdvanceError::NoSuchStep { .. }))),
                "{step:?}"
            );
        }
        assert_eq!(suite.get(&claim).await, claim);
    }
    suite.check().await;
}

pub async fn repeated_steps_change_nothing(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let first = Payment {
        order: SettleOrder::BeforeOrigin,
        ..Payment::new(1)
    };
    let claim = suite.settled(&first).await;
    let steps = [Step::Execute, Step::Answer];
    let answered = suite.advance(&claim, &steps).await;
    let events = suite.events(claim.terms.transaction).await;
    let answer = suite
        .store
        .claim_advance(claim.key(), 0, vec![Step::Answer], at(9))
        .await;
    assert_eq!(answer, Ok(Ok(answered)));
    let delivered = suite.advance(&claim, &[Step::Deliver]).await;
    let later = suite
        .store
        .claim_advance(claim.key(), 0, vec![Step::Deliver], at(9))
        .await;
    assert_eq!(later, Ok(Ok(delivered)));
    let mut expected = events;
    expected.push(EventKind::Delivered);
    assert_eq!(suite.events(claim.terms.transaction).await, expected);
    let shown = suite
        .store
        .transaction_get(claim.terms.transaction)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shown.updated_at, START);

    // A credit is opened once, under the claim's own name, whatever name the step gives.
    let claim = suite.settled(&Payment::new(2)).await;
    let credit = refund_credit_id(claim.terms.id);
    for name in [
        credit,
        refund_credit_id(octroi_types::ClaimId::from_bytes([7; 16])),
    ] {
        let broken = suite
            .advance(&claim, &[Step::Break { credit: Some(name) }])
            .await;
        assert_eq!((broken.work, broken.credit), (W::Broken, Some(credit)));
        assert_eq!(suite.available(credit).await, 100);
    }
    assert_eq!(suite.transfers(claim.terms.transaction).await.len(), 2);

    // A beat is only ever a beat.
    for lease_until in [at(10), UnixMicros(i64::MAX)] {
        suite
            .store
            .node_beat(NodeId(1), lease_until, START)
            .await
            .unwrap();
    }
    suite.check().await;
}

/// The success of a facilitated payment is handed out once (money rule 21): whoever takes the steps
/// from the settled state to the end has it.
pub async fn one_of_many_takes_the_same_steps(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment {
        order: SettleOrder::Facilitated,
        ..Payment::new(1)
    };
    let claim = suite.settled(&payment).await;
    assert_eq!((claim.payment, claim.work), (P::Settled, W::NotStarted));
    let takers = (0..64).map(|_| {
        let (store, key) = (Arc::clone(&suite.store), claim.key());
        let steps = vec![Step::Execute, Step::Answer, Step::Deliver];
        tokio::spawn(async move { store.claim_advance(key, 0, steps, START).await })
    });
    let mut taken = 0;
    for taker in takers.collect::<Vec<_>>() {
        match taker.await.unwrap().unwrap() {
            Ok(_) => taken += 1,
            Err(error) => {
                let (payment, work) = (P::Settled, W::Delivered);
                assert_eq!(error, AdvanceError::NoSuchStep { payment, work });
            }
        }
    }
    assert_eq!(taken, 1);
    suite.check().await;
}
