//! `cargo xtask docs`: the pages that say what the code says.
//!
//! The tests know both sides, so they are also what writes: this crate stays free of what it documents.

use anyhow::Result;
use clap::Args;

use crate::run::{cargo, run, say};

/// Set for tests that are to write the pages and not to compare them.
const WRITE_VARIABLE: &str = "OCTROI_WRITE_DOCS";

/// Whether pages are compared or written.
#[derive(Debug, Args)]
pub(crate) struct DocsArguments {
    /// Write the pages and the parts of pages that are made from code
    #[arg(long)]
    write: bool,
}

/// Compares `docs/` with the code; with `--write` first makes anew what is made from code.
///
/// # Errors
/// When a page and the code differ, or a page cannot be written.
pub(crate) fn docs(arguments: &DocsArguments) -> Result<()> {
    if arguments.write {
        say("docs: writing what is made from code");
        run(test().arg("generated").env(WRITE_VARIABLE, "1"))?;
    }
    say("docs: comparing");
    run(&mut test())
}

fn test() -> std::process::Command {
    let mut command = cargo(["test", "--quiet", "--package", "xtask", "--test", "docs"]);
    command.arg("--");
    command
}
