//! Claims are granted once (money rules 5–14).

use std::collections::HashSet;
use std::sync::Arc;

use octroi_claim::{
    Claim, NodeId, PaymentState as P, RefusedClaim, SettleOrder, Step, WorkState as W,
};
use octroi_types::{Amount, Mode, TransactionId, UnixMicros};

use super::payment::{Payment, START};
use super::suite::{Suite, at};
use super::{Backend, suite};
use crate::{ClaimOutcome, EventKind, Fact, StoreError, TransactionState};

pub async fn a_new_payment_is_granted_and_read_back(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for (number, order, secret, mode) in [
        (1, SettleOrder::ResponseHead, None, Mode::Test),
        (
            2,
            SettleOrder::BeforeOrigin,
            Some("0123456789012345678901"),
            Mode::Live,
        ),
    ] {
        let payment = Payment {
            order,
            secret,
            mode,
            ..Payment::new(number)
        };
        let request = payment.arrive();
        let claim = suite.granted(&payment).await;
        assert_eq!(claim.terms, request.claim);
        assert_eq!((claim.payment, claim.epoch), (P::Claimed, 0));
        assert_eq!(suite.get(&claim).await, claim);

        let transaction = suite
            .store
            .transaction_get(payment.transaction())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(transaction.state, TransactionState::Pending);
        assert_eq!(transaction.service, request.transaction.service);
        assert_eq!(transaction.request, request.transaction.request);
        assert_eq!(
            (transaction.method.as_str(), transaction.rail.as_str()),
            ("GET", "x402-v2")
        );
        assert_eq!(transaction.path, request.transaction.path);
        assert_eq!(
            (transaction.tenant, transaction.mode),
            (claim.terms.tenant, mode)
        );
        assert_eq!(
            (transaction.payer, transaction.amount),
            (claim.terms.payer, claim.terms.amount)
        );
        assert_eq!(
            (transaction.created_at, transaction.updated_at),
            (START, START)
        );
        assert_eq!(suite.events(transaction.id).await, [EventKind::Claimed]);
    }
    suite.check().await;
}

pub async fn an_arrival_is_refused_by_what_became_of_the_first(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let secret = "a-secret-that-is-long-enough";
    let mut number = 0;
    for money in P::ALL {
        for work in W::ALL {
            number += 1;
            let payer = u8::try_from(number).unwrap();
            let payment = Payment {
                payer,
                secret: Some(secret),
                ..Payment::new(number)
            };
            let Some(claim) = suite.bring(&payment, *money, *work).await else {
                continue;
            };
            assert_eq!((claim.payment, claim.work), (*money, *work));
            let transaction = claim.terms.transaction;

            let other = Payment {
                request: 999_999,
                ..payment.again(10_000 + number)
            };
            assert_eq!(suite.refused(&other).await, RefusedClaim::BoundElsewhere);
            let again = payment.again(20_000 + number);
            let stranger = Payment {
                secret: None,
                ..again.clone()
            };
            if *money == P::Released {
                assert_eq!(suite.granted(&again).await.epoch, claim.epoch + 1);
                continue;
            }
            let refused = suite.refused(&again).await;
            let used = |same_secret| RefusedClaim::AlreadyUsed {
                transaction,
                tx_hash: claim.tx_hash,
                same_secret,
            };
            let expected = match (money, work) {
                (P::Claimed | P::Broadcast, _)
                | (P::Settled | P::Covered, W::NotStarted | W::Executing | W::Answered) => {
                    RefusedClaim::InUse { transaction }
                }
                (P::Unknown, _) => RefusedClaim::Pending {
                    transaction,
                    tx_hash: claim.tx_hash,
                },
                (P::Failed, _) => RefusedClaim::Expired,
                (P::Settled | P::Covered, W::Delivered | W::Broken) => {
                    assert_eq!(suite.refused(&stranger).await, used(false));
                    used(true)
                }
                (P::Released, _) => continue,
            };
            assert_eq!(refused, expected, "{money:?} {work:?}");
            assert_eq!(suite.get(&claim).await, claim);
            assert_eq!(
                suite
                    .store
                    .transaction_get(again.transaction())
                    .await
                    .unwrap(),
                None
            );
        }
    }
    suite.check().await;
}

