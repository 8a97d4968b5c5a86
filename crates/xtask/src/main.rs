//! `cargo xtask`: every command that a developer or CI needs, so that both run the same.

mod bench;
mod cache;
mod check;
mod debian;
mod docs;
mod fence;
mod fetch;
mod fuzz;
mod layer;
mod packages;
mod run;
mod tally;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The developer commands of this workspace.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure the gate beside nginx and the official x402 stack, release build
    Bench(bench::BenchArguments),
    /// Check formatting, lints, and which crate may use which
    Check,
    /// Compare the documentation with the code
    Docs(docs::DocsArguments),
    /// Install the third-party software that the interop tests drive, outside the tree
    Fetch,
    /// Run the fuzz targets on every parser that reads the network
    Fuzz(fuzz::FuzzArguments),
    /// Run every test: the workspace's own, then the interop suite
    Test,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Bench(arguments) => bench::bench(&arguments).map(|()| true),
        Command::Check => check::check().map(|()| true),
        Command::Docs(arguments) => docs::docs(&arguments).map(|()| true),
        Command::Fetch => fetch::fetch().map(|()| true),
        Command::Fuzz(arguments) => fuzz::fuzz(&arguments).map(|()| true),
        Command::Test => Ok(test::test()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            run::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
