//! Requests without a payment.

use anyhow::Result;
use octroi_interop::BaseSepolia;

use super::{ClosedLoop, Scale};
use crate::report::{Goal, Row, Unit};
use crate::request::Target;
use crate::rounds::Rounds;
use crate::server::{EXPRESS_PAID_PATH, Express, Gate, GateOptions, Origin};

const CONNECTIONS: usize = 64;
const GOAL: Goal = Goal::RatioAtLeast(40.0);

pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let chain = BaseSepolia::start().await?;
    let origin = Origin::start().await?;
    let gate = Gate::start(&GateOptions {
        origin_url: origin.url(),
        rpc_url: chain.url(),
    })
    .await?;
    let express = Express::start(chain.url()).await?;
    let ours = gate.site("/paid/report")?;
    let theirs = Target::parse(&format!("{}{EXPRESS_PAID_PATH}", express.url()))?;

    let mut our_loop = ClosedLoop::new(ours, CONNECTIONS, 402, vec![gate.process()]);
    let mut their_loop = ClosedLoop::new(theirs, CONNECTIONS, 402, vec![express.process()]);
    let rounds = Rounds::in_turns(
        scale.rounds,
        async || our_loop.run_for(scale.time).await,
        async || their_loop.run_for(scale.time).await,
    )
    .await?;
    Ok(vec![Row {
        work: format!("unpaid request → 402, {CONNECTIONS} connections"),
        unit: Unit::PerSecond,
        rounds,
        peer: Some("Express".to_owned()),
        goal: GOAL,
        failures: our_loop.failures,
        cpu_micros: Rounds {
            ours: our_loop.counted_cpu(),
            peer: their_loop.counted_cpu(),
        },
    }])
}
