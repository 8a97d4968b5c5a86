//! Resident memory. Each measurement has a gate of its own: an allocator does not give everything
//! back.

use anyhow::{Context as _, Result, ensure};
use octroi_interop::BaseSepolia;

use super::{ClosedLoop, Scale};
use crate::load::Stop;
use crate::open_connections::open_connections;
use crate::payments::{Buyers, Signer};
use crate::process::ProcessId;
use crate::report::{Goal, Row, Unit};
use crate::request::Requests;
use crate::rounds::Rounds;
use crate::server::{Gate, GateOptions, Origin};

const IDLE_GOAL: Goal = Goal::AtMost(40.0);
const CONNECTIONS_GOAL: Goal = Goal::AtMost(150.0);
const DOWNLOAD_GOAL: Goal = Goal::AtMost(60.0);
const FREE_PATH: &str = "/free/hello";
/// Ten dollars.
const FUNDS: u128 = 10_000_000;

pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let chain = BaseSepolia::start().await?;
    let origin = Origin::start().await?;
    let options = GateOptions {
        origin_url: origin.url(),
        rpc_url: chain.url(),
    };

    let gate = Gate::start(&options).await?;
    let idle = resident_megabytes(gate.process())?;

    let gate_for_connections = Gate::start(&options).await?;
    let connected = with_open_connections(&gate_for_connections, scale.open_connections).await?;

    let buyers = Buyers::new(1)?;
    for buyer in buyers.addresses() {
        chain.usdc.mint(buyer, FUNDS).await?;
    }
    let gate_for_download = Gate::start(&options).await?;
    let download = during_download(&gate_for_download, buyers, scale.download_bytes).await?;

    let row = |work, megabytes, goal| Row {
        work,
        unit: Unit::Megabytes,
        rounds: Rounds {
            ours: vec![megabytes],
            peer: Vec::new(),
        },
        peer: None,
        goal,
        cpu_micros: Rounds::default(),
        failures: 0,
    };
    let size = scale.download_bytes / 1_000_000;
    Ok(vec![
        row("resident memory, idle".to_owned(), idle, IDLE_GOAL),
        row(
            format!(
                "resident memory, {} open connections",
                scale.open_connections
            ),
            connected,
            CONNECTIONS_GOAL,
        ),
        row(
            format!("resident memory, peak during a paid download of {size} MB"),
            download,
            DOWNLOAD_GOAL,
        ),
    ])
}

async fn with_open_connections(gate: &Gate, count: usize) -> Result<f64> {
    let target = gate.site(FREE_PATH)?;
    let held = tokio::task::spawn_blocking(move || open_connections(&target, count)).await??;
    let resident = resident_megabytes(gate.process())?;
    drop(held);
    Ok(resident)
}

async fn during_download(gate: &Gate, buyers: Buyers, bytes: u64) -> Result<f64> {
    let target = gate.site(&format!("/download?bytes={bytes}"))?;
    let signer = Signer::ask(target.clone(), buyers).await?;
    let mut downloading = ClosedLoop::new(target, 1, 200, vec![gate.process()]);
    gate.process().reset_peak()?;
    let payment = signer.sign(1)?;
    let outcome = downloading
        .run(Requests::Distinct(payment.into()), Stop::Count(1))
        .await?;
    ensure!(
        downloading.failures == 0,
        "the download failed: {:?}",
        outcome.statuses
    );
    ensure!(
        outcome.body_bytes == bytes,
        "{} of {bytes} bytes arrived",
        outcome.body_bytes
    );
    let peak = gate
        .process()
        .peak_resident_bytes()
        .context("the gate has ended")?;
    Ok(peak as f64 / 1e6)
}

fn resident_megabytes(process: ProcessId) -> Result<f64> {
    Ok(process.resident_bytes()? as f64 / 1e6)
}
