//! What becomes of payments that many workers carry through at once, one call after the other. A call
//! that fails as unavailable is made again with the same ids.

use std::pin::Pin;

use octroi_claim::{Claim, PaymentState as P, Step, WorkState as W};
use octroi_store::conformance::{Payment, START, inclusion, settled, settlement, settlement_id};
use octroi_store::{
    ClaimOutcome, ClaimStore, Fact, OpenOutcome, SettlementStore, StoreError, refund_credit_id,
};
use octroi_store_postgres::PostgresStore;
use octroi_types::UnixMicros;

/// What a worker does with a payment.
#[derive(Clone, Copy)]
pub(crate) enum Course {
    Delivered,
    Released,
    /// Settled and broken: a credit, which covers the next payment of the same payer.
    Credited,
    Covered,
    Lost,
}

impl Course {
    pub(crate) fn of(number: u32) -> Self {
        match number % 5 {
            0 => Self::Delivered,
            1 => Self::Released,
            2 => Self::Credited,
            3 => Self::Covered,
            _ => Self::Lost,
        }
    }

    /// Where it ends.
    pub(crate) const fn end(self) -> (P, W) {
        match self {
            Self::Delivered => (P::Settled, W::Delivered),
            Self::Released => (P::Released, W::Broken),
            Self::Credited => (P::Settled, W::Broken),
            Self::Covered => (P::Covered, W::Delivered),
            Self::Lost => (P::Failed, W::Broken),
        }
    }
}

/// Each payer buys once by every course, so that a credit covers exactly one payment.
pub(crate) fn payment(number: u32) -> Payment {
    let [low, high, ..] = (number / 5).to_le_bytes();
    let (tenant, payer) = (high.wrapping_add(1), low.wrapping_add(1));
    let mut payment = Payment {
        tenant,
        payer,
        ..Payment::new(number)
    };
    // A course that lost its payment distrusts the payer only later on.
    payment.now = UnixMicros(START.0 + i64::from(number) * 1_000);
    payment.failed_since = payment.now;
    payment
}

/// A call of the port.
type Calling<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// Makes a call until it is answered.
async fn insist<'c, T>(call: impl Fn() -> Calling<'c, T>) -> T {
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Carries a payment through.
pub(crate) async fn run(store: &PostgresStore, number: u32) {
    let (payment, course) = (payment(number), Course::of(number));
    let outcome = insist(|| store.claim_make(payment.arrive())).await;
    let ClaimOutcome::Granted(claim) = outcome else {
        panic!("{number}: {outcome:?}")
    };
    let steps = match course {
        Course::Released => vec![Step::Release],
        Course::Covered => vec![Step::Answer, Step::Deliver],
        Course::Delivered | Course::Credited | Course::Lost => {
            settle(store, &claim, number, payment.now).await;
            match course {
                Course::Lost => Vec::new(),
                Course::Credited => {
                    let credit = Some(refund_credit_id(claim.terms.id));
                    vec![Step::Break { credit }]
                }
                _ => vec![Step::Deliver],
            }
        }
    };
    for step in steps {
        let (key, now) = (claim.key(), payment.now);
        let advanced = insist(|| store.claim_advance(key, 0, vec![step], now)).await;
        advanced.unwrap();
    }
}

async fn settle(store: &PostgresStore, claim: &Claim, number: u32, now: UnixMicros) {
    let opened = insist(|| store.settlement_open(settlement(number, &[claim]))).await;
    assert_eq!(opened, OpenOutcome::Opened);
    let (id, block) = (settlement_id(number), inclusion(number));
    let is_lost = matches!(Course::of(number), Course::Lost);
    let fact = if is_lost {
        Fact::Unknown
    } else {
        settled(number, 0)
    };
    let facts = |fact| vec![(claim.key(), fact)];
    insist(|| store.settlement_included(id, block, facts(fact), now)).await;
    if is_lost {
        insist(|| store.facts_apply(facts(Fact::Failed), now)).await;
    }
}
