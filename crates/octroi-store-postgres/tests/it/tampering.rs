//! A row of the books that was changed behind our back is found (money rule 29).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use octroi_claim::{PaymentState, WorkState};
use octroi_ledger::{ChainFault, Draw, Ledger, Outcome, Refusal, Seal};
use octroi_store::Store;
use octroi_store::conformance::{Backend, Payment, START, Suite};
use octroi_store_postgres::cluster::Database;
use octroi_store_postgres::{AuditError, PostgresOptions, PostgresStore};
use octroi_types::{Amount, Asset, ClaimId, GrantId, Mode, TenantId};

use crate::CLUSTER;

struct Opened(Arc<PostgresStore>);

#[async_trait]
impl Backend for Opened {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.open().await
    }
}

/// A store whose batches are numbered one after the other.
async fn open_one_lane(address: &str) -> Arc<PostgresStore> {
    let options = PostgresOptions {
        lanes: 1,
        ..crate::options()
    };
    Arc::new(PostgresStore::open(address, options).await.unwrap())
}

type Check<'a> = &'a dyn Fn(&AuditError) -> bool;

fn altered(sequence: u64) -> impl Fn(&AuditError) -> bool {
    move |error| {
        matches!(
            error,
            AuditError::Chain { lane: 0, fault: ChainFault::Altered { sequence: found } }
                if *found == sequence
        )
    }
}

fn orphans(error: &AuditError) -> bool {
    matches!(error, AuditError::Orphans { batch: 99, .. })
}

