//! What becomes of the claims of dead nodes (money rule 7).

use octroi_claim::{
    Claim, NodeId, PaymentState as P, Recovery, RefusedClaim, SettleOrder, Step, WorkState as W,
};

use super::Backend;
use super::payment::{Payment, START};
use super::suite::{Suite, at};
use crate::{EventKind, Store, refund_credit_id};

const DEAD: NodeId = NodeId(66);
const HEIR: NodeId = NodeId(2);

async fn recover(store: &dyn Store, limit: usize) -> Vec<Claim> {
    store.claims_recover(HEIR, limit, START).await.unwrap()
}

pub async fn every_state_is_recovered_by_table(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let mut number = 0;
    let before = Payment {
        order: SettleOrder::BeforeOrigin,
        owner: DEAD,
        ..Payment::new(200)
    };
    let not_started = suite.granted(&before).await;
    check_recovered(&suite, &not_started).await;
    for money in P::ALL {
        for work in W::ALL {
            number += 1;
            let payer = u8::try_from(number).unwrap();
            let payment = Payment {
                payer,
                owner: DEAD,
                ..Payment::new(number)
            };
            if let Some(claim) = suite.bring(&payment, *money, *work).await {
                check_recovered(&suite, &claim).await;
            }
        }
    }
    assert!(number >= 35);
    assert_eq!(recover(&*suite.store, 100).await, []);
    suite.check().await;
}

async fn check_recovered(suite: &Suite, claim: &Claim) {
    let recovered = recover(&*suite.store, 100).await;
    let transaction = claim.terms.transaction;
    if octroi_claim::recover(claim) == Recovery::Nothing {
        assert!(
            recovered
                .iter()
                .all(|other| other.terms.transaction != transaction)
        );
        assert_eq!(suite.get(claim).await, *claim);
        return;
    }
    let after = recovered
        .into_iter()
        .find(|other| other.terms.transaction == transaction)
        .unwrap();
    assert_eq!(suite.get(&after).await, after);
    assert_eq!((after.epoch, after.terms.owner), (claim.epoch + 1, HEIR));
    let delivered = claim.work == W::Delivered;
    let broken = if delivered { W::Delivered } else { W::Broken };
    let (payment, credit) = match octroi_claim::recover(claim) {
        Recovery::Release => (P::Released, None),
        Recovery::Reconcile => (P::Unknown, claim.credit),
        Recovery::Credit => (P::Settled, Some(refund_credit_id(claim.terms.id))),
        Recovery::Nothing => return,
    };
    assert_eq!(
        (after.payment, after.work, after.credit),
        (payment, broken, credit),
        "{claim:?}"
    );
    let events = suite.events(transaction).await;
    assert_eq!(
        events
            .iter()
            .filter(|kind| **kind == EventKind::Recovered)
            .count(),
        1
    );
    for credit in after.credit.iter().chain(&after.covered_by) {
        assert_eq!(suite.available(*credit).await, 100);
    }
    // Whoever held it before is fenced.
    let late = suite
        .store
        .claim_advance(claim.key(), claim.epoch, vec![Step::Answer], START)
        .await;
    assert!(late.unwrap().is_err());
    // It is recovered once: the heir lives.
    assert_eq!(recover(&*suite.store, 100).await, []);
}

pub async fn only_claims_of_dead_nodes_are_recovered(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let store = &*suite.store;
    let claim = |number, owner| Payment {
        owner,
        ..Payment::new(number)
    };
    store.node_beat(NodeId(5), at(100), START).await.unwrap();
    let mine = suite.granted(&claim(1, HEIR)).await;
    let alive = suite.granted(&claim(2, NodeId(1))).await;
    let leased = suite.granted(&claim(3, NodeId(5))).await;
    let dead = suite.granted(&claim(4, DEAD)).await;

    let recovered = store.claims_recover(HEIR, 10, at(99)).await.unwrap();
    assert_eq!(
        recovered.iter().map(Claim::key).collect::<Vec<_>>(),
        [dead.key()]
    );
    // A beat renews the lease of all its claims; without one they are up for recovery.
    store.node_beat(NodeId(5), at(200), at(99)).await.unwrap();
    assert_eq!(store.claims_recover(HEIR, 10, at(199)).await.unwrap(), []);
    let recovered = store.claims_recover(HEIR, 10, at(200)).await.unwrap();
    assert_eq!(
        recovered.iter().map(Claim::key).collect::<Vec<_>>(),
        [leased.key()]
    );
    assert_eq!(
        (suite.get(&mine).await, suite.get(&alive).await),
        (mine, alive)
    );
    suite.check().await;
}

pub async fn recovery_is_limited_and_takes_the_oldest_first(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for number in [5, 3, 1, 4, 2] {
        let now = at(i64::from(number) * 1_000);
        suite
            .granted(&Payment {
                owner: DEAD,
                now,
                ..Payment::new(number)
            })
            .await;
    }
    let mut order = Vec::new();
    loop {
        let recovered = recover(&*suite.store, 2).await;
        assert!(recovered.len() <= 2);
        if recovered.is_empty() {
            break;
        }
        order.extend(
            recovered
                .into_iter()
                .map(|claim| claim.terms.created_at.0 - START.0),
        );
    }
    assert_eq!(order, [1_000, 2_000, 3_000, 4_000, 5_000]);
    suite.check().await;
}

