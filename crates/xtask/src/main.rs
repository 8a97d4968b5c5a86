//! `cargo xtask`: every command that a developer or CI needs, so that both run the same.

mod cache;
mod check;
mod fence;
mod fetch;
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
    /// Check formatting, lints, and which crate may use which
    Check,
    /// Install the third-party software that the interop tests drive, outside the tree
    Fetch,
    /// Run every test: the workspace's own, then the interop suite
    Test,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Check => check::check().map(|()| true),
        Command::Fetch => fetch::fetch().map(|()| true),
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
