//! How storage fails.

/// Why a storage call did not do what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot take this call now (disk full, I/O error, shutting down, overloaded). The
    /// same call with the same ids may be made again.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// What to tell an operator; never content of a request.
        reason: String,
    },
    /// What is stored contradicts itself. Nothing of the call was applied, and nothing that
    /// touches the same rows will be until an operator has looked.
    #[error("the store is inconsistent: {reason}")]
    Inconsistent {
        /// Which rule is broken.
        reason: String,
    },
    /// The call contradicts itself or what is stored, through a fault of its caller; a repetition
    /// cannot help. Nothing was applied.
    #[error("the call is invalid: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The thing named does not exist. Nothing was applied.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
}
