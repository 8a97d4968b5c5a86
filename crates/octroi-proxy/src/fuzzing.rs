//! What fuzz targets reach beyond the public API: the reader of `Content-Digest`. Built with
//! `--cfg fuzzing` alone.

use http::HeaderMap;
use octroi_types::ErrorCode;

use crate::bound_body;

/// The SHA-256 that the headers announce for the body, if they do.
///
/// # Errors
/// The code that the client is told.
pub fn announced_digest(headers: &HeaderMap) -> Result<Option<[u8; 32]>, ErrorCode> {
    bound_body::announced_digest(headers).map_err(|problem| problem.code)
}
