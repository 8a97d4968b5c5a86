//! What fuzz targets reach beyond the public API: the rules that every request meets first. Built
//! with `--cfg fuzzing` alone.

use std::sync::Arc;

use http::Request;
use octroi_types::ErrorCode;
use tokio::io::ReadBuf;

use crate::activity::Activity;
use crate::head_guard::HeadGuard;
use crate::options::Limits;
use crate::request_rules;

/// Checks a request against the default limits; one that passes has exactly one `Host`.
///
/// # Errors
/// The code that the client is told.
pub fn check_request(request: &mut Request<()>) -> Result<(), ErrorCode> {
    request_rules::check(request, &Limits::default()).map_err(|refusal| refusal.code)
}

/// What HTTP/1's parser is given to read of a connection on which these pieces come one after the
/// other. No request on it is answered.
#[must_use]
pub fn guarded<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
    let activity = Arc::new(Activity::new(false));
    let mut guard = HeadGuard::new(&Limits::default(), activity);
    let mut given = Vec::new();
    for piece in pieces {
        if !guard.wants_more() {
            break;
        }
        let approved = guard.see(piece);
        given.extend_from_slice(&piece[..approved]);
        give(&mut guard, &mut given);
    }
    given
}

/// What was held back and may go on.
fn give(guard: &mut HeadGuard, given: &mut Vec<u8>) {
    loop {
        let mut space = [0; 256];
        let mut buf = ReadBuf::new(&mut space);
        match guard.give(&mut buf) {
            Ok(true) => given.extend_from_slice(buf.filled()),
            Ok(false) | Err(_) => return,
        }
    }
}
