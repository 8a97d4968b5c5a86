//! What the kernel knows about a process.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId(pub u32);

impl ProcessId {
    /// The processor time that all its threads have used, to within a clock tick (10 ms mostly).
    ///
    /// # Errors
    /// When there is no such process.
    pub fn cpu_time(self) -> Result<Duration> {
        let stat = self.read("stat")?;
        let ticks = cpu_ticks(&stat).with_context(|| format!("stat of process {}", self.0))?;
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_nanos(ticks * (1_000_000_000 / per_second)))
    }

    /// The memory that it has resident now, in bytes.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn resident_bytes(self) -> Result<u64> {
        self.status_bytes("VmRSS")
    }

    /// The most memory that it has had resident since it started, or since
    /// [`ProcessId::reset_peak`], in bytes.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn peak_resident_bytes(self) -> Result<u64> {
        self.status_bytes("VmHWM")
    }

    /// Lets the peak start again at what is resident now.
    ///
    /// # Errors
    /// When there is no such process, or it is another user's.
    pub fn reset_peak(self) -> Result<()> {
        // proc(5): writing 5 resets the peak and nothing else.
        fs::write(self.path("clear_refs"), "5").context("cannot reset the peak memory")
    }

    /// The processes that it has started.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn children(self) -> Result<Vec<Self>> {
        let children = self.read(&format!("task/{}/children", self.0))?;
        children
            .split_whitespace()
            .map(|id| Ok(Self(id.parse()?)))
            .collect()
    }

    fn status_bytes(self, name: &str) -> Result<u64> {
        let status = self.read("status")?;
        status_bytes(&status, name).with_context(|| format!("{name} of process {}", self.0))
    }

    fn read(self, file: &str) -> Result<String> {
        fs::read_to_string(self.path(file)).with_context(|| format!("process {}", self.0))
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }
}

/// `utime` and `stime`, the 14th and 15th field of proc(5)'s stat. The second is a name in
/// brackets, which may hold anything, brackets and spaces included.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// A line such as `VmRSS: 5044 kB`.
fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 70 30 1 1 20 0 4";
        assert_eq!(cpu_ticks(stat), Some(100));
        assert_eq!(cpu_ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn memory_is_found_by_its_whole_name() {
        let status = "Name:\toctroi\nVmHWM:\t   1500 kB\nVmRSS:\t    1024 kB\nVmRSSx:\t1 kB\n";
        assert_eq!(status_bytes(status, "VmRSS"), Some(1024 * 1024));
        assert_eq!(status_bytes(status, "VmHWM"), Some(1_536_000));
        assert_eq!(status_bytes(status, "Vm"), None);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let this = ProcessId(std::process::id());
        assert!(this.resident_bytes().unwrap() > 0);
        this.reset_peak().unwrap();
        assert!(this.peak_resident_bytes().unwrap() > 0);
        assert!(this.cpu_time().is_ok());
        assert!(this.children().is_ok());
    }
}
