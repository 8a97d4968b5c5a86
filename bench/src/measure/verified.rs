//! Verification without a network.

use anyhow::Result;

use super::Scale;
use crate::report::{Goal, Row, Unit};
use crate::rounds::Rounds;
use crate::verification::Verification;

const GOAL: Goal = Goal::RatioAtLeast(0.85);
/// The two sides differ by less than a busy machine's pace does from one second to the next, so they take
/// turns more often than elsewhere, in the same time.
const TURNS: u32 = 16;

pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let verification = Verification::prepare()?;
    let (rounds, time) = (scale.rounds * TURNS as usize, scale.time / TURNS);
    let rounds = Rounds::in_turns(
        rounds,
        async || verification.ours(time),
        async || verification.bare(time),
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
