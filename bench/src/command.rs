//! The command line.

mod run;

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use octroi_bench::load::{Load, Outcome, Pace, Stop};
use octroi_bench::open_connections::open_connections;
use octroi_bench::origin;
use octroi_bench::pacing::Schedule;
use octroi_bench::request::{Requests, Target};
use tokio::net::TcpListener;

/// How fast the gate is, and the tools to find out.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the gate beside its peers and print a table
    Run(run::RunArguments),
    /// Put load on a server and say how it did
    Load(LoadArguments),
    /// Open connections, one request on each, and hold them until standard input ends
    OpenConnections {
        count: usize,
        /// A plain HTTP URL
        url: String,
    },
    /// Serve small answers, and large ones under `/download?bytes=N`
    Origin {
        /// Where to listen; port 0 takes a free one
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

#[derive(Debug, Args)]
struct LoadArguments {
    /// A plain HTTP URL
    url: String,
    #[arg(long, short, default_value = "64")]
    connections: NonZeroUsize,
    #[arg(long, short, default_value = "1")]
    threads: NonZeroUsize,
    /// For how long requests are sent
    #[arg(long, short, default_value_t = 5.0)]
    seconds: f64,
    /// How many requests are sent, instead of for how long
    #[arg(long, conflicts_with = "seconds")]
    requests: Option<u64>,
    /// Requests a second, instead of as many as are answered
    #[arg(long)]
    rate: Option<NonZeroU64>,
    /// A field of the requests, like `Accept: text/html`; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

/// Runs the command.
pub(crate) fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Load(arguments) => load(&arguments),
        Command::OpenConnections { count, url } => hold_connections(count, &url),
        Command::Origin { listen } => serve_origin(listen),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(arguments: &LoadArguments) -> Result<()> {
    let target = Target::parse(&arguments.url)?;
    let mut fields = Vec::new();
    for header in &arguments.headers {
        let (name, value) = header
            .split_once(':')
            .with_context(|| format!("{header} has no colon"))?;
        fields.push((name.trim(), value.trim()));
    }
    let request: Arc<[u8]> = target.get(&fields).into();
    let stop = match arguments.requests {
        Some(count) => Stop::Count(count),
        None => Stop::After(Duration::try_from_secs_f64(arguments.seconds)?),
    };
    let load = Load {
        target,
        requests: Requests::Same(request),
        connections: arguments.connections,
        threads: arguments.threads,
        pace: arguments
            .rate
            .map_or(Pace::Closed, |rate| Pace::Steady(Schedule::new(rate))),
        stop,
    };
    say(&summary(&load.run()?))
}

fn summary(outcome: &Outcome) -> String {
    let latency = &outcome.latency;
    let mut text = format!(
        "{} answers in {:.2?}: {:.0}/s, {:.1} MB/s of bodies\nlatency",
        outcome.answered(),
        outcome.elapsed,
        outcome.per_second(),
        outcome.body_bytes as f64 / 1e6 / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE),
    );
    for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
        text += &format!("  {name} {:.1?}", latency.per_mille(per_mille));
    }
    text += &format!("  max {:.1?}\nstatus ", latency.max());
    for (status, count) in &outcome.statuses {
        text += &format!("  {status}: {count}");
    }
    for (what, count) in [
        ("connections broken", outcome.broken),
        ("answers malformed", outcome.malformed),
        ("requests unanswered", outcome.unanswered),
        ("connections closed by the server", outcome.reopened),
    ] {
        if count > 0 {
            text += &format!("\n{what}: {count}");
        }
    }
    text
}

fn hold_connections(count: usize, url: &str) -> Result<()> {
    let connections = open_connections(&Target::parse(url)?, count)?;
    say(&format!(
        "{} connections are open; end of input closes them",
        connections.len()
    ))?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// On one thread: what it serves is to cost little, not to be much.
fn serve_origin(listen: SocketAddr) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        say(&format!(
            "Origin listening on http://{}",
            listener.local_addr()?
        ))?;
        match origin::serve(listener).await? {}
    })
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}