pub async fn sixty_four_copies_get_one_grant(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let copies = (0..64).map(|copy| {
        let store = Arc::clone(&suite.store);
        tokio::spawn(async move { store.claim_make(Payment::new(1).again(copy).arrive()).await })
    });
    let mut outcomes = Vec::new();
    for copy in copies.collect::<Vec<_>>() {
        outcomes.push(copy.await.unwrap().unwrap());
    }
    check_one_grant(&outcomes);
    assert_eq!(
        super::invariants::transactions(&*suite.store).await.len(),
        1
    );
    suite.check().await;
}

pub async fn sixty_four_copies_from_many_threads_get_one_grant(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let store = &suite.store;
    let outcomes: Vec<ClaimOutcome> = tokio::task::block_in_place(|| {
        let ask = |copy| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime
                .block_on(store.claim_make(Payment::new(1).again(copy).arrive()))
                .unwrap()
        };
        std::thread::scope(|scope| {
            let copies: Vec<_> = (0..64).map(|copy| scope.spawn(move || ask(copy))).collect();
            copies
                .into_iter()
                .map(|copy| copy.join().unwrap())
                .collect()
        })
    });
    check_one_grant(&outcomes);
    suite.check().await;
}

fn check_one_grant(outcomes: &[ClaimOutcome]) {
    let granted: Vec<TransactionId> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            ClaimOutcome::Granted(claim) => Some(claim.terms.transaction),
            ClaimOutcome::Refused(_) => None,
        })
        .collect();
    assert_eq!((outcomes.len(), granted.len()), (64, 1));
    let in_use = ClaimOutcome::Refused(RefusedClaim::InUse {
        transaction: granted[0],
    });
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == in_use)
            .count(),
        63
    );
}

pub async fn a_nonce_signed_again_is_the_same_payment(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment::new(1);
    let claim = suite.granted(&payment).await;
    let transaction = claim.terms.transaction;
    for (arrival, later) in [(2, 1), (3, 86_400), (4, 3 * 86_400)] {
        let valid_before = payment.valid_before.plus(later);
        let again = Payment {
            valid_before,
            ..payment.again(arrival)
        };
        assert_eq!(
            suite.refused(&again).await,
            RefusedClaim::InUse { transaction }
        );
    }
    // Once it is given up, the other signature takes its place.
    suite.advance(&claim, &[Step::Release]).await;
    let valid_before = payment.valid_before.plus(86_400);
    let again = Payment {
        valid_before,
        ..payment.again(5)
    };
    let moved = suite.granted(&again).await;
    assert_eq!((moved.key(), moved.epoch), (again.key(), 1));
    assert_eq!(suite.store.claim_get(claim.key()).await.unwrap(), None);
    let stale = suite
        .store
        .claim_advance(claim.key(), 0, vec![Step::Answer], START)
        .await;
    assert_eq!(stale, Err(StoreError::NotFound { what: "claim" }));
    let transaction = moved.terms.transaction;
    let first = payment.again(6);
    assert_eq!(
        suite.refused(&first).await,
        RefusedClaim::InUse { transaction }
    );
    suite.check().await;
}

