//! Old claims are dropped by the day (money rule 32).

use octroi_claim::{Claim, ClaimKey, PaymentState as P, Step, WorkState as W};
use octroi_types::UnixSeconds;

use super::Backend;
use super::payment::{Payment, START};
use super::suite::{Suite, inclusion, settled, settlement_id};
use crate::{Fact, FactOutcome, StoreError};

const DAY: u64 = 86_400;

/// The first second of a day after the start.
fn day(days: u64) -> UnixSeconds {
    UnixSeconds((START.seconds().0 / DAY + days) * DAY)
}

fn payment(number: u32, days: u64) -> Payment {
    let valid_before = day(days).plus(u64::from(number));
    Payment {
        valid_before,
        payer: number.to_le_bytes()[0],
        ..Payment::new(number)
    }
}

async fn kept(suite: &Suite, claims: &[&Claim]) -> Vec<bool> {
    let mut kept = Vec::new();
    for claim in claims {
        kept.push(suite.store.claim_get(claim.key()).await.unwrap().is_some());
    }
    kept
}

pub async fn old_days_are_dropped_and_their_transactions_stay(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let mut claims = Vec::new();
    for (number, days) in [(1, 0), (2, 0), (3, 1), (4, 2)] {
        let claim = suite
            .bring(&payment(number, days), P::Settled, W::Delivered)
            .await
            .unwrap();
        suite
            .store
            .settlements_final(vec![settlement_id(number)])
            .await
            .unwrap();
        claims.push(claim);
    }
    let claims: Vec<_> = claims.iter().collect();
    // A day goes when all of it has passed.
    let almost = UnixSeconds(day(1).0 - 1);
    assert_eq!(suite.store.claims_prune(almost).await.unwrap(), 0);
    assert_eq!(suite.store.claims_prune(day(1)).await.unwrap(), 2);
    assert_eq!(kept(&suite, &claims).await, [false, false, true, true]);
    assert_eq!(suite.store.claims_prune(day(1)).await.unwrap(), 0);

    let gone = claims[0];
    assert_eq!(suite.events(gone.terms.transaction).await.len(), 4);
    assert_eq!(suite.transfers(gone.terms.transaction).await.len(), 1);
    let outcome = suite.try_fact(gone, Fact::Vanished).await;
    assert_eq!(outcome, FactOutcome::NoSuchClaim);
    let late = suite
        .store
        .claim_advance(gone.key(), 0, vec![Step::Deliver], START)
        .await;
    assert_eq!(late, Err(StoreError::NotFound { what: "claim" }));
    // The day can be used again.
    let again = suite.granted(&payment(1, 0).again(11)).await;
    assert_eq!(again.epoch, 0);
    suite.advance(&again, &[Step::Release]).await;
    assert_eq!(suite.store.claims_prune(day(9)).await.unwrap(), 3);
    suite.check().await;
}

pub async fn days_with_unfinished_claims_are_kept(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let never = day(100);
    let mut unfinished = Vec::new();
    for (number, money, work) in [
        (10, P::Claimed, W::Executing),
        (11, P::Broadcast, W::Answered),
        (12, P::Unknown, W::Broken),
        (13, P::Settled, W::Answered),
        (14, P::Covered, W::Executing),
        // Finished, and in a settlement that may still vanish.
        (15, P::Settled, W::Delivered),
    ] {
        let days = u64::from(number);
        let claim = suite
            .bring(&payment(number, days), money, work)
            .await
            .unwrap();
        // A finished claim of the same day stays with it.
        let other = payment(100 + number, days);
        let other = suite.bring(&other, P::Released, W::Broken).await.unwrap();
        unfinished.push((claim, other));
    }
    suite.store.claims_prune(never).await.unwrap();
    for (claim, other) in &unfinished {
        assert_eq!(
            kept(&suite, &[claim, other]).await,
            [true, true],
            "{claim:?}"
        );
    }

    let key: fn(&(Claim, Claim)) -> ClaimKey = |(claim, _)| claim.key();
    let [claimed, broadcast, unknown, answered, covered, delivered] =
        <[_; 6]>::try_from(unfinished.iter().map(key).collect::<Vec<_>>()).unwrap();
    let advance = async |key, step| {
        suite
            .store
            .claim_advance(key, 0, vec![step], START)
            .await
            .unwrap()
            .unwrap();
    };
    advance(claimed, Step::Release).await;
    advance(covered, Step::Break { credit: None }).await;
    advance(answered, Step::Deliver).await;
    let facts = vec![(broadcast, settled(11, 0)), (unknown, Fact::Failed)];
    let (id, block) = (settlement_id(11), inclusion(11));
    suite
        .store
        .settlement_included(id, block, facts, START)
        .await
        .unwrap();
    advance(broadcast, Step::Deliver).await;
    // The credited payment behind the covered one has its own settlement.
    for number in [11, 12, 13, 1_000_014] {
        suite
            .store
            .settlements_final(vec![settlement_id(number)])
            .await
            .unwrap();
    }
    suite.store.claims_prune(never).await.unwrap();
    for (claim, other) in &unfinished {
        let is_delivered = claim.key() == delivered;
        assert_eq!(
            kept(&suite, &[claim, other]).await,
            [is_delivered; 2],
            "{claim:?}"
        );
    }
    suite
        .store
        .settlements_final(vec![settlement_id(15)])
        .await
        .unwrap();
    assert_eq!(suite.store.claims_prune(never).await.unwrap(), 2);
    suite.check().await;
}

pub async fn days_with_watched_claims_are_kept(backend: &dyn Backend) {
    let suite = Suite::open(backend).await;
    let never = day(100);
    // Somebody else settled it, in a block that may still be replaced.
    let claim = suite.granted(&payment(16, 16)).await;
    suite.advance(&claim, &[Step::Delegate]).await;
    let claim = suite.fact(&claim, settled(16, 0)).await;
    let claim = suite.advance(&claim, &[Step::Deliver]).await;
    assert_eq!(suite.store.claims_prune(never).await.unwrap(), 0);
    let block = inclusion(16).block_hash;
    suite.finish(&[(claim.key(), block)]).await;
    assert_eq!(suite.store.claims_prune(never).await.unwrap(), 1);
    suite.check().await;
}
