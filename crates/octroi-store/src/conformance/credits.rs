//! Refund credits cover the payer's next request (money rules 14 and 22).

use octroi_claim::{PaymentState as P, RefusedClaim, SettleOrder, Step, WorkState as W};
use octroi_types::{Amount, Mode};

use super::Backend;
use super::payment::Payment;
use super::suite::{Suite, at, settled};
use crate::{Fact, OpenOutcome, TransactionFilter};

pub async fn a_credit_covers_the_next_request(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let credit = suite.credited(&Payment::new(1)).await;
    // Cheaper than the credit; a balance of nothing does not matter, because nothing is sent.
    let next = Payment {
        amount: 70,
        payer_balance: Some(0),
        ..Payment::new(2)
    };
    let covered = suite.granted(&next).await;
    assert_eq!((covered.payment, covered.work), (P::Covered, W::Executing));
    assert_eq!(covered.covered_by, Some(credit));
    assert_eq!(suite.get(&covered).await, covered);
    assert_eq!(suite.available(credit).await, 30);
    assert_eq!(suite.granted(&next).await, covered);
    assert_eq!(suite.available(credit).await, 30);
    // It is never sent.
    assert_eq!(
        suite.open_settlement(2, &[&covered]).await,
        OpenOutcome::Fenced(vec![covered.key()])
    );
    for steps in [&[Step::Answer, Step::Deliver][..], &[Step::Deliver]] {
        let delivered = suite.advance(&covered, steps).await;
        assert_eq!(
            (delivered.payment, delivered.work),
            (P::Covered, W::Delivered)
        );
    }
    assert_eq!(suite.available(credit).await, 30);
    // What is left is not enough for the next one.
    let third = suite
        .granted(&Payment {
            amount: 31,
            ..Payment::new(3)
        })
        .await;
    assert_eq!((third.payment, third.covered_by), (P::Claimed, None));
    let fourth = suite
        .granted(&Payment {
            amount: 30,
            ..Payment::new(4)
        })
        .await;
    assert_eq!(fourth.covered_by, Some(credit));
    assert_eq!(suite.available(credit).await, 0);
    suite.check().await;
}

pub async fn a_broken_answer_gives_the_credit_back(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let credit = suite.credited(&Payment::new(1)).await;
    let payment = Payment {
        amount: 70,
        ..Payment::new(2)
    };
    for arrival in [2, 3, 4] {
        // The same payment covers again, because nothing of it was used.
        let covered = suite.granted(&payment.again(arrival)).await;
        assert_eq!((covered.payment, covered.epoch), (P::Covered, arrival - 2));
        assert_eq!(suite.available(credit).await, 30);
        for _ in 0..2 {
            let broken = suite.store.claim_advance(
                covered.key(),
                covered.epoch,
                vec![Step::Break { credit: None }],
                at(1),
            );
            if let Ok(broken) = broken.await.unwrap() {
                assert_eq!((broken.payment, broken.work), (P::Released, W::Broken));
            }
            assert_eq!(suite.available(credit).await, 100);
        }
    }
    suite.check().await;
}

pub async fn the_oldest_credit_that_suffices_covers(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let credit = async |number: u32, amount| {
        let payment = Payment {
            amount,
            now: at(i64::from(number) * 1_000),
            ..Payment::new(number)
        };
        suite.credited(&payment).await
    };
    // Made before there is anything to be covered by.
    let small = suite
        .granted(&Payment {
            amount: 10,
            ..Payment::new(1)
        })
        .await;
    let large = suite
        .granted(&Payment {
            amount: 90,
            ..Payment::new(2)
        })
        .await;
    let newest = credit(3, 100).await;
    for (number, claim) in [(2, &large), (1, &small)] {
        suite.broadcast(number, &[claim]).await;
        suite.include(number, &[claim]).await;
        suite
            .advance(
                claim,
                &[Step::Break {
                    credit: Some(newest),
                }],
            )
            .await;
    }
    let covering = async |number, amount| {
        suite
            .granted(&Payment {
                amount,
                ..Payment::new(number)
            })
            .await
            .covered_by
    };
    let (small, large) = (
        suite.get(&small).await.credit,
        suite.get(&large).await.credit,
    );
    assert_eq!(covering(10, 50).await, large);
    assert_eq!(covering(11, 50).await, Some(newest));
    assert_eq!(covering(12, 10).await, small);
    assert_eq!(covering(13, 10).await, large);
    suite.check().await;
}

