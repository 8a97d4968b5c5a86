//! Requests that cost nothing: what the gate is as a plain reverse proxy.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use anyhow::{Context as _, Result};
use octroi_interop::BaseSepolia;

use super::{ClosedLoop, Scale};
use crate::histogram::Histogram;
use crate::load::{Load, Pace, Stop};
use crate::pacing::Schedule;
use crate::report::{Goal, Row, Unit};
use crate::request::{Requests, Target};
use crate::rounds::Rounds;
use crate::server::{Gate, GateOptions, Nginx, Origin};

const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
const PATH: &str = "/free/hello";
const THROUGHPUT_GOAL: Goal = Goal::RatioAtLeast(0.5);
const CPU_GOAL: Goal = Goal::AtMost(30.0);
const P50_GOAL: Goal = Goal::AtMost(0.15);
const P99_GOAL: Goal = Goal::AtMostOverPeer(1.0);

/// The gate and nginx in front of the same origin.
struct Proxies {
    origin: Origin,
    gate: Gate,
    nginx: Nginx,
    // The gate's networks have to be there even if nobody pays.
    _chain: BaseSepolia,
}

impl Proxies {
    async fn start() -> Result<Self> {
        let origin = Origin::start().await?;
        let nginx = Nginx::start(origin.url()).await?;
        let chain = BaseSepolia::start().await?;
        let options = GateOptions {
            origin_url: origin.url(),
            rpc_url: chain.url(),
        };
        let gate = Gate::start(&options).await?;
        Ok(Self {
            origin,
            gate,
            nginx,
            _chain: chain,
        })
    }

    fn through_gate(&self) -> Result<Target> {
        self.gate.site(PATH)
    }

    fn through_nginx(&self) -> Result<Target> {
        Target::parse(&format!("{}{PATH}", self.nginx.url()))
    }

    fn bare(&self) -> Result<Target> {
        Target::parse(&format!("{}{PATH}", self.origin.url()))
    }
}

/// As many requests as each can answer, and the processor time that they take.
pub(super) async fn throughput(scale: &Scale) -> Result<Vec<Row>> {
    let proxies = Proxies::start().await?;
    let (gate, nginx) = (&proxies.gate, &proxies.nginx);
    let connections = CONNECTIONS.get();
    let mut our_loop = ClosedLoop::new(
        proxies.through_gate()?,
        connections,
        200,
        vec![gate.process()],
    );
    let mut their_loop =
        ClosedLoop::new(proxies.through_nginx()?, connections, 200, nginx.workers()?);
    let per_second = Rounds::in_turns(
        scale.rounds,
        async || our_loop.run_for(scale.time).await,
        async || their_loop.run_for(scale.time).await,
    )
    .await?;
    let failures = our_loop.failures;
    let cpu = Rounds {
        ours: our_loop.counted_cpu(),
        peer: their_loop.counted_cpu(),
    };
    let row = |work, unit, rounds, goal| Row {
        work,
        unit,
        rounds,
        peer: Some("nginx".to_owned()),
        goal,
        cpu_micros: Rounds::default(),
        failures,
    };
    Ok(vec![
        row(
            format!("free pass-through, {CONNECTIONS} connections"),
            Unit::PerSecond,
            per_second,
            THROUGHPUT_GOAL,
        ),
        row(
            "processor time of a free pass-through".to_owned(),
            Unit::Micros,
            cpu,
            CPU_GOAL,
        ),
    ])
}

/// Both proxies at the same steady rate, half of what the slower of them can do, and the origin
/// without any at that rate too.
pub(super) async fn latency(scale: &Scale) -> Result<Vec<Row>> {
    let proxies = Proxies::start().await?;
    let targets = [
        proxies.bare()?,
        proxies.through_gate()?,
        proxies.through_nginx()?,
    ];
    let mut failures = 0;
    let mut slowest = f64::MAX;
    for target in &targets[1..] {
        let mut full_load = ClosedLoop::new(target.clone(), CONNECTIONS.get(), 200, Vec::new());
        slowest = slowest.min(full_load.run_for(scale.time).await?);
        failures += full_load.failures;
    }
    let rate = half(slowest)?;

    let (mut p50, mut p99) = (Rounds::default(), Rounds::default());
    for _ in 0..scale.rounds {
        let mut latencies = Vec::new();
        for target in &targets {
            latencies.push(at_rate(target, rate, scale.time, &mut failures).await?);
        }
        let added = |side: usize, per_mille| {
            let of = |side: usize| latencies[side].per_mille(per_mille).as_secs_f64() * 1_000.0;
            of(side) - of(0)
        };
        p50.ours.push(added(1, 500));
        p50.peer.push(added(2, 500));
        p99.ours.push(added(1, 990));
        p99.peer.push(added(2, 990));
    }
    let row = |percentile, rounds, goal| Row {
        work: format!("latency added to a free request, {percentile}, at {rate}/s"),
        unit: Unit::Millis,
        rounds,
        peer: Some("nginx".to_owned()),
        goal,
        cpu_micros: Rounds::default(),
        failures,
    };
    Ok(vec![row("p50", p50, P50_GOAL), row("p99", p99, P99_GOAL)])
}

async fn at_rate(
    target: &Target,
    rate: NonZeroU64,
    time: Duration,
    failures: &mut u64,
) -> Result<Histogram> {
    let load = Load {
        target: target.clone(),
        requests: Requests::Same(target.get(&[]).into()),
        connections: CONNECTIONS,
        threads: NonZeroUsize::MIN,
        pace: Pace::Steady(Schedule::new(rate)),
        stop: Stop::After(time),
    };
    let outcome = load.run_blocking().await?;
    *failures += outcome.failures(200);
    Ok(outcome.latency)
}

fn half(per_second: f64) -> Result<NonZeroU64> {
    // Through a duration, because that converts with checks, and to the nearest.
    let nanos = Duration::try_from_secs_f64(per_second / 2e9)?.as_nanos();
    NonZeroU64::new(nanos.try_into()?).context("nothing was answered at full load")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_rate_is_a_whole_number() {
        assert_eq!(half(20_001.4).unwrap().get(), 10_001);
        assert!(half(0.0).is_err());
        assert!(half(f64::NAN).is_err());
    }
}
