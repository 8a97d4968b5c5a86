//! What the chain tells (money rules 16–18 and 22).

use octroi_claim::{AdvanceError, Claim, PaymentState as P, Step, WorkState as W};
use octroi_ledger::{AccountKind, Reason};
use octroi_types::TransactionId;

use super::Backend;
use super::payment::{Payment, START};
use super::suite::{Suite, inclusion, settled, settlement_id};
use crate::{Arrival, EventKind, Fact, FactOutcome, refund_credit_id};

pub async fn settled_payments_are_posted_once(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let mut claims = Vec::new();
    for number in 1..=3 {
        claims.push(suite.granted(&Payment::new(number)).await);
    }
    let claims: Vec<_> = claims.iter().collect();
    suite.broadcast(1, &claims).await;
    for is_new in [true, false] {
        for outcome in suite.include(1, &claims).await {
            let claim = match outcome {
                FactOutcome::Applied(claim) if is_new => claim,
                FactOutcome::Unchanged(claim) if !is_new => claim,
                other => panic!("{other:?}"),
            };
            assert_eq!((claim.payment, claim.work), (P::Settled, W::Answered));
        }
    }
    for claim in claims {
        let [transfer] = suite.transfers(claim.terms.transaction).await[..] else {
            panic!("one transfer for each")
        };
        assert_eq!(
            (transfer.cause.reason, transfer.amount),
            (Reason::Settlement, claim.terms.amount)
        );
        let events = suite.events(claim.terms.transaction).await;
        assert_eq!(
            events,
            [EventKind::Claimed, EventKind::Broadcast, EventKind::Settled]
        );
    }
    assert_eq!(suite.posted(AccountKind::TenantRevenue).await, (0, 300));
    assert_eq!(suite.posted(AccountKind::RailClearing).await, (300, 0));
    suite.check().await;
}

pub async fn each_log_settles_one_claim(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let first = suite.granted(&Payment::new(1)).await;
    let second = suite.granted(&Payment::new(2)).await;
    let third = suite.granted(&Payment::new(3)).await;
    suite.broadcast(1, &[&first, &second, &third]).await;
    suite.fact(&first, settled(1, 0)).await;
    let taken = FactOutcome::LogTaken { by: first.terms.id };
    for _ in 0..2 {
        assert_eq!(suite.try_fact(&second, settled(1, 0)).await, taken);
        assert_eq!(suite.state(&second).await, (P::Unknown, W::Answered));
    }
    // Within one call as well.
    let facts = vec![(second.key(), settled(1, 1)), (third.key(), settled(1, 1))];
    let outcomes =
        suite
            .store
            .settlement_included(settlement_id(1), super::suite::inclusion(1), facts, START);
    let outcomes = outcomes.await.unwrap();
    assert!(matches!(outcomes[0], FactOutcome::Applied(_)));
    assert_eq!(
        outcomes[1],
        FactOutcome::LogTaken {
            by: second.terms.id
        }
    );
    assert_eq!(suite.state(&third).await, (P::Unknown, W::Answered));
    // The same index in another block is another log; a claim that is settled stays so.
    suite.fact(&third, settled(2, 1)).await;
    assert_eq!(suite.try_fact(&third, settled(1, 0)).await, taken);
    assert_eq!(suite.state(&third).await, (P::Settled, W::Answered));
    assert_eq!(suite.posted(AccountKind::RailClearing).await, (300, 0));
    suite.check().await;
}