pub async fn a_dead_nodes_unsent_payment_may_be_claimed_at_once(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment {
        owner: DEAD,
        ..Payment::new(1)
    };
    let left = suite.granted(&payment).await;
    let again = Payment {
        owner: HEIR,
        payer_balance: Some(100),
        ..payment.again(2)
    };
    let claim = suite.granted(&again).await;
    // What was left does not count against the balance any more.
    assert_eq!(
        (claim.epoch, claim.terms.order),
        (1, SettleOrder::ResponseHead)
    );
    assert_eq!(
        suite.events(left.terms.transaction).await,
        [EventKind::Claimed, EventKind::Released]
    );

    // The same where a credit covered it, which then covers again.
    let credited = Payment {
        payer: 2,
        ..Payment::new(10)
    };
    let credit = suite.credited(&credited).await;
    let payment = Payment {
        payer: 2,
        owner: DEAD,
        ..Payment::new(11)
    };
    assert_eq!(suite.granted(&payment).await.covered_by, Some(credit));
    let again = Payment {
        owner: HEIR,
        ..payment.again(12)
    };
    let claim = suite.granted(&again).await;
    assert_eq!((claim.epoch, claim.covered_by), (1, Some(credit)));
    assert_eq!(suite.available(credit).await, 0);

    // What was sent is of unknown fate, also for the next payment of the same request.
    let payment = Payment {
        payer: 3,
        request: 9,
        owner: DEAD,
        ..Payment::new(20)
    };
    let sent = suite
        .bring(&payment, P::Broadcast, W::Answered)
        .await
        .unwrap();
    let transaction = sent.terms.transaction;
    let pending = RefusedClaim::Pending {
        transaction,
        tx_hash: sent.tx_hash,
    };
    let again = Payment {
        owner: HEIR,
        ..payment.again(21)
    };
    assert_eq!(suite.refused(&again).await, pending);
    let next = Payment {
        number: 22,
        ..again.again(22)
    };
    let await_earlier = RefusedClaim::AwaitEarlier {
        earlier: sent.key(),
    };
    assert_eq!(suite.refused(&next).await, await_earlier);
    suite.check().await;
}

pub async fn a_facilitated_payment_is_recovered_to_be_collected(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let order = SettleOrder::Facilitated;
    let claim = suite
        .granted(&Payment {
            order,
            owner: DEAD,
            ..Payment::new(1)
        })
        .await;
    suite.broadcast(1, &[&claim]).await;
    let [recovered] = &recover(&*suite.store, 10).await[..] else {
        panic!("one is left")
    };
    assert_eq!(
        (recovered.payment, recovered.work),
        (P::Unknown, W::NotStarted)
    );
    suite.include(1, &[&claim]).await;
    // It is settled and collected by nobody: that is no work undone.
    let paid = suite.get(&claim).await;
    assert_eq!(
        (paid.payment, paid.work, paid.credit),
        (P::Settled, W::NotStarted, None)
    );
    assert_eq!(
        suite
            .store
            .claims_recover(NodeId(3), 10, START)
            .await
            .unwrap(),
        []
    );
    suite
        .advance(&paid, &[Step::Execute, Step::Answer, Step::Deliver])
        .await;
    suite.check().await;
}

pub async fn all_is_there_after_a_restart(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = |number: u32| Payment {
        payer: number.to_le_bytes()[0],
        ..Payment::new(number)
    };
    let mut claims = Vec::new();
    for (number, money, work) in [
        (1, P::Claimed, W::Executing),
        (2, P::Broadcast, W::Answered),
        (3, P::Settled, W::Answered),
        (4, P::Settled, W::Delivered),
        (5, P::Unknown, W::Broken),
        (6, P::Covered, W::Executing),
        (7, P::Failed, W::Broken),
        (8, P::Released, W::Broken),
    ] {
        claims.push(suite.bring(&payment(number), money, work).await.unwrap());
    }
    let before = super::random::dump(&*suite.store, &[]).await;
    drop(suite);
    let suite = Suite {
        store: backend.reopen().await,
    };
    assert_eq!(super::random::dump(&*suite.store, &[]).await, before);
    for claim in &claims {
        assert_eq!(suite.get(claim).await, *claim);
    }
    // The payer's standing is what it was; the process that owned the claims is gone.
    let arriving = |number: u32, payer| Payment {
        payer,
        owner: HEIR,
        ..payment(number)
    };
    let trusted = Payment {
        payer_balance: Some(150),
        ..arriving(50, 2)
    };
    assert_eq!(
        suite.granted(&trusted).await.terms.order,
        SettleOrder::BeforeOrigin
    );
    let distrusted = arriving(51, 7);
    assert_eq!(
        suite.granted(&distrusted).await.terms.order,
        SettleOrder::BeforeOrigin
    );
    let recovered = recover(&*suite.store, 100).await;
    let recovered: Vec<_> = recovered.iter().map(Claim::key).collect();
    assert_eq!(
        recovered,
        [1, 2, 3, 5, 6].map(|number| payment(number).key())
    );
    suite.check().await;
}
