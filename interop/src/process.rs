//! A child process with its output kept and its end certain.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, bail};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::PATIENCE;

/// A running process. Dropping it kills it and waits for its end, so that its ports and files are free.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

impl Process {
    /// Starts `command` with nothing on its standard input; `name` appears in errors.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, mut command: Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name} ({:?})", command.get_program()))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, Arc::clone(&output));
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&output));
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            output,
        })
    }

    /// The operating system's id of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it has had resident, in bytes.
    ///
    /// # Errors
    /// When the system does not tell; only Linux does.
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        let kilobytes: u64 = kilobytes.context("no VmHWM")?.trim().parse()?;
        Ok(kilobytes * 1024)
    }

    /// Everything printed so far, both streams as they came.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits for the first line that `wanted` accepts, past ones included, and returns what it made of it.
    ///
    /// # Errors
    /// When the process ends without such a line or patience runs out; the error carries the output.
    pub async fn line<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> Result<T> {
        let mut version = self.output.version.subscribe();
        let found = async {
            loop {
                // Marked before looking, so that a line arriving meanwhile wakes the wait below.
                let ended = version.borrow_and_update().streams_ended == 2;
                if let Some(found) = self
                    .output
                    .lines
                    .lock()
                    .iter()
                    .find_map(|line| wanted(line))
                {
                    return Some(found);
                }
                if ended || version.changed().await.is_err() {
                    return None;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => bail!("{} ended too early:\n{}", self.name, self.output()),
            Err(_) => bail!("{} did not get ready:\n{}", self.name, self.output()),
        }
    }

    /// Waits until the process has ended by itself, and returns its status and whole output.
    ///
    /// # Errors
    /// When patience runs out; the process is killed then.
    pub async fn finish(mut self) -> Result<(ExitStatus, String)> {
        let mut version = self.output.version.subscribe();
        let ended = version.wait_for(|version| version.streams_ended == 2);
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(_) => Ok((self.child.wait()?, self.output())),
            Err(_) => bail!("{} did not end:\n{}", self.name, self.output()),
        }
    }

    /// Asks the process to end (SIGTERM) and waits as [`Process::finish`] does.
    ///
    /// # Errors
    /// When it cannot be asked or does not end.
    pub async fn terminate(self) -> Result<(ExitStatus, String)> {
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.id().to_string()])
            .status()?;
        if !asked.success() {
            bail!("cannot signal {}:\n{}", self.name, self.output());
        }
        self.finish().await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only on a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of both streams, and a counter that tells waiters to look again.
#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Vec<String>>,
    version: watch::Sender<Version>,
}

#[derive(Debug, Default)]
struct Version {
    streams_ended: u8,
}

impl Output {
    fn text(&self) -> String {
        self.lines.lock().join("\n")
    }
}

/// Reads one stream to its end on a thread of its own: the pipe stays drained whatever the test does.
fn collect(stream: impl Read + Send + 'static, output: Arc<Output>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            output.lines.lock().push(text);
            output.version.send_modify(|_| {});
            line.clear();
        }
        output
            .version
            .send_modify(|version| version.streams_ended += 1);
    });
}
