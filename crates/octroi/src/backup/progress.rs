//! Work that takes a while: how far it has come, and whether it is still wanted.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::warn;

use crate::failure::Failure;
use crate::serve;

/// The exit code of what was stopped by Ctrl-C, as shells have it.
const EXIT_STOPPED: u8 = 130;

/// Whether somebody wants the work to end.
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Set by SIGTERM and SIGINT, so that nothing half-done is left; a second signal ends the
    /// process at once.
    pub(crate) fn on_signal() -> Self {
        let stop = Self(Arc::default());
        let told = Arc::clone(&stop.0);
        tokio::spawn(async move {
            if let Err(error) = serve::signal().await {
                warn!(error = %error, "cannot listen for signals");
                return;
            }
            told.store(true, Ordering::Relaxed);
            if serve::signal().await.is_ok() {
                std::process::exit(EXIT_STOPPED.into());
            }
        });
        stop
    }

    /// Fails once it is set.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Failure::new("stopped; nothing was left behind").exit(EXIT_STOPPED));
        }
        Ok(())
    }

    pub(crate) fn go_on(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// One line on a terminal that says what is done and how far. Cleared when dropped.
pub(crate) struct Progress {
    what: &'static str,
    all: Option<u64>,
    shown: String,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            all: None,
            shown: String::new(),
            is_terminal: io::stderr().is_terminal(),
        }
    }

    /// With so much to do.
    pub(crate) const fn of(mut self, all: u64) -> Self {
        self.all = Some(all);
        self
    }

    /// Shown during work that does not say how far it is.
    pub(crate) fn during<T>(mut self, work: impl FnOnce() -> T) -> T {
        self.write(format!("{} …", self.what));
        work()
    }

    /// So many bytes are done.
    pub(crate) fn bytes(&mut self, done: u64) {
        self.show(done, self.all);
    }

    /// So much is done, of how much if that is known.
    pub(crate) fn show(&mut self, done: u64, all: Option<u64>) {
        self.write(text(self.what, done, all));
    }

    fn write(&mut self, text: String) {
        if self.is_terminal && text != self.shown {
            // If nobody can read it, nothing is lost.
            let _ = write!(io::stderr(), "\r\u{1b}[K{text}");
            self.shown = text;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.write(String::new());
    }
}

fn text(what: &str, done: u64, all: Option<u64>) -> String {
    match all {
        Some(all) => {
            let percent = u128::from(done) * 100 / u128::from(all.max(1));
            format!("{what} {percent} %")
        }
        None => format!("{what} {} MiB", done >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_in_percent_where_the_whole_is_known() {
        assert_eq!(text("copying", 0, Some(0)), "copying 0 %");
        assert_eq!(text("copying", 2, Some(3)), "copying 66 %");
        assert_eq!(text("x", u64::MAX, Some(u64::MAX)), "x 100 %");
        assert_eq!(text("reading", 5_300_000, None), "reading 5 MiB");
    }
}