pub async fn facts_are_taken_by_the_state_of_the_claim(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let mut number = 0;
    for money in P::ALL {
        for work in W::ALL {
            let facts = [Fact::Unknown, Fact::Failed, Fact::Vanished];
            for fact in facts.into_iter().map(Some).chain([None]) {
                number += 1;
                let payer = u8::try_from(number % 251).unwrap();
                let payment = Payment {
                    payer,
                    ..Payment::new(number)
                };
                let Some(claim) = suite.bring(&payment, *money, *work).await else {
                    continue;
                };
                let fact = fact.unwrap_or(settled(500_000 + number, 0));
                let expected = match (&fact, money) {
                    (Fact::Settled { .. }, P::Broadcast | P::Unknown | P::Settled) => P::Settled,
                    (Fact::Unknown, P::Broadcast | P::Unknown)
                    | (Fact::Vanished, P::Settled | P::Unknown) => P::Unknown,
                    (Fact::Failed, P::Broadcast | P::Unknown | P::Failed) => P::Failed,
                    _ => {
                        let outcome = suite.try_fact(&claim, fact).await;
                        assert_eq!(outcome, FactOutcome::Refused(Box::new(claim.clone())));
                        assert_eq!(suite.get(&claim).await, claim);
                        continue;
                    }
                };
                let after = suite.fact(&claim, fact).await;
                assert_eq!(after.payment, expected, "{money:?} {work:?} {fact:?}");
                assert_eq!(after.epoch, claim.epoch);
                assert_eq!(suite.get(&claim).await, after);
                let again = suite.try_fact(&claim, fact).await;
                assert_eq!(again, FactOutcome::Unchanged(Box::new(after)));
            }
        }
    }
    let nowhere = vec![(Payment::new(77_777).key(), Fact::Unknown)];
    let outcome = suite.store.facts_apply(nowhere, START).await.unwrap();
    assert_eq!(outcome, [FactOutcome::NoSuchClaim]);
    suite.check().await;
}

pub async fn money_that_arrives_for_broken_work_becomes_a_credit(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for (number, state) in [(1, P::Broadcast), (2, P::Unknown)] {
        let payment = Payment {
            payer: u8::try_from(number).unwrap(),
            ..Payment::new(number)
        };
        let claim = suite.bring(&payment, state, W::Broken).await.unwrap();
        let credit = refund_credit_id(claim.terms.id);
        for _ in 0..2 {
            let [FactOutcome::Applied(claim) | FactOutcome::Unchanged(claim)] =
                &suite.include(number, &[&claim]).await[..]
            else {
                panic!("the payment is on the chain")
            };
            assert_eq!((claim.payment, claim.work), (P::Settled, W::Broken));
            assert_eq!(claim.credit, Some(credit));
            assert_eq!(suite.available(credit).await, 100);
        }
        let stored = suite.store.credit_get(credit).await.unwrap().unwrap();
        assert_eq!(
            (stored.payer, stored.tenant),
            (claim.terms.payer, claim.terms.tenant)
        );
        assert_eq!(
            (stored.chain, stored.asset),
            (claim.terms.chain, claim.terms.asset)
        );
        assert_eq!(
            (stored.amount, stored.transaction),
            (claim.terms.amount, claim.terms.transaction)
        );
        let events = suite.events(claim.terms.transaction).await;
        assert_eq!(
            events[events.len() - 2..],
            [EventKind::Settled, EventKind::Credited]
        );
    }
    assert_eq!(suite.posted(AccountKind::RefundCredit).await, (0, 200));
    assert_eq!(suite.posted(AccountKind::TenantRevenue).await, (200, 200));
    suite.check().await;
}

pub async fn a_payment_that_vanished_can_settle_again(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let claim = suite.settled(&Payment::new(1)).await;
    let delivered = suite.advance(&claim, &[Step::Deliver]).await;
    suite.fact(&delivered, Fact::Vanished).await;
    // Its fate is open: it stays in the books until it is known.
    assert_eq!(suite.posted(AccountKind::RailClearing).await, (100, 0));
    // The same authorization is broadcast again.
    suite.broadcast(2, &[&delivered]).await;
    assert_eq!(suite.state(&delivered).await, (P::Unknown, W::Delivered));
    suite.include(2, &[&delivered]).await;
    assert_eq!(suite.state(&delivered).await, (P::Settled, W::Delivered));
    assert_eq!(suite.transfers(claim.terms.transaction).await.len(), 1);

    // Work that was given up meanwhile becomes a credit when the money is there again.
    let claim = suite.settled(&Payment::new(3)).await;
    suite.fact(&claim, Fact::Vanished).await;
    suite.advance(&claim, &[Step::Break { credit: None }]).await;
    let settled_again = suite.fact(&claim, settled(30, 0)).await;
    assert_eq!(settled_again.credit, Some(refund_credit_id(claim.terms.id)));
    assert_eq!(suite.transfers(claim.terms.transaction).await.len(), 2);
    suite.check().await;
}

