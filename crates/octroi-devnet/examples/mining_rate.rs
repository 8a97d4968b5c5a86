//! How many authorizations a second the network settles, one block per batch, and how long
//! reopening takes. `cargo run --release -p octroi-devnet --example mining_rate [AUTHORIZATIONS]`

#[path = "../tests/devnet/support.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "written for the tests, which use all of it and may panic"
)]
mod support;

use std::time::{Duration, Instant};

use octroi_devnet::BlockTime;
use serde_json::json;

use support::*;

/// Authorizations in one transaction, and so in one block.
const BATCH: u64 = 64;
/// Payers take turns.
const PAYERS: u32 = 1000;

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let authorizations: u64 = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 100_000,
    };
    let batches = authorizations.div_ceil(BATCH);
    let directory = std::env::temp_dir().join(format!("octroi-devnet-{}", std::process::id()));

    let memory = Net::with(|_| {});
    let in_memory = settle(&memory, batches)?;
    println!("in memory:  {}", rate(batches, in_memory));
    drop(memory);

    let net = Net::with(|options| options.persist_path = Some(directory.clone()));
    let on_disk = settle(&net, batches)?;
    println!("persistent: {}", rate(batches, on_disk));
    let head = net.head();
    drop(net);

    for how in ["after a kill", "after close"] {
        let start = Instant::now();
        let net = Net::with(|options| {
            options.persist_path = Some(directory.clone());
            options.block_time = BlockTime::Manual;
        });
        println!("reopened {how} in {:?}", start.elapsed());
        assert_eq!(net.head(), head);
        net.node.close()?;
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

/// Sends signed batches one after the other and returns how long that took.
fn settle(net: &Net, batches: u64) -> Result<Duration, Box<dyn std::error::Error>> {
    let (settler, payee) = (Wallet::of(1), Wallet::of(5).address);
    let payers: Vec<_> = (100..100 + PAYERS).map(Wallet::of).collect();
    for payer in &payers {
        let address = octroi_types::Address(payer.address.into_array());
        net.node.fund(address, octroi_types::Amount::MAX, 0).ok();
    }
    let mut spent = Duration::ZERO;
    let mut next = payers.iter().cycle();
    for batch in 0..batches {
        let calls: Vec<_> = (0..BATCH)
            .filter_map(|index| Some((next.next()?, batch * BATCH + index)))
            .map(|(payer, salt)| (token(), payment(payer, payee, 1, salt)))
            .collect();
        let raw = settler.transaction(batch, multicall(), aggregate(&calls), |_| {});
        let params = json!([raw.to_string()]);
        let start = Instant::now();
        let receipt = net.node.handle("eth_sendRawTransactionSync", &params)?;
        spent += start.elapsed();
        if batch % 256 == 0 {
            net.node.tick()?;
        }
        let logs = receipt["logs"].as_array().map_or(0, Vec::len);
        assert_eq!(u64::try_from(logs)?, BATCH * 2, "not all settled");
    }
    Ok(spent)
}

fn rate(batches: u64, spent: Duration) -> String {
    let seconds = spent.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    let (blocks, authorizations) = (batches as f64, (batches * BATCH) as f64);
    format!(
        "{:.0} blocks/s, {:.0} authorizations/s, {:.0} µs each",
        blocks / seconds,
        authorizations / seconds,
        seconds * 1e6 / authorizations,
    )
}
