//! Verification without a network.

use anyhow::Result;

use super::Scale;
use crate::report::{Goal, Row, Unit};
use crate::rounds::Rounds;
use crate::verification::Verification;

const GOAL: Goal = Goal::RatioAtLeast(0.85);

pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let verification = Verification::prepare()?;
    let rounds = Rounds::in_turns(
        scale.rounds,
        async || verification.ours(scale.time),
        async || verification.bare(scale.time),
    )
    .await?;
    Ok(vec![Row {
        work: "offline verification, one core".to_owned(),
        unit: Unit::PerSecond,
        rounds,
        peer: Some("bare recovery".to_owned()),
        goal: GOAL,
        cpu_micros: Rounds::default(),
        failures: 0,
    }])
}