/// Makes each change, which must be found, and undoes it by the statement after it.
async fn find(
    database: &Database<'_>,
    store: &PostgresStore,
    heads: &[Seal],
    cases: &[(&str, &str, Check<'_>)],
) {
    for (change, undo, is_expected) in cases {
        let _ = database.sql(change);
        let error = store.audit().await.unwrap_err();
        assert!(is_expected(&error), "{change}: {error:?}");
        let _ = database.sql(undo);
        assert_eq!(store.audit().await.unwrap(), heads, "{undo}");
    }
}

/// A charge that no grant covers: it uses its id up.
async fn refuse(store: &dyn Store) {
    let ledger = Ledger {
        tenant: TenantId::from_bytes([1; 16]),
        mode: Mode::Test,
        asset: Asset::Usd,
    };
    let draw = Draw {
        grant: GrantId::from_bytes([2; 16]),
        amount: Amount::new(5).unwrap(),
    };
    let charge = ledger.charge_hold(ClaimId::from_bytes([3; 16]), 0, &[draw], Duration::MAX);
    let outcome = store.ledger_submit(charge, START).await.unwrap();
    assert!(matches!(outcome, Outcome::Refused(refused)
        if refused.refusal == Refusal::ExceedsCredits));
}

#[tokio::test]
async fn a_changed_row_is_found() {
    let database = CLUSTER.database();
    let store = open_one_lane(&database.address()).await;
    let suite = Suite::open(&Opened(Arc::clone(&store))).await;
    for number in 1..=5 {
        let payment = Payment::new(number);
        let (money, work) = (PaymentState::Settled, WorkState::Delivered);
        suite.bring(&payment, money, work).await;
    }
    suite.credited(&Payment::new(6)).await;
    let heads = store.audit().await.unwrap();
    let sequences: Vec<u64> = heads.iter().map(|head| head.sequence).collect();
    assert_eq!(sequences, [7]);

    let of_another = |error: &AuditError| matches!(error, AuditError::OfAnother { .. });
    // Each with what undoes it.
    let cases: [(&str, &str, Check<'_>); 8] = [
        (
            "UPDATE octroi.transfers SET amount = amount + 1 WHERE batch = 3",
            "UPDATE octroi.transfers SET amount = amount - 1 WHERE batch = 3",
            &altered(3),
        ),
        (
            "UPDATE octroi.transfers SET created_at = created_at - 1 WHERE batch = 7",
            "UPDATE octroi.transfers SET created_at = created_at + 1 WHERE batch = 7",
            &altered(7),
        ),
        (
            "UPDATE octroi.transfers SET mode = 1 WHERE batch = 4",
            "UPDATE octroi.transfers SET mode = 0 WHERE batch = 4",
            &of_another,
        ),
        (
            "UPDATE octroi.accounts SET created_at = created_at + 1 WHERE batch = 1",
            "UPDATE octroi.accounts SET created_at = created_at - 1 WHERE batch = 1",
            &altered(1),
        ),
        (
            "UPDATE octroi.batches SET sequence = 70 WHERE sequence = 2",
            "UPDATE octroi.batches SET sequence = 2 WHERE sequence = 70",
            &|error| matches!(error, AuditError::Chain { fault: ChainFault::Gap { .. }, .. }),
        ),
        (
            "INSERT INTO octroi.accounts SELECT gen_random_uuid(), tenant, mode, chain, asset, kind,
                bound, 0, 0, 0, 0, created_at, 0, 0, 99 FROM octroi.accounts LIMIT 1",
            "DELETE FROM octroi.accounts WHERE batch = 99",
            &orphans,
        ),
        (
            "UPDATE octroi.accounts SET debits_posted = debits_posted + 1 WHERE kind = 3",
            "UPDATE octroi.accounts SET debits_posted = debits_posted - 1 WHERE kind = 3",
            &|error| matches!(error, AuditError::Unbalanced),
        ),
        // Money that never moved, and balances.
        (
            "UPDATE octroi.accounts SET debits_posted = debits_posted + 1,
                credits_posted = credits_posted + 1 WHERE kind = 3",
            "UPDATE octroi.accounts SET debits_posted = debits_posted - 1,
                credits_posted = credits_posted - 1 WHERE kind = 3",
            &|error| matches!(error, AuditError::Sums { .. }),
        ),
    ];
    find(&database, &store, &heads, &cases).await;
}

/// An id that was refused could be used again if its row was gone.
#[tokio::test]
async fn a_changed_refusal_is_found() {
    let database = CLUSTER.database();
    let store = open_one_lane(&database.address()).await;
    refuse(&*store).await;
    let heads = store.audit().await.unwrap();
    assert_eq!(heads.len(), 1);
    let cases: [(&str, &str, Check<'_>); 3] = [
        (
            "UPDATE octroi.used_up_transfers SET failed_at = failed_at + 1",
            "UPDATE octroi.used_up_transfers SET failed_at = failed_at - 1",
            &altered(1),
        ),
        (
            "CREATE TABLE octroi.taken AS SELECT * FROM octroi.used_up_transfers;
             DELETE FROM octroi.used_up_transfers",
            "INSERT INTO octroi.used_up_transfers SELECT * FROM octroi.taken;
             DROP TABLE octroi.taken",
            &altered(1),
        ),
        (
            "INSERT INTO octroi.used_up_transfers
                SELECT gen_random_uuid(), refusal, failed_at, lane, 99 FROM octroi.used_up_transfers",
            "DELETE FROM octroi.used_up_transfers WHERE batch = 99",
            &orphans,
        ),
    ];
    find(&database, &store, &heads, &cases).await;
}

/// A hold in one lane, and what resolved it in another that comes before.
#[tokio::test]
async fn holds_are_recounted_over_lanes() {
    let database = CLUSTER.database();
    let first = crate::open(&database).await;
    let suite = Suite::open(&Opened(Arc::clone(&first))).await;
    suite.credited(&Payment::new(1)).await;
    // Its lanes are higher, for those of the first are taken.
    let second = crate::open(&database).await;
    let of_second = Suite {
        store: Arc::clone(&second) as Arc<dyn Store>,
    };
    let claim = of_second.granted(&Payment::new(2)).await;
    assert_eq!(claim.payment, PaymentState::Covered);
    let steps = [octroi_claim::Step::Answer, octroi_claim::Step::Deliver];
    suite.advance(&claim, &steps).await;
    let heads = second.audit().await.unwrap();
    assert!(heads.len() >= 2, "{heads:?}");
    suite.check().await;
}
