//! Paid requests on the local test network: a real EVM, real signatures, durable claims.

use anyhow::Result;

use super::{ClosedLoop, Scale};
use crate::payments::{Buyers, Signer};
use crate::report::{Goal, Row, Unit};
use crate::rounds::Rounds;
use crate::server::DevGate;

const BUYERS: usize = 64;
/// Connections, and payments a second to reach with them.
const GOALS: [(usize, f64); 2] = [(64, 3_000.0), (512, 5_000.0)];

pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let gate = DevGate::start().await?;
    let target = gate.paid()?;
    let buyers = Buyers::new(BUYERS)?;
    let signer = Signer::ask(target.clone(), buyers.clone()).await?;
    gate.fund(signer.asset(), &buyers).await?;

    let mut rows = Vec::new();
    for (connections, per_second) in GOALS {
        let processes = vec![gate.process()];
        let mut paying = ClosedLoop::new(target.clone(), connections, 200, processes);
        let rounds = Rounds::alone(scale.rounds, async || {
            paying.run_all(signer.sign(scale.payments)?).await
        })
        .await?;
        rows.push(Row {
            work: format!("paid request, local test network, {connections} connections"),
            unit: Unit::PerSecond,
            rounds,
            peer: None,
            goal: Goal::AtLeast(per_second),
            failures: paying.failures,
            cpu_micros: Rounds {
                ours: paying.counted_cpu(),
                peer: Vec::new(),
            },
        });
    }
    Ok(rows)
}
