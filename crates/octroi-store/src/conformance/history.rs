//! What a seller sees (money rule 30).

use octroi_claim::{PaymentState as P, Step, WorkState as W};
use octroi_types::{Address, PaywallId, TenantId, TransactionId};

use super::Backend;
use super::payment::{Payment, START};
use super::suite::{Suite, at};
use crate::{EventKind, Page, TransactionFilter, TransactionState};

pub async fn the_history_of_a_transaction_is_told_in_order(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = Payment::new(1);
    let claim = suite.granted(&payment).await;
    let id = payment.transaction();
    let shown = async || suite.store.transaction_get(id).await.unwrap().unwrap();

    suite
        .store
        .claim_advance(claim.key(), 0, vec![Step::Answer], at(10))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shown().await.updated_at, at(10));
    assert_eq!(shown().await.state, TransactionState::Pending);
    suite.broadcast(1, &[&claim]).await;
    assert_eq!(shown().await.payment, P::Broadcast);
    suite.fact(&claim, crate::Fact::Unknown).await;
    assert_eq!(shown().await.state, TransactionState::Unknown);
    suite.include(1, &[&claim]).await;
    assert_eq!(shown().await.state, TransactionState::Completed);
    let claim = suite.get(&claim).await;
    suite
        .store
        .claim_advance(claim.key(), 0, vec![Step::Deliver], at(99))
        .await
        .unwrap()
        .unwrap();

    let transaction = shown().await;
    assert_eq!(
        (transaction.payment, transaction.work),
        (P::Settled, W::Delivered)
    );
    assert_eq!(transaction.tx_hash, claim.tx_hash);
    assert_eq!(
        (transaction.created_at, transaction.updated_at),
        (START, at(99))
    );
    let events = suite.store.transaction_events(id).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.at.0 - START.0))
        .collect();
    assert_eq!(
        told,
        [
            (EventKind::Claimed, 0),
            (EventKind::Answered, 10),
            (EventKind::Broadcast, 0),
            (EventKind::Unknown, 0),
            (EventKind::Settled, 0),
            (EventKind::Delivered, 99),
        ]
    );
    assert!(events.iter().all(|event| event.transaction == id));

    let nowhere = TransactionId::from_bytes([1; 16]);
    assert_eq!(suite.store.transaction_get(nowhere).await.unwrap(), None);
    assert_eq!(suite.store.transaction_events(nowhere).await.unwrap(), []);
    assert_eq!(
        suite.store.transaction_transfers(nowhere).await.unwrap(),
        []
    );
    suite.check().await;
}

pub async fn transactions_are_listed_newest_first_in_pages(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let payment = |number: u32| Payment {
        now: at(i64::from(number) * 1_000),
        ..Payment::new(number)
    };
    for number in [3, 1, 4, 5, 2] {
        suite.granted(&payment(number)).await;
    }
    for limit in [0, 1, 2, 3, 5, 100] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let filter = TransactionFilter::default();
            let page = suite
                .store
                .transactions_list(filter, after, limit)
                .await
                .unwrap();
            assert!(page.rows.len() <= Page::rows_for(limit) && !page.rows.is_empty());
            listed.extend(page.rows.into_iter().map(|row| row.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(
            listed,
            [5, 4, 3, 2, 1].map(|number| payment(number).transaction()),
            "{limit}"
        );
    }
}

pub async fn transactions_are_listed_by_filter(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    for number in 0..24_u32 {
        let [low, ..] = number.to_le_bytes();
        let payment = Payment {
            tenant: 1 + low % 2,
            paywall: 1 + low % 3,
            payer: 1 + low % 4,
            now: at(i64::from(number) * 1_000),
            ..Payment::new(number)
        };
        let claim = suite.granted(&payment).await;
        if number % 6 == 0 {
            suite.advance(&claim, &[Step::Release]).await;
        }
    }
    for (filter, expected) in filters() {
        let page = suite
            .store
            .transactions_list(filter.clone(), None, 100)
            .await
            .unwrap();
        let listed: Vec<_> = page
            .rows
            .iter()
            .rev()
            .map(|row| (row.created_at.0 - START.0) / 1_000)
            .collect();
        assert_eq!(listed, expected, "{filter:?}");
        assert_eq!(page.next, None);
        assert!(page.rows.iter().all(|row| filter.matches(row)));
    }
}

/// Filters, and the numbers of the transactions that they find.
fn filters() -> Vec<(TransactionFilter, Vec<i64>)> {
    let tenant = Some(TenantId::from_bytes([1; 16]));
    let state = Some(TransactionState::Failed);
    let paywall = Some(PaywallId::from_bytes([1; 16]));
    let payer = Some(Address([1; 20]));
    let all = TransactionFilter::default;
    vec![
        (
            TransactionFilter { tenant, ..all() },
            (0..24).step_by(2).collect::<Vec<_>>(),
        ),
        (
            TransactionFilter { paywall, ..all() },
            (0..24).step_by(3).collect(),
        ),
        (
            TransactionFilter { payer, ..all() },
            (0..24).step_by(4).collect(),
        ),
        (
            TransactionFilter { state, ..all() },
            (0..24).step_by(6).collect(),
        ),
        (
            TransactionFilter {
                tenant,
                state,
                paywall,
                payer,
                ..all()
            },
            vec![0, 12],
        ),
        (
            TransactionFilter {
                tenant,
                paywall,
                ..all()
            },
            vec![0, 6, 12, 18],
        ),
        // From is included and until is not, to the millisecond of the id.
        (
            TransactionFilter {
                from: Some(at(5_000)),
                until: Some(at(8_000)),
                ..all()
            },
            vec![5, 6, 7],
        ),
        (
            TransactionFilter {
                from: Some(at(5_001)),
                until: Some(at(8_001)),
                ..all()
            },
            vec![6, 7, 8],
        ),
        (
            TransactionFilter {
                tenant,
                from: Some(at(20_000)),
                ..all()
            },
            vec![20, 22],
        ),
        (
            TransactionFilter {
                until: Some(START),
                ..all()
            },
            vec![],
        ),
        (
            TransactionFilter {
                state: Some(TransactionState::Unknown),
                ..all()
            },
            vec![],
        ),
    ]
}
