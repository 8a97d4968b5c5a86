//! A full disk and failing I/O: the store is unavailable, and then available again without a
//! restart.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use octroi_claim::{NodeId, Step};
use octroi_store::conformance::{Payment, START, check_invariants};
use octroi_store::{ClaimOutcome, ClaimStore, StoreError, TransactionStore};
use octroi_store_sqlite::{SqliteOptions, SqliteStore};
use octroi_types::{UnixMicros, UnixSeconds};

async fn try_make(store: &SqliteStore, payment: &Payment) -> Result<bool, StoreError> {
    let ClaimOutcome::Granted(claim) = store.claim_make(payment.arrive()).await? else {
        panic!("nothing stands in the way of a grant")
    };
    let released = store
        .claim_advance(claim.key(), 0, vec![Step::Release], START)
        .await?;
    assert!(released.is_ok());
    Ok(true)
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        pages_max: Some(120),
        ..Default::default()
    };
    let store = SqliteStore::open(folder.path().join("octroi.db"), options).unwrap();
    store
        .node_beat(NodeId(1), UnixMicros(i64::MAX), START)
        .await
        .unwrap();

    let mut number = 0;
    let full = loop {
        match try_make(&store, &Payment::new(number)).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&full, StoreError::Unavailable { .. }), "{full}");
    assert!(number > 50, "{number}");
    // It stays so, for every caller, and what was acknowledged is there to read.
    for next in 10_000..10_010 {
        let error = try_make(&store, &Payment::new(next)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    check_invariants(&store).await;
    for made in 0..number {
        let claim = store
            .claim_get(Payment::new(made).key())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(claim.payment, octroi_claim::PaymentState::Released);
    }

    // The one that may have been made and not given up is in the way of nothing.
    let left = store.claims_recover(NodeId(2), 10, START).await;
    assert!(left.is_ok() || matches!(left, Err(StoreError::Unavailable { .. })));
    let key = Payment::new(number).key();
    if store
        .claim_get(key)
        .await
        .unwrap()
        .is_some_and(|claim| claim.payment.code() == 0)
    {
        // No room even to give it up: it keeps its day, as it must.
        assert_eq!(store.claims_prune(UnixSeconds(u64::MAX)).await.unwrap(), 0);
        return;
    }
    let dropped = store.claims_prune(UnixSeconds(u64::MAX)).await.unwrap();
    assert!(dropped >= u64::from(number), "{dropped}");
    for next in 20_000..20_010 {
        assert_eq!(try_make(&store, &Payment::new(next)).await, Ok(true));
    }
    check_invariants(&store).await;
    store.close().await;
}

const FOLDER: &str = "OCTROI_FAULT_TEST_FOLDER";

/// A process that may not write files beyond a size meets errors in the middle of commits.
#[test]
fn failing_writes_refuse_calls_and_the_next_ones_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    // Blocks of 512 bytes. The signal that comes with the limit is ignored: the write fails.
    let script = "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .args([
            "--exact",
            "faults::child_with_a_file_limit",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let counts = text
        .lines()
        .find_map(|line| line.split_once("@counts "))
        .unwrap()
        .1;
    let counts: Vec<u32> = counts
        .split(' ')
        .map(|count| count.parse().unwrap())
        .collect();
    let [made, failed, made_after] = counts[..] else {
        panic!("{text}")
    };
    assert!(made > 0 && failed > 0 && made_after > 0, "{text}");
}

#[test]
#[ignore = "run by another test, under a limit on the size of files"]
fn child_with_a_file_limit() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(folder.join("octroi.db"), SqliteOptions::default()).unwrap();
        store
            .node_beat(NodeId(1), UnixMicros(i64::MAX), START)
            .await
            .unwrap();
        let (mut made, mut failed, mut made_after) = (Vec::new(), 0, 0);
        for number in 0..2_000 {
            let payment = Payment::new(number);
            match store.claim_make(payment.arrive()).await {
                Ok(ClaimOutcome::Granted(claim)) => {
                    made.push(claim);
                    made_after += u32::from(failed > 0);
                }
                Ok(ClaimOutcome::Refused(refused)) => panic!("{refused:?}"),
                Err(StoreError::Unavailable { .. }) => {
                    failed += 1;
                    assert_eq!(store.claim_get(payment.key()).await.unwrap(), None);
                }
                Err(error) => panic!("{error}"),
            }
            if made_after > 100 {
                break;
            }
        }
        for claim in &made {
            assert_eq!(
                store.claim_get(claim.key()).await.unwrap().as_ref(),
                Some(&**claim)
            );
        }
        let page = store
            .transactions_list(Default::default(), None, 1)
            .await
            .unwrap();
        assert_eq!(page.rows.len(), 1);
        store.close().await;
        let mut out = std::io::stdout();
        writeln!(out, "@counts {} {failed} {made_after}", made.len()).unwrap();
    });
}
