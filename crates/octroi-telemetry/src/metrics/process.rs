//! What the operating system knows of this process, read from `/proc` when somebody asks.
//!
//! Names and units are those that Prometheus client libraries agree on. Where there is no `/proc`
//! the samples are left out.

use std::fmt::Write;
use std::fs;

use super::instrument::header;
use super::{MetricKind, MetricSpec};

pub(super) const SPECS: &[MetricSpec] = &[
    spec(
        "process_resident_memory_bytes",
        MetricKind::Gauge,
        "Memory that the process occupies.",
    ),
    spec(
        "process_virtual_memory_bytes",
        MetricKind::Gauge,
        "Address space of the process.",
    ),
    spec(
        "process_threads",
        MetricKind::Gauge,
        "Threads of the process.",
    ),
    spec(
        "process_open_fds",
        MetricKind::Gauge,
        "Open file descriptors.",
    ),
    spec(
        "process_max_fds",
        MetricKind::Gauge,
        "Most file descriptors that may be open.",
    ),
    spec(
        "process_cpu_seconds_total",
        MetricKind::Counter,
        "Processor time used.",
    ),
    spec(
        "process_start_time_seconds",
        MetricKind::Gauge,
        "When the process started, in seconds since 1970.",
    ),
];

/// Linux tells user space times in hundredths of a second on every architecture it runs on.
const TICKS_PER_SECOND: u64 = 100;

const fn spec(name: &'static str, kind: MetricKind, help: &'static str) -> MetricSpec {
    MetricSpec {
        name,
        kind,
        help,
        configured: &[],
        labels: &[],
    }
}

/// Writes the process's samples, in the order of [`SPECS`].
pub(super) fn render(out: &mut String) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let open_fds = fs::read_dir("/proc/self/fd").map(|entries| entries.count().to_string());
    let values = [
        status_number(&status, "VmRSS:").map(|kib| (kib * 1_024).to_string()),
        status_number(&status, "VmSize:").map(|kib| (kib * 1_024).to_string()),
        status_number(&status, "Threads:").map(|threads| threads.to_string()),
        open_fds.ok(),
        max_fds(&limits).map(|limit| limit.to_string()),
        cpu_ticks(&stat).map(hundredths),
        start_ticks(&stat)
            .zip(boot_seconds(&boot))
            .map(|(ticks, boot)| hundredths(boot * TICKS_PER_SECOND + ticks)),
    ];
    for (spec, value) in SPECS.iter().zip(values) {
        if let Some(value) = value {
            header(spec, out);
            let _ = writeln!(out, "{} {value}", spec.name);
        }
    }
}

fn hundredths(ticks: u64) -> String {
    let (whole, part) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
    format!("{whole}.{part:02}")
}

fn status_number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit; nothing where it is unlimited.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The field with this number in proc(5). Counting starts after the command's name, which is field
/// 2, stands in parentheses and may contain anything.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let field = after_name.split_whitespace().nth(number.checked_sub(3)?)?;
    field.parse().ok()
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    Some(stat_field(stat, 14)? + stat_field(stat, 15)?)
}

fn start_ticks(stat: &str) -> Option<u64> {
    stat_field(stat, 22)
}

fn boot_seconds(boot: &str) -> Option<u64> {
    let line = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read_by_field() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 9 0 0 0 250 31 0 0 20 0 3 0 8123 1 2";
        assert_eq!(cpu_ticks(stat).map(hundredths).as_deref(), Some("2.81"));
        assert_eq!(start_ticks(stat), Some(8123));
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n";
        assert_eq!(status_number(status, "VmRSS:"), Some(2048));
        assert_eq!(
            max_fds("Max open files            1024      4096   files"),
            Some(1024)
        );
        assert_eq!(
            max_fds("Max open files            unlimited unlimited files"),
            None
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_shows_every_sample() {
        let mut out = String::new();
        render(&mut out);
        for spec in SPECS {
            let line = out
                .lines()
                .find_map(|line| line.strip_prefix(spec.name))
                .unwrap_or_else(|| panic!("{} is missing", spec.name));
            assert!(line.trim().parse::<f64>().unwrap() >= 0.0);
        }
    }
}
