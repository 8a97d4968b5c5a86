//! A price outlives its change for as long as clients were promised (money rule 11).

use octroi_types::{Address, Amount, Mode, PaywallId, TenantId, UnixSeconds};

use super::Backend;
use super::suite::{CHAIN, Suite};
use crate::{EarlierTerms, OfferedTerms, Store};

fn tenant(number: u8) -> TenantId {
    TenantId::from_bytes([number; 16])
}

/// An offer that is honoured for 300 s.
fn offered(paywall: u8, units: u64) -> OfferedTerms {
    OfferedTerms {
        paywall: PaywallId::from_bytes([paywall; 16]),
        mode: Mode::Test,
        chain: CHAIN,
        asset: Address([0xaa; 20]),
        pay_to: Address([0xbb; 20]),
        amount: Amount::new(units).unwrap(),
        max_timeout_seconds: 300,
    }
}

fn honoured(terms: OfferedTerms, until: u64) -> EarlierTerms {
    EarlierTerms {
        terms,
        honoured_until: UnixSeconds(until),
    }
}

async fn publish(
    store: &dyn Store,
    tenant: TenantId,
    in_force: impl Into<Vec<OfferedTerms>>,
    now: u64,
) -> Vec<EarlierTerms> {
    store
        .offers_publish(tenant, in_force.into(), UnixSeconds(now))
        .await
        .unwrap()
}

pub async fn a_price_is_honoured_after_its_change(backend: &dyn Backend) {
    let store = Suite::open(backend).await.store;
    let (seller, dear, cheap) = (tenant(1), offered(1, 100), offered(1, 40));
    assert_eq!(publish(&*store, seller, [dear.clone()], 1_000).await, []);
    // However long it was in force, its last offer may have been made just now.
    assert_eq!(
        publish(&*store, seller, [cheap.clone()], 9_000).await,
        [honoured(dear.clone(), 9_300)]
    );
    // And a second start does not give it more time.
    assert_eq!(
        publish(&*store, seller, [cheap.clone()], 9_299).await,
        [honoured(dear.clone(), 9_300)]
    );
    assert_eq!(publish(&*store, seller, [cheap], 9_300).await, []);
}

pub async fn a_clock_that_was_ahead_honours_no_longer(backend: &dyn Backend) {
    let store = Suite::open(backend).await.store;
    let (seller, dear, cheap) = (tenant(1), offered(1, 100), offered(1, 40));
    publish(&*store, seller, [dear.clone()], 1_000).await;
    publish(&*store, seller, [cheap.clone()], 900_000).await;
    assert_eq!(
        publish(&*store, seller, [cheap], 2_000).await,
        [honoured(dear, 2_300)]
    );
}

pub async fn a_price_that_comes_back_is_in_force(backend: &dyn Backend) {
    let store = Suite::open(backend).await.store;
    let (seller, dear, cheap) = (tenant(1), offered(1, 100), offered(1, 40));
    publish(&*store, seller, [dear.clone()], 1_000).await;
    publish(&*store, seller, [cheap.clone()], 1_100).await;
    assert_eq!(
        publish(&*store, seller, [dear.clone()], 1_200).await,
        [honoured(cheap.clone(), 1_500)]
    );
    assert_eq!(
        publish(&*store, seller, [cheap], 1_300).await,
        [honoured(dear, 1_600)]
    );
}

pub async fn offers_outlive_the_process(backend: &dyn Backend) {
    let (seller, other) = (tenant(1), tenant(2));
    let (dear, cheap) = (offered(1, 100), offered(1, 40));
    let store = Suite::open(backend).await.store;
    publish(&*store, seller, [dear.clone(), offered(2, 7)], 1_000).await;
    publish(&*store, other, [dear.clone()], 1_000).await;
    drop(store);

    let store = backend.reopen().await;
    // A paywall that is gone is honoured too, should it come back; another tenant's offers are
    // its own.
    let mut expected = vec![
        honoured(dear.clone(), 2_300),
        honoured(offered(2, 7), 2_300),
    ];
    expected.sort_by(|a, b| a.terms.cmp(&b.terms));
    assert_eq!(publish(&*store, seller, [cheap], 2_000).await, expected);
    assert_eq!(publish(&*store, other, [dear], 2_000).await, []);
}
