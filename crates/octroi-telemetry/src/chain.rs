//! An error with its causes, on one line.

use std::error::Error;
use std::fmt;

/// Shows an error and everything that caused it, outermost first, separated by `: `.
///
/// Every error type of the gate says only its own layer's sentence, so this is the one way to log
/// one, and it is done once: where the error is handled.
#[must_use]
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> Chain<'a> {
    Chain(error)
}

/// What [`chain`] returns.
pub struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the store is closed")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("the claim was not saved")]
    struct Outer(#[source] Inner);

    #[test]
    fn every_cause_is_shown_once_outermost_first() {
        assert_eq!(
            chain(&Outer(Inner)).to_string(),
            "the claim was not saved: the store is closed"
        );
        assert_eq!(chain(&Inner).to_string(), "the store is closed");
    }
}
