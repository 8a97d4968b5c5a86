//! Counting tests from the closing lines of the test runners.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// Adds what a line of a runner's output says, if it is a closing line.
    pub(crate) fn see(&mut self, line: &str) {
        *self += nextest(line).or_else(|| libtest(line)).unwrap_or_default();
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// `Summary [ 1.2s] 9/22 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 3 skipped`
fn nextest(line: &str) -> Option<Tally> {
    let (head, counts) = line
        .trim_start()
        .strip_prefix("Summary [")?
        .split_once("run: ")?;
    let mut tally = Tally::default();
    count(counts, ',', &mut tally);
    // Stopped early, it says how many there were in all: those left out did not pass.
    let run = head
        .split_whitespace()
        .find_map(|word| word.split_once('/'));
    if let Some((done, all)) = run {
        let left = all.parse::<u64>().ok()?.checked_sub(done.parse().ok()?)?;
        tally.failed += left;
    }
    Some(tally)
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn libtest(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    count(counts, ';', &mut tally);
    Some(tally)
}

fn count(counts: &str, separator: char, tally: &mut Tally) {
    for item in counts.split(separator) {
        let Some((number, outcome)) = item.trim().split_once(' ') else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match outcome.split(' ').next() {
            Some("passed") => tally.passed += number,
            Some("skipped" | "ignored") => tally.skipped += number,
            Some("failed" | "timed" | "exec") => tally.failed += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(lines: &[&str]) -> (u64, u64, u64) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.see(line));
        (tally.passed, tally.failed, tally.skipped)
    }

    #[test]
    fn both_runners_are_understood() {
        let nextest = "     Summary [  39.194s] 22 tests run: 22 passed (1 slow), 0 skipped";
        assert_eq!(tally(&[nextest]), (22, 0, 0));
        let failing = "  Summary [ 0.9s] 5 tests run: 2 passed, 1 failed, 1 timed out, 1 exec failed, 4 skipped";
        assert_eq!(tally(&[failing]), (2, 3, 4));
        let libtest = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 9 filtered out; finished in 0.01s";
        assert_eq!(
            tally(&[libtest, nextest, "PASS [ 0.01s] 9 passed"]),
            (25, 1, 2)
        );
    }

    #[test]
    fn tests_left_out_by_an_early_stop_did_not_pass() {
        assert_eq!(
            tally(&["Summary [ 0.9s] 10/22 tests run: 9 passed, 1 failed, 0 skipped"]),
            (9, 13, 0)
        );
    }

    #[test]
    fn the_closing_line_is_plain() {
        let tally = Tally {
            passed: 7,
            failed: 0,
            skipped: 0,
        };
        assert_eq!(tally.to_string(), "7 passed, 0 failed");
        let tally = Tally {
            skipped: 2,
            ..tally
        };
        assert_eq!(tally.to_string(), "7 passed, 0 failed, 2 skipped");
    }
}