pub async fn a_released_payment_may_be_claimed_again(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment::new(1);
    let first = suite.granted(&payment).await;
    suite.advance(&first, &[Step::Release]).await;
    assert_eq!(suite.state(&first).await, (P::Released, W::Broken));

    let again = Payment {
        now: at(1_000),
        ..payment.again(2)
    };
    let second = suite.granted(&again).await;
    assert_eq!(
        (second.epoch, second.terms.clone()),
        (1, again.arrive().claim)
    );
    assert_eq!(suite.get(&second).await, second);
    // Each attempt has its own transaction; the first one keeps how it ended.
    assert_eq!(
        suite.events(payment.transaction()).await,
        [EventKind::Claimed, EventKind::Released]
    );
    assert_eq!(
        suite.events(again.transaction()).await,
        [EventKind::Claimed]
    );
    let ended = suite
        .store
        .transaction_get(payment.transaction())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.state, TransactionState::Failed);
    suite.check().await;
}

pub async fn the_same_call_is_granted_again_while_nothing_happened(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for order in [SettleOrder::ResponseHead, SettleOrder::BeforeOrigin] {
        let number = if order == SettleOrder::ResponseHead {
            1
        } else {
            2
        };
        let payment = Payment {
            order,
            ..Payment::new(number)
        };
        let claim = suite.granted(&payment).await;
        assert_eq!(suite.granted(&payment).await, claim);
        assert_eq!(
            suite.events(payment.transaction()).await,
            [EventKind::Claimed]
        );
        suite.broadcast(number, &[&claim]).await;
        let transaction = payment.transaction();
        assert_eq!(
            suite.refused(&payment).await,
            RefusedClaim::InUse { transaction }
        );
    }
    suite.check().await;
}

pub async fn a_payer_is_trusted_up_to_the_balance(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let order = |claim: &Claim| claim.terms.order;
    let payment = |number| Payment {
        payer_balance: Some(250),
        ..Payment::new(number)
    };
    let first = suite.granted(&payment(1)).await;
    let second = suite.granted(&payment(2)).await;
    let third = suite.granted(&payment(3)).await;
    assert_eq!([&first, &second].map(order), [SettleOrder::ResponseHead; 2]);
    assert_eq!(
        (order(&third), third.work),
        (SettleOrder::BeforeOrigin, W::NotStarted)
    );
    assert_eq!(
        suite.get(&third).await.terms.order,
        SettleOrder::BeforeOrigin
    );

    // Another payer, token or chain is another balance.
    for (number, other) in [
        (
            4,
            Payment {
                payer: 2,
                ..payment(4)
            },
        ),
        (
            5,
            Payment {
                asset: 2,
                ..payment(5)
            },
        ),
        (
            6,
            Payment {
                chain: 8_453,
                ..payment(6)
            },
        ),
    ] {
        assert_eq!(
            order(&suite.granted(&other).await),
            SettleOrder::ResponseHead,
            "{number}"
        );
    }
    // Another tenant's claims count, because the wallet is one.
    let elsewhere = Payment {
        tenant: 2,
        ..payment(7)
    };
    assert_eq!(
        order(&suite.granted(&elsewhere).await),
        SettleOrder::BeforeOrigin
    );

    suite.check().await;
}

pub async fn a_payer_who_does_not_have_the_price_is_refused(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let poor = |number| Payment {
        payer_balance: Some(99),
        ..Payment::new(number)
    };
    assert_eq!(suite.refused(&poor(1)).await, RefusedClaim::Unfunded);
    assert_eq!(suite.store.claim_get(poor(1).key()).await, Ok(None));
    // Where the money went is looked at before the purse.
    let paid = suite.granted(&Payment::new(2)).await;
    let (transaction, again) = (paid.terms.transaction, poor(2).again(1));
    assert_eq!(
        suite.refused(&again).await,
        RefusedClaim::InUse { transaction }
    );
    let enough = Payment {
        payer_balance: Some(100),
        payer: 2,
        ..Payment::new(3)
    };
    suite.granted(&enough).await;
    suite.check().await;
}