pub async fn a_credit_covers_while_its_own_payment_has_arrived(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment::new(1);
    let source = suite.bring(&payment, P::Settled, W::Broken).await.unwrap();
    let mut arrivals = 10;
    let mut cover = async |suite: &Suite| {
        arrivals += 1;
        let next = Payment {
            amount: 40,
            number: arrivals,
            request: arrivals,
            ..payment.again(arrivals)
        };
        let claim = suite.granted(&next).await;
        let step = match claim.payment {
            P::Covered => Step::Break { credit: None },
            _ => Step::Release,
        };
        suite.advance(&claim, &[step]).await;
        claim.covered_by
    };
    assert_eq!(cover(&suite).await, source.credit);
    suite.fact(&source, Fact::Vanished).await;
    assert_eq!(cover(&suite).await, None, "its fate is open");
    suite.fact(&source, settled(30, 0)).await;
    assert_eq!(cover(&suite).await, source.credit);
    // The rest of a credit that was used before it vanished for good.
    suite
        .granted(&Payment {
            amount: 10,
            number: 9,
            ..payment.again(9)
        })
        .await;
    suite.fact(&source, Fact::Vanished).await;
    suite.fact(&source, Fact::Failed).await;
    assert_eq!(suite.available(source.credit.unwrap()).await, 90);
    assert_eq!(cover(&suite).await, None);
    suite.check().await;
}

pub async fn an_arrival_is_final_when_it_is_watched_no_longer(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let arrival = async |suite: &Suite, claim: &Claim| {
        let transaction = claim.terms.transaction;
        suite.store.arrival(transaction).await.unwrap()
    };
    let claim = suite.granted(&Payment::new(1)).await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Not);
    suite.broadcast(1, &[&claim]).await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Not);
    suite.include(1, &[&claim]).await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Seen(inclusion(1)));
    suite.fact(&claim, Fact::Vanished).await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Not);
    suite.broadcast(2, &[&claim]).await;
    suite.include(2, &[&claim]).await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Seen(inclusion(2)));
    let finish = suite.store.settlements_final(vec![settlement_id(2)]).await;
    finish.unwrap();
    assert_eq!(arrival(&suite, &claim).await, Arrival::Final);

    // Settled by somebody else.
    let payment = Payment::new(3);
    let claim = suite
        .bring(&payment, P::Unknown, W::Answered)
        .await
        .unwrap();
    suite.fact(&claim, settled(30, 0)).await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Seen(inclusion(30)));
    suite
        .finish(&[(claim.key(), inclusion(30).block_hash)])
        .await;
    assert_eq!(arrival(&suite, &claim).await, Arrival::Final);
    let nobody = TransactionId::from_bytes([0; 16]);
    assert_eq!(suite.store.arrival(nobody).await.unwrap(), Arrival::Not);
}

pub async fn a_payment_that_vanished_for_good_is_a_loss(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let delivered = suite
        .bring(&Payment::new(1), P::Settled, W::Delivered)
        .await
        .unwrap();
    let credited = Payment {
        payer: 2,
        ..Payment::new(2)
    };
    let credited = suite.bring(&credited, P::Settled, W::Broken).await.unwrap();
    let credit = credited.credit.unwrap();
    for claim in [&delivered, &credited] {
        suite.fact(claim, Fact::Vanished).await;
        for _ in 0..2 {
            let failed = suite.fact(claim, Fact::Failed).await;
            assert_eq!((failed.payment, failed.work), (P::Failed, claim.work));
        }
    }
    assert_eq!(suite.posted(AccountKind::SettlementLoss).await, (200, 0));
    assert_eq!(suite.posted(AccountKind::RailClearing).await, (200, 200));
    // Nobody used the credit: it is taken back.
    assert_eq!(suite.available(credit).await, 0);
    assert_eq!(suite.posted(AccountKind::RefundCredit).await, (100, 100));
    // A payment that never arrived is no loss.
    let never = Payment {
        payer: 3,
        ..Payment::new(3)
    };
    suite.bring(&never, P::Failed, W::Broken).await.unwrap();
    assert_eq!(suite.posted(AccountKind::SettlementLoss).await, (200, 0));
    suite.check().await;
}

