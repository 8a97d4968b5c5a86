//! Bytes from one end to the other, however many.

use std::io::{self, Read, Write};

use super::encryption::unreadable;
use super::progress::{Progress, Stop};
use crate::failure::Failure;

/// Bytes at a time: those of one chunk of an encrypted file.
const CHUNK: usize = 64 * 1_024;

/// One end, and what it is called.
pub(crate) struct End<'n, T> {
    pub(crate) name: &'n str,
    pub(crate) end: T,
}

/// Copies everything, and says which end failed.
pub(crate) fn pump(
    mut from: End<'_, impl Read>,
    to: &mut End<'_, impl Write>,
    mut progress: Progress,
    stop: &Stop,
) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK];
    let mut done: u64 = 0;
    loop {
        stop.check()?;
        let read = match from.end.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(from.name, error)),
        };
        let bytes = chunk.get(..read).unwrap_or_default();
        to.end
            .write_all(bytes)
            .map_err(|error| unwritable(to.name, &error))?;
        done = done.saturating_add(u64::try_from(read).unwrap_or(0));
        progress.bytes(done);
    }
}

/// A target that does not take what is written. A reader that left makes this a failure too: what it
/// has is no backup.
pub(super) fn unwritable(name: &str, error: &io::Error) -> Failure {
    let cause = anyhow::Error::msg(error.to_string());
    cause.context(format!("cannot write {name}")).into()
}
