//! `cargo xtask test`: everything that has to pass, stage by stage.

use std::env;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::run::{cargo, run, say, watch};
use crate::tally::Tally;
use crate::{debian, fetch, fuzz};

const INTEROP: &str = "octroi-interop";
const WORKSPACE: [&str; 3] = ["--workspace", "--exclude", INTEROP];
/// Tests with a program that comes as a Debian package. They are left out of every other run, and
/// their names say what they need.
struct Packaged {
    stage: &'static str,
    package: &'static str,
    programs: &'static [&'static str],
    tests: &'static str,
}

/// The certificate authority that the ACME tests are issued by, and the name server that it asks.
const PEBBLE: Packaged = Packaged {
    stage: "acme",
    package: "pebble",
    programs: &["pebble", "pebble-challtestsrv"],
    tests: "pebble",
};

/// The program whose format backups have.
const AGE: Packaged = Packaged {
    stage: "age",
    package: "age",
    programs: &["age", "age-keygen"],
    tests: "age_itself",
};

/// Runs every stage, and ends with one line that counts all tests. A stage that fails does not keep the
/// others from running, unless they need what it makes. Returns whether all succeeded.
pub(crate) fn test() -> bool {
    let mut stages = Stages::start();
    let fetched = stages.step("fetch", fetch::fetch);
    stages.step("postgresql", debian::postgresql);
    stages.tests("workspace", |runner| runner.args(WORKSPACE));
    stages.packaged(&PEBBLE);
    stages.packaged(&AGE);
    let built = stages.step("build", || {
        run(&mut cargo(["build", "--package", "octroi"]))
    });
    if fetched && built {
        let interop = ["--package", INTEROP];
        stages.tests("interop", |runner| runner.args(interop));
    } else {
        say("test: interop left out, because it needs what failed");
    }
    stages.step("fuzz", fuzz::short);
    stages.finish()
}

/// The stages so far.
struct Stages {
    started: Instant,
    nextest: bool,
    failed: Vec<&'static str>,
    tally: Tally,
}

impl Stages {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            nextest: nextest_is_installed(),
            failed: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// A stage that is no test itself. Returns whether it succeeded.
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> bool {
        say(&format!("test: {name} …"));
        let started = Instant::now();
        let result = work();
        if let Err(error) = &result {
            say(&format!("error: {error:#}"));
        }
        self.close(name, started.elapsed(), result.is_ok(), "")
    }

    fn packaged(&mut self, packaged: &Packaged) {
        let Packaged {
            stage,
            package,
            programs,
            tests,
        } = packaged;
        let path = debian::programs(package, "usr/bin", programs).and_then(|folder| {
            let path = env::var_os("PATH").unwrap_or_default();
            Ok(env::join_paths(
                [folder].into_iter().chain(env::split_paths(&path)),
            )?)
        });
        let path = match path {
            Ok(path) => path,
            Err(error) => {
                return say(&format!(
                    "test: {stage} left out, without {package}: {error:#}"
                ));
            }
        };
        let nextest = self.nextest;
        self.tests(stage, |runner| {
            // The selection that is built already.
            runner.env("PATH", path).args(WORKSPACE).arg(tests);
            if nextest {
                runner.args(["--run-ignored", "only"])
            } else {
                runner.args(["--", "--ignored"])
            }
        });
    }

    /// A stage of the tests that `select` tells the runner.
    fn tests(&mut self, name: &'static str, select: impl FnOnce(&mut Command) -> &mut Command) {
        say(&format!("test: {name} …"));
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut command = self.runner();
        select(&mut command);
        let succeeded = watch(&mut command, |line| tally.see(line)).unwrap_or_else(|error| {
            say(&format!("error: {error:#}"));
            false
        });
        self.tally += tally;
        // A stage in which nothing ran has shown nothing.
        let succeeded = succeeded && tally.passed > 0;
        self.close(name, started.elapsed(), succeeded, &format!(", {tally}"));
    }

    fn runner(&self) -> Command {
        let mut command = if self.nextest {
            cargo(["nextest", "run", "--no-fail-fast", "--all-features"])
        } else {
            cargo([
                "test",
                "--no-fail-fast",
                "--all-features",
                "--lib",
                "--bins",
                "--tests",
            ])
        };
        // Plain text, because its closing lines are read.
        command.env("CARGO_TERM_COLOR", "never");
        command
    }

    fn close(&mut self, name: &'static str, took: Duration, succeeded: bool, counts: &str) -> bool {
        let word = if succeeded { "ok" } else { "FAILED" };
        say(&format!(
            "test: {name} {word} in {:.0} s{counts}",
            took.as_secs_f64()
        ));
        if !succeeded {
            self.failed.push(name);
        }
        succeeded
    }

    fn finish(mut self) -> bool {
        // A stage can fail without a failed test: what does not compile is not tested.
        if !self.failed.is_empty() && self.tally.failed == 0 {
            self.tally.failed = 1;
        }
        let total = self.started.elapsed().as_secs_f64();
        match self.failed.join(", ") {
            none if none.is_empty() => say(&format!("test: every stage ok in {total:.0} s")),
            stages => say(&format!("test: failed after {total:.0} s: {stages}")),
        }
        say(&self.tally.to_string());
        self.failed.is_empty()
    }
}

fn nextest_is_installed() -> bool {
    let version = cargo(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}
