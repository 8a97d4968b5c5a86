//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use crate::backup::BackupArgs;
pub(crate) use crate::pay::PayArgs;
pub(crate) use crate::restore::RestoreArgs;
pub(crate) use crate::transactions::TransactionsArgs;

/// The configuration that commands read when none is named.
const CONFIG_FILE: &str = "octroi.toml";

/// Where `octroi dev` keeps everything, and where `octroi pay` looks for its test buyer.
pub(crate) const DEV_FOLDER: &str = "./octroi-dev";

/// The open, self-hosted gate where software pays.
#[derive(Parser)]
#[command(
    name = "octroi",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  octroi dev                              try everything with play money
  octroi pay http://127.0.0.1:8402/...    buy something from it
  octroi init && octroi check             make a configuration of your own
  octroi serve --config octroi.toml       sell")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the gate from a configuration file
    Serve(ServeArgs),
    /// Runs a whole gate on this machine with a demo origin and play money
    Dev(DevArgs),
    /// Buys what is behind a URL, within limits
    Pay(PayArgs),
    /// Says everything that is wrong with a configuration, or what it would serve
    Check(CheckArgs),
    /// Writes a commented configuration to start from
    Init(InitArgs),
    /// Lists, shows and exports what was paid
    Transactions(TransactionsArgs),
    /// Shows the books and whether they balance
    Books(BooksArgs),
    /// Copies the store while the gate runs, encrypted
    Backup(BackupArgs),
    /// Makes a store of a backup, once all of it was checked
    Restore(RestoreArgs),
}

#[derive(Args)]
#[command(after_help = "\
Example:
  octroi serve --config /etc/octroi/octroi.toml

The gate stops on SIGTERM and Ctrl-C, after the running requests. It exits with 78 before a port
is bound if the configuration is wrong; `octroi check` says the same without starting anything.")]
pub(crate) struct ServeArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    pub(crate) config: PathBuf,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi dev
  octroi dev --listen 127.0.0.1:9000 --data /tmp/try-octroi

Everything is kept in the data folder; the next start goes on where this one ended. The money is
that of a test network inside the process and worth nothing.")]
pub(crate) struct DevArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8402")]
    pub(crate) listen: SocketAddr,
    /// Folder for keys, store and test network
    #[arg(long, value_name = "FOLDER", default_value = DEV_FOLDER)]
    pub(crate) data: PathBuf,
    /// The least important log lines that are written
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(crate) log: Level,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi check
  octroi check --config /etc/octroi/octroi.toml --effective
  octroi check --json | jq '.problems[] | {line, key, message}'

Exits with 0 if the gate would start and with 78 if it would not.")]
pub(crate) struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    pub(crate) config: PathBuf,
    /// Print every setting in force and where it came from, without secrets
    #[arg(long)]
    pub(crate) effective: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  octroi init && octroi check")]
pub(crate) struct InitArgs {
    /// The file to write
    #[arg(value_name = "PATH", default_value = CONFIG_FILE)]
    pub(crate) path: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi books
  octroi books --config octroi-dev/octroi.toml --json
  octroi books --audit

Exits with 0 if debits equal credits in every asset and with 1 if they do not, or if the audit finds
a row that is not what was written.")]
pub(crate) struct BooksArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// Read every row and follow the hash chain over the books; takes a while with many
    #[arg(long)]
    pub(crate) audit: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where the records are. The gate may be running.
#[derive(Args)]
pub(crate) struct StoreArgs {
    /// The configuration that names the store
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE, conflicts_with = "store")]
    pub(crate) config: PathBuf,
    /// The store itself, without a configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) store: Option<PathBuf>,
}

impl Level {
    /// The level as the configuration spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let name = command.get_name();
            let example = format!("octroi {name}");
            assert!(help.is_some_and(|help| help.contains(&example)), "{name}");
        }
    }

    #[test]
    fn what_users_are_told_to_type_parses() {
        for line in [
            "octroi dev",
            "octroi dev --listen 127.0.0.1:0 --data x --log debug",
            "octroi serve --config octroi.toml",
            "octroi check --json",
            "octroi init",
            "octroi init other.toml --force",
            "octroi books --store octroi.db",
            "octroi transactions list --config octroi-dev/octroi.toml",
            "octroi backup --recipient age1a --recipient age1b octroi.age",
            "octroi backup --config octroi-dev/octroi.toml --plain -",
            "octroi restore octroi.age --into restored --identity restore.key",
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
        }
        for line in [
            "octroi books --store octroi.db --config octroi.toml",
            "octroi backup --plain --recipient age1a octroi.age",
            "octroi restore octroi.age",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
