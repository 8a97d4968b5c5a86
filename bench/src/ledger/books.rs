//! The store's books, from many callers at once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use octroi_ledger::{
    AccountKind, Action, Cause, Draw, GrantSource, Holder, Intent, Ledger, NewTransfer, Outcome,
    Reason, Subject,
};
use octroi_store::LedgerStore as _;
use octroi_store_sqlite::{SqliteOptions, SqliteStore};
use octroi_types::{
    Amount, Asset, ClaimId, GrantId, Mode, TenantId, TransactionId, TransferId, UnixMicros,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::BALANCES;

/// What each balance is given: nobody runs out of it, and all of it together can be counted.
const GIVEN: u64 = 100_000_000_000_000;
const PRICE: u64 = 1_000_000;

/// A store with balances.
pub struct Books {
    store: Arc<SqliteStore>,
    runtime: Runtime,
    next: Arc<AtomicU32>,
}

/// Threads as the gate has them.
pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

pub(super) fn rate(done: u64, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
    let done = done as f64;
    done / elapsed.as_secs_f64()
}

fn ledger() -> Ledger {
    Ledger {
        tenant: TenantId::from_bytes([1; 16]),
        mode: Mode::Live,
        asset: Asset::Usd,
    }
}

fn grant(number: u32) -> GrantId {
    let mut id = [0xac; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    GrantId::from_bytes(id)
}

/// What one caller does over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A balance is debited, and the seller credited.
    Post,
    /// A balance is debited, and another one credited.
    Spread,
    /// A balance is held, and then captured.
    HoldAndCapture,
}

impl Books {
    /// A new store in a folder, with money in each balance.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        let runtime = runtime()?;
        let options = SqliteOptions::default();
        let store = SqliteStore::open(folder.join("octroi.db"), options).context("octroi.db")?;
        let books = Self {
            store: Arc::new(store),
            runtime,
            next: Arc::default(),
        };
        books.runtime.block_on(async {
            let mut issues = JoinSet::new();
            for number in 0..BALANCES {
                let store = Arc::clone(&books.store);
                let amount = Amount::new(GIVEN)?;
                let issue = ledger().grant_issue(grant(number), GrantSource::Rail, amount);
                issues.spawn(async move { store.ledger_submit(issue, UnixMicros::now()).await });
            }
            for issued in issues.join_all().await {
                if issued? != Outcome::Applied {
                    bail!("a grant was not issued");
                }
            }
            Ok(())
        })?;
        Ok(books)
    }

    /// Units of work a second, done by so many callers that each wait for the answer to one.
    ///
    /// # Errors
    /// If a call fails.
    pub fn run(&self, work: Work, callers: usize, time: Duration) -> Result<f64> {
        let begun = Instant::now();
        let done = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..callers {
                let (store, next) = (Arc::clone(&self.store), Arc::clone(&self.next));
                tasks.spawn(work_until(store, next, work, begun + time));
            }
            let mut done = 0;
            for counted in tasks.join_all().await {
                done += counted?;
            }
            anyhow::Ok(done)
        })?;
        Ok(rate(done, begun.elapsed()))
    }

    /// Ends it, after a look at all of the books.
    ///
    /// # Errors
    /// If they are not what was written.
    pub fn finish(self) -> Result<()> {
        self.runtime.block_on(async {
            self.store.audit().await?;
            self.store.close().await;
            Ok(())
        })
    }
}

async fn work_until(
    store: Arc<SqliteStore>,
    next: Arc<AtomicU32>,
    work: Work,
    end: Instant,
) -> Result<u64> {
    let amount = Amount::new(PRICE)?;
    let mut done = 0;
    while Instant::now() < end {
        let number = next.fetch_add(1, Ordering::Relaxed) % BALANCES;
        match work {
            Work::Post => submit(&store, post(number, None, amount)).await?,
            Work::Spread => {
                let other = (number + BALANCES / 2) % BALANCES;
                submit(&store, post(number, Some(other), amount)).await?;
            }
            Work::HoldAndCapture => {
                let claim = ClaimId::generate();
                let draw = Draw {
                    grant: grant(number),
                    amount,
                };
                let hold = ledger().charge_hold(claim, 0, &[draw], Duration::MAX);
                submit(&store, hold).await?;
                let parts = octroi_ledger::ChargeParts {
                    captured: vec![amount],
                    ..Default::default()
                };
                let balance = octroi_types::BalanceId::from_bytes([3; 16]);
                let capture = ledger().charge_capture(claim, 0, balance, &parts);
                submit(&store, capture).await?;
            }
        }
        done += 1;
    }
    Ok(done)
}

async fn submit(store: &SqliteStore, intent: Intent) -> Result<()> {
    match store.ledger_submit(intent, UnixMicros::now()).await? {
        Outcome::Applied => Ok(()),
        outcome => bail!("{outcome:?}"),
    }
}

fn post(from: u32, to: Option<u32>, amount: Amount) -> Intent {
    let to = match to {
        Some(number) => ledger().grant(grant(number)),
        None => ledger().account(AccountKind::TenantRevenue, Holder::Tenant),
    };
    let transfer = NewTransfer {
        id: TransferId::generate(),
        action: Action::Post {
            debit: ledger().grant(grant(from)).id,
            credit: to.id,
            amount,
        },
        cause: Cause {
            reason: Reason::Charge,
            subject: Subject::Transaction(TransactionId::from_bytes([2; 16])),
        },
    };
    Intent {
        accounts: vec![to],
        transfers: vec![transfer],
    }
}
