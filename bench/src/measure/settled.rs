//! Paid requests settled on somebody else's node.

use anyhow::Result;
use octroi_interop::BaseSepolia;

use super::{ClosedLoop, Scale};
use crate::payments::{Buyers, Signer};
use crate::report::{Goal, Row, Unit};
use crate::request::Target;
use crate::rounds::Rounds;
use crate::server::{EXPRESS_PAID_PATH, Express, Gate, GateOptions, Origin};

const IN_FLIGHT: usize = 64;
const BUYERS: usize = 64;
/// A million dollars each.
const FUNDS: u128 = 1_000_000_000_000;
const GOAL: Goal = Goal::RatioAtLeast(8.0);

pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let chain = BaseSepolia::start().await?;
    let buyers = Buyers::new(BUYERS)?;
    for buyer in buyers.addresses() {
        chain.usdc.mint(buyer, FUNDS).await?;
    }
    let origin = Origin::start().await?;
    let gate = Gate::start(&GateOptions {
        origin_url: origin.url(),
        rpc_url: chain.url(),
    })
    .await?;
    let express = Express::start(chain.url()).await?;
    let ours = gate.site("/paid/report")?;
    let theirs = Target::parse(&format!("{}{EXPRESS_PAID_PATH}", express.url()))?;
    let our_signer = Signer::ask(ours.clone(), buyers.clone()).await?;
    let their_signer = Signer::ask(theirs.clone(), buyers).await?;

    let mut our_loop = ClosedLoop::new(ours, IN_FLIGHT, 200, vec![gate.process()]);
    let mut their_loop = ClosedLoop::new(theirs, IN_FLIGHT, 200, vec![express.process()]);
    let (our_payments, their_payments) = scale.settlements;
    let rounds = Rounds::in_turns(
        scale.rounds,
        async || our_loop.run_all(our_signer.sign(our_payments)?).await,
        async || their_loop.run_all(their_signer.sign(their_payments)?).await,
    )
    .await?;
    Ok(vec![Row {
        work: format!("paid request settled on anvil, {IN_FLIGHT} in flight"),
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
