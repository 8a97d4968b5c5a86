//! How a call fails inside a lane.

use octroi_store::StoreError;
use octroi_store::call::CallFault;
use tokio_postgres::error::SqlState;

/// Why a call was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was refused before it changed anything.
    Refused(StoreError),
    /// It failed after it may have changed something: all of its transaction is to be rolled back.
    Broken(StoreError),
    /// A statement failed.
    Database(tokio_postgres::Error),
}

impl CallFault for Fault {
    fn into_refusal(self) -> Result<StoreError, Self> {
        match self {
            Self::Refused(error) => Ok(error),
            fault @ (Self::Broken(_) | Self::Database(_)) => Err(fault),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl Fault {
    /// What is stored contradicts itself, or what this program knows of it.
    pub(crate) fn inconsistent(reason: &str) -> Self {
        Self::Broken(StoreError::Inconsistent {
            reason: reason.to_owned(),
        })
    }

    /// What to tell the caller.
    pub(crate) fn into_store_error(self) -> StoreError {
        match self {
            Self::Refused(error) | Self::Broken(error) => error,
            Self::Database(error) => store_error(&error),
        }
    }
}

/// What can be done about an error of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Somebody else was there first: decide again on what is there now.
    Again,
    /// The connection is of no use: take another one.
    Reconnect,
    /// Nothing: the statement would fail again.
    None,
}

impl Remedy {
    pub(crate) fn of(error: &tokio_postgres::Error) -> Self {
        // What is not the server's answer is a matter of the connection: values are read and written
        // without this error.
        let Some(state) = error.code() else {
            return Self::Reconnect;
        };
        let again = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            // A row that two made at once: the second finds it.
            SqlState::UNIQUE_VIOLATION,
            // A day of claims that was dropped since it was last needed.
            SqlState::CHECK_VIOLATION,
        ];
        let ended = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            // It was the primary, and is no more.
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ];
        if again.contains(state) {
            Self::Again
        } else if ended.contains(state) || class(state) == "08" {
            Self::Reconnect
        } else {
            Self::None
        }
    }
}

fn class(state: &SqlState) -> &str {
    state.code().get(..2).unwrap_or_default()
}

/// What to tell a caller of an error of the database.
pub(crate) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    let reason = reason(error);
    // Conflicts and locks, out of room or connections, stopped by an operator, a disk that fails.
    let passing = ["40", "53", "55", "57", "58"];
    let may_pass = error.code().is_none_or(|state| {
        Remedy::of(error) == Remedy::Reconnect || passing.contains(&class(state))
    });
    if may_pass {
        StoreError::Unavailable { reason }
    } else {
        StoreError::Inconsistent { reason }
    }
}

/// The words of an error. The server's details are left out, because they repeat values.
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", answer.message(), answer.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

pub(crate) fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable {
        reason: reason.to_owned(),
    }
}
