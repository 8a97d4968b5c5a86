//! `octroi-bench`: the benchmarks, and their tools for use by hand.

#[cfg(target_os = "linux")]
mod command;

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    command::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    // There is no epoll and no /proc to measure with.
    ExitCode::FAILURE
}