pub async fn credits_and_books_of_tenants_are_apart(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let credit = suite.credited(&Payment::new(1)).await;
    for (number, other) in [
        (
            2,
            Payment {
                tenant: 2,
                ..Payment::new(2)
            },
        ),
        (
            3,
            Payment {
                mode: Mode::Live,
                ..Payment::new(3)
            },
        ),
        (
            4,
            Payment {
                payer: 2,
                ..Payment::new(4)
            },
        ),
        (
            5,
            Payment {
                asset: 2,
                ..Payment::new(5)
            },
        ),
        (
            6,
            Payment {
                chain: 8_453,
                ..Payment::new(6)
            },
        ),
    ] {
        assert_eq!(suite.granted(&other).await.covered_by, None, "{number}");
    }
    assert_eq!(
        suite.granted(&Payment::new(7)).await.covered_by,
        Some(credit)
    );

    suite
        .settled(&Payment {
            tenant: 2,
            payer: 9,
            ..Payment::new(8)
        })
        .await;
    let accounts = suite.store.accounts_list().await.unwrap();
    let tenant = |number| octroi_types::TenantId::from_bytes([number; 16]);
    let received = |number| -> u64 {
        let of_tenant = accounts
            .iter()
            .filter(|account| account.ledger.tenant == tenant(number));
        of_tenant.map(|account| account.debits.posted.units()).sum()
    };
    // Tenant 1: one payment, and its credit issued. Tenant 2: one payment.
    assert_eq!((received(1), received(2)), (200, 100));
    for number in [1, 2] {
        let filter = TransactionFilter {
            tenant: Some(tenant(number)),
            ..Default::default()
        };
        let page = suite
            .store
            .transactions_list(filter, None, 100)
            .await
            .unwrap();
        assert!(page.rows.iter().all(|row| row.tenant == tenant(number)));
        assert_eq!(page.rows.len(), if number == 1 { 6 } else { 2 });
    }
    suite.check().await;
}

pub async fn an_unknown_payment_holds_the_next_one_back(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = |number| Payment {
        request: 1,
        ..Payment::new(number)
    };
    let earlier = suite
        .bring(&payment(1), P::Unknown, W::Answered)
        .await
        .unwrap();
    let other = Payment {
        now: at(1_000),
        request: 2,
        ..payment(2)
    };
    suite.bring(&other, P::Unknown, W::Answered).await.unwrap();

    let oldest = suite.store.claims_unknown(1).await.unwrap();
    assert_eq!(oldest.as_slice(), std::slice::from_ref(&earlier));
    assert_eq!(suite.store.claims_unknown(9).await.unwrap().len(), 2);
    let await_earlier = RefusedClaim::AwaitEarlier {
        earlier: earlier.key(),
    };
    assert_eq!(suite.refused(&payment(3)).await, await_earlier);
    assert_eq!(
        suite
            .store
            .transaction_get(payment(3).transaction())
            .await
            .unwrap(),
        None
    );
    // Another request, or another payer, is not held back.
    suite
        .granted(&Payment {
            request: 3,
            ..payment(4)
        })
        .await;
    suite
        .granted(&Payment {
            payer: 2,
            ..payment(5)
        })
        .await;

    // It settles after its buyer gave up: a credit, which covers the payment that waited.
    suite
        .advance(&earlier, &[Step::Break { credit: None }])
        .await;
    let paid = suite.fact(&earlier, settled(90, 0)).await;
    let covered = suite.granted(&payment(3)).await;
    assert_eq!(
        (covered.payment, covered.covered_by),
        (P::Covered, paid.credit)
    );

    // It fails: the payment that waited is used, and settles first.
    let lost = Payment {
        payer: 3,
        ..payment(6)
    };
    let lost = suite.bring(&lost, P::Unknown, W::Answered).await.unwrap();
    let waiting = Payment {
        payer: 3,
        ..payment(7)
    };
    let await_earlier = RefusedClaim::AwaitEarlier {
        earlier: lost.key(),
    };
    assert_eq!(suite.refused(&waiting).await, await_earlier);
    suite.fact(&lost, Fact::Failed).await;
    let used = suite.granted(&waiting).await;
    assert_eq!(
        (used.payment, used.terms.order),
        (P::Claimed, SettleOrder::BeforeOrigin)
    );
    assert_eq!(used.terms.amount, Amount::new(100).unwrap());
    suite.check().await;
}
