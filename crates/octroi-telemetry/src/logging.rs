//! The one log subscriber of the process.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::{MakeWriter, fmt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people; coloured on a terminal.
    Text,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// How lines look.
    pub format: LogFormat,
    /// Levels by target, as in `info,octroi_chain=debug`.
    pub filter: String,
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("the log filter is not a list of levels and target=level")]
    Filter(#[source] ParseError),
    /// Something else in the process took the logs first.
    #[error("logging was already started")]
    Started(#[source] TryInitError),
}

/// Starts logging to standard error.
///
/// # Errors
/// [`LogError`] if the filter does not parse or logging runs already.
pub fn init_logging(options: &LogOptions) -> Result<(), LogError> {
    let colour = io::stderr().is_terminal();
    match options.format {
        LogFormat::Json => json(filter(options)?, io::stderr).try_init(),
        LogFormat::Text => text(filter(options)?, io::stderr, colour).try_init(),
    }
    .map_err(LogError::Started)
}

fn filter(options: &LogOptions) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(&options.filter)
        .map_err(LogError::Filter)
}

fn json<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

fn text<W>(filter: EnvFilter, writer: W, colour: bool) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt()
        .with_ansi(colour)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::fields;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }

        fn writer(&self) -> impl for<'a> MakeWriter<'a> + Send + Sync + use<> {
            let lines = self.clone();
            move || lines.clone()
        }
    }

    fn options(filter: &str) -> LogOptions {
        LogOptions {
            format: LogFormat::Json,
            filter: filter.to_owned(),
        }
    }

    #[test]
    fn json_lines_carry_the_fields_of_the_event_and_of_its_span() {
        let lines = Lines::default();
        let subscriber = json(filter(&options("info")).unwrap(), lines.writer());
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", { fields::REQUEST_ID } = "req_1").entered();
            tracing::info!({ fields::NETWORK } = "eip155:1", "settled");
            tracing::debug!("not asked for");
        });
        let text = lines.text();
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "settled");
        assert_eq!(line["network"], "eip155:1");
        assert_eq!(line["span"]["request_id"], "req_1");
    }

    #[test]
    fn text_without_a_terminal_has_no_escape_codes() {
        let lines = Lines::default();
        let subscriber = text(filter(&options("info")).unwrap(), lines.writer(), false);
        tracing::subscriber::with_default(subscriber, || tracing::warn!("\u{1b}[31mred\nnext"));
        assert!(!lines.text().contains('\u{1b}'), "{:?}", lines.text());
    }

    #[test]
    fn a_filter_that_does_not_parse_is_refused() {
        assert!(matches!(
            filter(&options("octroi=loud")),
            Err(LogError::Filter(_))
        ));
    }
}
