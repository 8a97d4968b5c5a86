//! How many paid requests a second the store carries, and what one costs the writer's thread.
//!
//! `cargo run --release -p octroi-store-sqlite --example throughput [seconds] [folder]`
//!
//! 512 callers in 8 groups. Each group makes 64 claims, says that their answers came, settles them
//! in one transaction, and delivers: the five writes of a paid request.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use octroi_claim::{Binding, Claim, ClaimKey, NewClaim, NodeId, SettleOrder, Step};
use octroi_store::{
    Attempt, ClaimOutcome, ClaimRequest, ClaimStore, Fact, FactOutcome, Inclusion, NewSettlement,
    NewTransaction, OpenOutcome, SettlementStore,
};
use octroi_store_sqlite::{Commit, SqliteOptions, SqliteStore};
use octroi_types::{
    Address, Amount, B256, ChainId, ClaimId, Mode, PaywallId, Redacted, RequestId, SettlementId,
    TenantId, TransactionId, UnixMicros,
};
use tokio::task::JoinSet;

const GROUPS: u64 = 8;
const GROUP_LEN: u64 = 64;
const CHAIN: ChainId = ChainId(84_532);
const TENANTS: u64 = 4;
const PAYERS: u64 = 10_000;

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    commits: AtomicU64,
    calls: AtomicU64,
    commit_micros: AtomicU64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().map_or(5, |text| text.parse().unwrap());
    let folder = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("octroi-throughput-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();

    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    let on_commit = move |commit: &Commit| {
        counted.commits.fetch_add(1, Ordering::Relaxed);
        counted
            .calls
            .fetch_add(commit.calls as u64, Ordering::Relaxed);
        let micros = u64::try_from(commit.elapsed.as_micros()).unwrap_or(u64::MAX);
        counted.commit_micros.fetch_add(micros, Ordering::Relaxed);
    };
    let options = SqliteOptions {
        on_commit: Some(Arc::new(on_commit)),
        ..Default::default()
    };
    let store = Arc::new(SqliteStore::open(folder.join("octroi.db"), options).unwrap());
    store
        .node_beat(NodeId(1), UnixMicros(i64::MAX), UnixMicros::now())
        .await
        .unwrap();

    let (begun, cpu_before) = (Instant::now(), writer_cpu());
    let end = begun + Duration::from_secs(seconds);
    let mut groups = JoinSet::new();
    for group in 0..GROUPS {
        groups.spawn(run_group(
            Arc::clone(&store),
            Arc::clone(&counts),
            group,
            end,
        ));
    }
    while let Some(group) = groups.join_next().await {
        group.unwrap();
    }
    report(&counts, begun.elapsed(), writer_cpu() - cpu_before);
    let head = store.audit().await.unwrap();
    println!(
        "books          {} batches sealed, chain intact",
        head.sequence
    );
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

fn report(counts: &Counts, elapsed: Duration, cpu: Duration) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed).max(1);
    let (requests, commits) = (load(&counts.requests), load(&counts.commits));
    let per = |total: Duration, count: u64| total.as_secs_f64() * 1e6 / count as f64;
    let rate = |count: u64| count as f64 / elapsed.as_secs_f64();
    println!("paid requests  {requests} ({:.0}/s)", rate(requests));
    println!(
        "writer CPU     {:.1} us per paid request",
        per(cpu, requests)
    );
    println!("commits        {commits} ({:.0}/s)", rate(commits));
    println!(
        "calls          {:.0} per commit",
        load(&counts.calls) as f64 / commits as f64
    );
    let in_commits = Duration::from_micros(load(&counts.commit_micros));
    println!(
        "commit         {:.0} us with its calls",
        per(in_commits, commits)
    );
}

/// CPU time of the writer's thread so far.
fn writer_cpu() -> Duration {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        if std::fs::read_to_string(task.join("comm")).unwrap().trim() == "octroi-store" {
            let times = std::fs::read_to_string(task.join("schedstat")).unwrap();
            let running_ns = times.split_whitespace().next().unwrap().parse().unwrap();
            return Duration::from_nanos(running_ns);
        }
    }
    Duration::ZERO
}

