//! How storage fails.

/// Why a storage call did not do what it says.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot take this call now (disk full, I/O error, shutting down, overloaded). The
    /// same call with the same ids may be made again.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What to tell an operator; never content of a request.
        reason: String,
    },
    /// What is stored contradicts itself; writes are refused until an operator has looked.
    #[error("the store is inconsistent: {reason}")]
    Inconsistent {
        /// Which rule is broken.
        reason: String,
    },
    /// The thing named does not exist.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
}
