//! How a call fails inside the writer.

use octroi_store::StoreError;
use octroi_store::call::CallFault;
use rusqlite::ErrorCode;

/// Why a call was not done.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was refused before it wrote anything.
    Refused(StoreError),
    /// It failed after it may have written: what it wrote must be rolled back.
    Broken(StoreError),
    /// A statement failed.
    Database(rusqlite::Error),
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

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Whether the database as a whole is out of order, so that other calls would fare no better.
pub(crate) fn fails_all(error: &rusqlite::Error) -> bool {
    let is_corrupt = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    );
    is_corrupt || may_pass(error)
}

/// Whether the cause lies outside of the database, and may go away.
fn may_pass(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport
        )
    )
}

/// What to tell a caller of an error of the database. The text of an SQLite error names statements
/// and columns, never values.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    let reason = error.to_string();
    if may_pass(error) {
        StoreError::Unavailable { reason }
    } else {
        StoreError::Inconsistent { reason }
    }
}

pub(crate) fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable {
        reason: reason.to_owned(),
    }
}