pub async fn a_spent_credit_is_not_revoked(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for (number, captured) in [(1, true), (2, false)] {
        let payment = Payment {
            payer: u8::try_from(number).unwrap(),
            ..Payment::new(number)
        };
        let source = suite.bring(&payment, P::Settled, W::Broken).await.unwrap();
        // More credit of the same payer: the books alone would allow to revoke.
        let more = Payment {
            amount: 50,
            number: 10 + number,
            ..payment.again(10 + number)
        };
        let other = suite
            .credited(&Payment {
                amount: 500,
                ..more.clone()
            })
            .await;
        let next = Payment {
            amount: 40,
            number: 20 + number,
            ..payment.again(20 + number)
        };
        let covered = suite.granted(&next).await;
        assert_eq!(covered.covered_by, source.credit);
        if captured {
            suite
                .advance(&covered, &[Step::Answer, Step::Deliver])
                .await;
        }
        suite.fact(&source, Fact::Vanished).await;
        suite.fact(&source, Fact::Failed).await;
        assert_eq!(suite.available(source.credit.unwrap()).await, 60);
        assert_eq!(suite.available(other).await, 500);
    }
    assert_eq!(suite.posted(AccountKind::SettlementLoss).await, (200, 0));
    suite.check().await;
}

pub async fn a_delegated_payment_that_was_not_sent_is_withdrawn(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment::new(1);
    let claim = suite.granted(&payment).await;
    suite.advance(&claim, &[Step::Delegate, Step::Lose]).await;
    for _ in 0..2 {
        let withdrawn = suite.advance(&claim, &[Step::Withdraw]).await;
        assert_eq!(
            (withdrawn.payment, withdrawn.work),
            (P::Released, W::Broken)
        );
    }
    let events = suite.events(claim.terms.transaction).await;
    assert_eq!(
        events[1..],
        [
            EventKind::Broadcast,
            EventKind::Unknown,
            EventKind::Released
        ]
    );
    assert_eq!(suite.store.claims_unknown(10).await.unwrap(), []);
    // It may come again, and what was thought of it before is not believed any more.
    let again = suite.granted(&payment.again(2)).await;
    assert_eq!(again.epoch, 1);
    let (key, late) = (claim.key(), vec![Step::Withdraw]);
    let fenced = suite.store.claim_advance(key, 0, late, START).await;
    assert_eq!(fenced, Ok(Err(AdvanceError::Fenced)));
    assert_eq!(suite.state(&again).await, (P::Claimed, W::Executing));
    suite.check().await;
}

pub async fn a_delegated_payment_settles_by_fact(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let claim = suite.granted(&Payment::new(1)).await;
    let sent = suite.advance(&claim, &[Step::Delegate]).await;
    assert_eq!(
        (sent.payment, sent.work, sent.tx_hash),
        (P::Broadcast, W::Answered, None)
    );
    suite.advance(&claim, &[Step::Lose]).await;
    let paid = suite.fact(&claim, settled(1, 0)).await;
    assert_eq!((paid.payment, paid.work), (P::Settled, W::Answered));
    let delivered = suite.advance(&claim, &[Step::Deliver]).await;
    assert_eq!(suite.get(&claim).await, delivered);
    let events = suite.events(claim.terms.transaction).await;
    assert_eq!(
        events[1..],
        [
            EventKind::Broadcast,
            EventKind::Unknown,
            EventKind::Settled,
            EventKind::Delivered
        ]
    );
    suite.check().await;
}