pub async fn what_a_payer_owes_ends_with_the_claim(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = |number| Payment {
        payer_balance: Some(250),
        ..Payment::new(number)
    };
    let order = async |payment: Payment| suite.granted(&payment).await.terms.order;
    let [first, second] = [
        suite.granted(&payment(1)).await,
        suite.granted(&payment(2)).await,
    ];
    // What is broadcast is still owed; what is settled or given up is not.
    suite.broadcast(1, &[&first]).await;
    assert_eq!(order(payment(3)).await, SettleOrder::BeforeOrigin);
    suite.include(1, &[&first]).await;
    assert_eq!(order(payment(4)).await, SettleOrder::BeforeOrigin);
    let third = suite
        .store
        .claim_get(payment(3).key())
        .await
        .unwrap()
        .unwrap();
    for claim in [&second, &third] {
        suite.advance(claim, &[Step::Release]).await;
    }
    assert_eq!(order(payment(5)).await, SettleOrder::ResponseHead);

    // More than can be counted is more than any balance.
    let most = Amount::MAX.units();
    for number in [10, 11] {
        let payment = Payment {
            payer: 3,
            amount: most,
            payer_balance: Some(most),
            ..payment(number)
        };
        suite.granted(&payment).await;
    }
    let beyond = Payment {
        payer: 3,
        payer_balance: Some(most),
        ..payment(12)
    };
    assert_eq!(order(beyond).await, SettleOrder::BeforeOrigin);
    suite.check().await;
}

pub async fn a_payer_whose_payment_failed_settles_first(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let claim = suite.granted(&Payment::new(1)).await;
    suite.broadcast(1, &[&claim]).await;
    let failed_at = at(5_000_000);
    let failed = vec![(claim.key(), Fact::Failed)];
    suite.store.facts_apply(failed, failed_at).await.unwrap();
    let order = async |payment: Payment| suite.granted(&payment).await.terms.order;
    let since = |number, failed_since| Payment {
        failed_since,
        ..Payment::new(number)
    };
    assert_eq!(order(since(2, START)).await, SettleOrder::BeforeOrigin);
    assert_eq!(order(since(3, failed_at)).await, SettleOrder::BeforeOrigin);
    assert_eq!(
        order(since(4, UnixMicros(failed_at.0 + 1))).await,
        SettleOrder::ResponseHead
    );
    for other in [
        Payment {
            payer: 2,
            ..since(5, START)
        },
        // Play money tells nothing about real money, and one tenant nothing about another.
        Payment {
            mode: Mode::Live,
            ..since(6, START)
        },
        Payment {
            tenant: 2,
            ..since(7, START)
        },
    ] {
        assert_eq!(order(other).await, SettleOrder::ResponseHead);
    }
    suite.check().await;
}

pub async fn invalid_claims_store_nothing(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let first = Payment::new(1);
    suite.granted(&first).await;

    let mut taken = Payment::new(2).arrive();
    taken.claim.transaction = first.transaction();
    taken.transaction.id = first.transaction();
    let mut other = Payment::new(3).arrive();
    other.transaction.id = first.transaction();
    let mut nothing = Payment::new(4).arrive();
    nothing.claim.amount = Amount::ZERO;
    for (number, request) in [(2, taken), (3, other), (4, nothing)] {
        let outcome = suite.store.claim_make(request).await;
        assert!(
            matches!(outcome, Err(StoreError::Invalid { .. })),
            "{number} {outcome:?}"
        );
        let key = Payment::new(number).key();
        assert_eq!(suite.store.claim_get(key).await.unwrap(), None);
        // The payment itself is not used up.
        suite
            .granted(&Payment {
                owner: NodeId(1),
                ..Payment::new(number)
            })
            .await;
    }
    let listed: HashSet<_> = super::invariants::transactions(&*suite.store)
        .await
        .into_iter()
        .map(|transaction| transaction.id)
        .collect();
    assert_eq!(listed.len(), 4);
    assert!(suite.unfinished(1).await.is_none() && suite::CHAIN.0 == first.chain);
    suite.check().await;
}
