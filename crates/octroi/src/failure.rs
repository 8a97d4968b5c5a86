//! How a command says that it did not do its work: what failed, why, what to do about it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use octroi_config::ConfigError;

use crate::output::{self, Style};

/// The exit code of a configuration that cannot be started with (`EX_CONFIG` of `sysexits.h`).
pub(crate) const EXIT_CONFIG: u8 = 78;

/// The exit code of every other failure that has none of its own.
const EXIT_FAILURE: u8 = 1;

/// A failure as it is shown: one line, the chain of causes, and advice.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    help: Option<Cow<'static, str>>,
    exit: u8,
}

/// Makes failures of results.
pub(crate) trait ResultExt<T> {
    /// Says what could not be done.
    fn or_fail(self, what: impl Into<Cow<'static, str>>) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn or_fail(self, what: impl Into<Cow<'static, str>>) -> Result<T, Failure> {
        self.map_err(|error| error.into().context(what.into()).into())
    }
}

impl Failure {
    /// A failure without a cause below it.
    pub(crate) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        anyhow::Error::msg(what.into()).into()
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the exit code.
    #[must_use]
    pub(crate) const fn exit(mut self, exit: u8) -> Self {
        self.exit = exit;
        self
    }

    /// Prints the failure and says how the process ends.
    ///
    /// A reader that has seen enough (`octroi transactions list | head`) is no failure.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_closed_pipe() {
            return ExitCode::SUCCESS;
        }
        output::note(&self.text(Style::stderr()));
        ExitCode::from(self.exit)
    }

    fn is_closed_pipe(&self) -> bool {
        self.error.chain().any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }

    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        if let Some(ConfigError::Invalid(report)) = self.error.downcast_ref() {
            text.push_str(&format!("{report}\n"));
        }
        let mut causes = self.error.chain();
        if let Some(first) = causes.next() {
            push(&mut text, &style.red("error"), first);
        }
        for cause in causes {
            push(&mut text, "  because", cause);
        }
        if let Some(help) = self.help.as_deref().or_else(|| self.known_help()) {
            push(&mut text, &style.bold("help"), &help);
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// Advice for failures that several commands share.
    fn known_help(&self) -> Option<&'static str> {
        match self.error.downcast_ref::<ConfigError>()? {
            ConfigError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Some(
                "`octroi init` writes a configuration to start from; --config names another file",
            ),
            ConfigError::Read { .. } => None,
            ConfigError::Invalid(_) => {
                Some("correct what is listed above and run `octroi check` again")
            }
        }
    }
}

fn push(text: &mut String, label: &str, what: &dyn std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{label}: {}", output::printable(&what.to_string()));
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let exit = if error.is::<ConfigError>() {
            EXIT_CONFIG
        } else {
            EXIT_FAILURE
        };
        Self {
            error,
            help: None,
            exit,
        }
    }
}

impl From<io::Error> for Failure {
    /// Standard output is the only thing that commands write to without saying so.
    fn from(error: io::Error) -> Self {
        anyhow::Error::new(error)
            .context("cannot write the output")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(failure: &Failure) -> String {
        failure.text(Style::plain())
    }

    #[test]
    fn one_line_then_the_causes_then_the_advice() {
        let io = io::Error::new(io::ErrorKind::NotFound, "no such file\u{1b}[2J");
        let failure = Err::<(), _>(io)
            .or_fail("cannot read the key")
            .map_err(|failure| failure.help("name another file").exit(2))
            .unwrap_err();
        assert_eq!(
            shown(&failure),
            "error: cannot read the key\n  because: no such file\\u{1b}[2J\nhelp: name another file"
        );
        assert_eq!(failure.exit, 2);
    }

    #[test]
    fn a_missing_configuration_exits_78_and_names_init() {
        let path = std::path::Path::new("does-not-exist.toml");
        let error = octroi_config::Config::load(path, &[]).unwrap_err();
        let failure = Failure::from(anyhow::Error::new(error));
        assert_eq!(failure.exit, EXIT_CONFIG);
        assert!(shown(&failure).contains("octroi init"));
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(Failure::from(closed).is_closed_pipe());
        assert!(!Failure::new("something else").is_closed_pipe());
    }
}
