//! `octroi-bench run`: every measurement, the table and the record.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use octroi_bench::machine::{Machine, tool_version};
use octroi_bench::measure::{Measure, Scale};
use octroi_bench::report::Report;
use octroi_bench::server::{Express, Gate, Nginx};
use octroi_types::UnixMicros;

use super::say;

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Only this measurement; may be repeated
    #[arg(long, value_name = "NAME", value_parser = parse_measure)]
    only: Vec<Measure>,
    /// Also write everything to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Few and short rounds: to see that it works
    #[arg(long)]
    quick: bool,
}

fn parse_measure(name: &str) -> Result<Measure, String> {
    let found = Measure::ALL
        .into_iter()
        .find(|measure| measure.name() == name);
    found.ok_or_else(|| format!("one of {}", Measure::ALL.map(Measure::name).join(", ")))
}

/// Measures, shows and records. What cannot be measured does not keep the rest from it, but is an
/// error in the end; a goal that is not reached is none.
pub(super) fn run(arguments: &RunArguments) -> Result<()> {
    let wanted: &[Measure] = if arguments.only.is_empty() {
        &Measure::ALL
    } else {
        &arguments.only
    };
    let scale = if arguments.quick {
        Scale::QUICK
    } else {
        Scale::FULL
    };
    let mut report = Report {
        started: UnixMicros::now(),
        quick: arguments.quick,
        machine: Machine::this()?,
        versions: versions(),
        rows: Vec::new(),
        missing: Vec::new(),
    };
    let machine = &report.machine;
    say(&format!(
        "{} × {}, Linux {}, load average {} before the start",
        machine.cores, machine.cpu, machine.kernel, machine.load_average
    ))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for measure in wanted {
        say(&format!("measuring: {}", measure.name()))?;
        match runtime.block_on(measure.run(&scale)) {
            Ok(rows) => report.rows.extend(rows),
            Err(error) => report.missing.push((measure.name(), format!("{error:#}"))),
        }
    }
    say(&format!("\n{}", report.to_text()))?;
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.to_json())?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    match report.missing.len() {
        0 => Ok(()),
        missing => bail!("{missing} of {} measurements are missing", wanted.len()),
    }
}

/// Ours and the peers', as far as they are there.
fn versions() -> Vec<(&'static str, String)> {
    let commit = ["describe", "--always", "--dirty"];
    let found = [
        ("octroi", Gate::version()),
        ("commit", tool_version("git", &commit)),
        ("nginx", Nginx::version()),
        ("node", tool_version("node", &["--version"])),
        ("express", Express::package_version("express")),
        ("@x402/express", Express::package_version("@x402/express")),
        ("@x402/evm", Express::package_version("@x402/evm")),
        ("viem", Express::package_version("viem")),
        ("anvil", Express::package_version("@foundry-rs/anvil")),
    ];
    let shown = |version: Result<String>| version.unwrap_or_else(|_| "not installed".to_owned());
    found.map(|(name, version)| (name, shown(version))).into()
}