async fn run_group(store: Arc<SqliteStore>, counts: Arc<Counts>, group: u64, end: Instant) {
    let mut round = 0;
    while Instant::now() < end {
        let first = (round * GROUPS + group) * GROUP_LEN;
        let mut calls = JoinSet::new();
        for number in first..first + GROUP_LEN {
            let store = Arc::clone(&store);
            calls.spawn(async move { make_and_answer(&store, number).await });
        }
        let claims = calls.join_all().await;
        settle(&store, round * GROUPS + group, &claims).await;
        let mut calls = JoinSet::new();
        for claim in claims {
            let store = Arc::clone(&store);
            calls.spawn(async move { advance(&store, claim.key(), Step::Deliver).await });
        }
        calls.join_all().await;
        counts.requests.fetch_add(GROUP_LEN, Ordering::Relaxed);
        round += 1;
    }
}

async fn make_and_answer(store: &SqliteStore, number: u64) -> Claim {
    match store.claim_make(request(number)).await.unwrap() {
        ClaimOutcome::Granted(claim) => advance(store, claim.key(), Step::Answer).await,
        ClaimOutcome::Refused(refused) => unreachable!("{refused:?}"),
    }
}

async fn advance(store: &SqliteStore, key: ClaimKey, step: Step) -> Claim {
    store
        .claim_advance(key, 0, vec![step], UnixMicros::now())
        .await
        .unwrap()
        .unwrap()
}

async fn settle(store: &SqliteStore, number: u64, claims: &[Claim]) {
    let now = UnixMicros::now();
    let tx_hash = scattered(number, 7);
    let id = SettlementId::generate();
    let opened = store
        .settlement_open(NewSettlement {
            id,
            chain: CHAIN,
            wallet: Address([1; 20]),
            nonce: number,
            attempt: Attempt {
                tx_hash,
                raw_tx: Redacted::new(vec![0; 300 * claims.len()]),
                max_fee_per_gas: 1_000_000_000,
                max_priority_fee_per_gas: 1_000_000,
                created_at: now,
            },
            claims: claims
                .iter()
                .map(|claim| (claim.key(), claim.epoch))
                .collect(),
        })
        .await
        .unwrap();
    assert_eq!(opened, OpenOutcome::Opened);
    let block_hash = scattered(number, 8);
    let inclusion = Inclusion {
        tx_hash,
        block_number: number,
        block_hash,
    };
    let settled = |(claim, log_index): (&Claim, u64)| {
        (
            claim.key(),
            Fact::Settled {
                inclusion,
                log_index,
            },
        )
    };
    let facts = claims.iter().zip(0..).map(settled).collect();
    let outcomes = store
        .settlement_included(id, inclusion, facts, now)
        .await
        .unwrap();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, FactOutcome::Applied(_)))
    );
    store.settlements_final(vec![id]).await.unwrap();
}

fn request(number: u64) -> ClaimRequest {
    let now = UnixMicros::now();
    let tenant = number % TENANTS;
    let mut payer = [2; 20];
    payer[..8].copy_from_slice(&(number % PAYERS).to_be_bytes());
    let transaction = TransactionId::generate();
    ClaimRequest {
        claim: NewClaim {
            id: ClaimId::generate(),
            identity: scattered(number, 1),
            tenant: TenantId::from_bytes([u8::try_from(tenant).unwrap(); 16]),
            mode: Mode::Test,
            paywall: PaywallId::from_bytes([u8::try_from(number % 16).unwrap(); 16]),
            transaction,
            binding: Binding(scattered(number, 2)),
            secret: None,
            order: SettleOrder::ResponseHead,
            chain: CHAIN,
            asset: Address([3; 20]),
            payer: Address(payer),
            pay_to: Address([4; 20]),
            amount: Amount::new(1_000).unwrap(),
            nonce: scattered(number, 3),
            valid_before: now.seconds().plus(60 + number % 240),
            owner: NodeId(1),
            created_at: now,
        },
        transaction: NewTransaction {
            id: transaction,
            request: RequestId::generate(),
            service: None,
            method: "GET".to_owned(),
            path: "/v1/weather/current".to_owned(),
            rail: "x402-v2",
        },
        payer_balance: Amount::new(1_000_000_000).ok(),
        failed_since: UnixMicros(now.0 - 600_000_000),
        now,
    }
}

/// 32 bytes that differ for each number and kind, and lie as scattered as hashes.
fn scattered(number: u64, kind: u64) -> B256 {
    let mut state =
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ kind.wrapping_mul(0xd6e8_feb8_6659_fd93);
    let mut bytes = [0; 32];
    for chunk in bytes.chunks_exact_mut(8) {
        state = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 29;
        chunk.copy_from_slice(&state.to_be_bytes());
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    B256(bytes)
}
