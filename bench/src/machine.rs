//! What was measured on, and with what.

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// How much other work there was when this was asked, as `/proc/loadavg` says it.
    pub load_average: String,
}

impl Machine {
    /// This one.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub fn this() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let memory = field(&meminfo, "MemTotal").context("no MemTotal")?;
        let kibibytes: u64 = memory.trim_end_matches("kB").trim().parse()?;
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cpu: field(&cpuinfo, "model name")
                .unwrap_or("unknown")
                .to_owned(),
            cores: thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            memory_bytes: kibibytes * 1024,
            load_average: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    /// For the record.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "kernel": self.kernel,
            "memory_bytes": self.memory_bytes,
            "load_average": self.load_average,
        })
    }
}

/// The first line that a program prints when asked for its version.
///
/// # Errors
/// When it cannot be run.
pub fn tool_version(tool: impl AsRef<OsStr>, arguments: &[&str]) -> Result<String> {
    let tool = tool.as_ref();
    let output = Command::new(tool)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", tool.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The value of the first line `name : value`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::this().unwrap();
        assert!(machine.cores > 0 && machine.memory_bytes > 1 << 20);
        assert!(machine.load_average.parse::<f64>().is_ok());
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        let text = "processor\t: 0\nmodel name\t: A: B\nmodel\t\t: 7\n";
        assert_eq!(field(text, "model name"), Some("A: B"));
        assert_eq!(field(text, "model"), Some("7"));
        assert_eq!(field(text, "name"), None);
    }
}
