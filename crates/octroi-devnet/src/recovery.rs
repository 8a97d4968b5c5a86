//! Bringing a network back from its directory.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use alloy_primitives::Bytes;

use crate::chain::Chain;
use crate::frame::{Frame, Frames};
use crate::options::Retention;
use crate::record::Record;
use crate::snapshot::{self, Snapshot};
use crate::store::{JOURNAL, SNAPSHOT, StoreError, at, file_name, numbered};

/// What was found in a directory.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) chain: Chain,
    /// The number of the next record.
    pub(crate) next: u64,
    /// The numbers of the segments, oldest first, never none.
    pub(crate) segments: Vec<u64>,
    /// How much of the newest segment is whole records.
    pub(crate) journal_bytes: u64,
    pub(crate) snapshot: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) bytes_since_snapshot: u64,
}

/// Reads the newest snapshot and the journal.
///
/// # Errors
/// A file cannot be read or is damaged, or the chain is another one. A record that was cut short
/// at the very end is no error.
pub(crate) fn recover(
    directory: &Path,
    chain_id: u64,
    retention: Retention,
) -> Result<Recovered, StoreError> {
    let damaged = || StoreError::Damaged {
        path: directory.to_owned(),
    };
    let (snapshot, snapshot_bytes) = newest_snapshot(directory)?.ok_or_else(damaged)?;
    if snapshot.chain_id != chain_id {
        return Err(StoreError::WrongChain {
            path: directory.to_owned(),
            found: snapshot.chain_id,
            wanted: chain_id,
        });
    }
    let mut segments = numbered(directory, JOURNAL)?;
    if segments.is_empty() && snapshot.sequence == 0 {
        // The process ended between the first snapshot and the first record.
        segments.push(1);
    }
    let first = *segments.first().ok_or_else(damaged)?;
    let newest = *segments.last().ok_or_else(damaged)?;
    let mut reading = Reading {
        chain: snapshot.chain,
        next: first,
        snapshot: snapshot.sequence,
        retention,
        bytes_since_snapshot: 0,
    };
    let mut journal_bytes = 0;
    for segment in &segments {
        let path = file_name(directory, JOURNAL, *segment);
        if *segment != reading.next {
            return Err(StoreError::Damaged { path });
        }
        journal_bytes = reading.segment(&path, *segment == newest)?;
    }
    if first > snapshot.sequence + 1 || reading.next <= snapshot.sequence {
        return Err(damaged());
    }
    Ok(Recovered {
        chain: reading.chain,
        next: reading.next,
        segments,
        journal_bytes,
        snapshot: snapshot.sequence,
        snapshot_bytes,
        bytes_since_snapshot: reading.bytes_since_snapshot,
    })
}

/// The newest snapshot that can be read, if there is one, and its length.
fn newest_snapshot(directory: &Path) -> Result<Option<(Snapshot, u64)>, StoreError> {
    for sequence in numbered(directory, SNAPSHOT)?.into_iter().rev() {
        let path = file_name(directory, SNAPSHOT, sequence);
        let bytes = fs::read(&path).map_err(at("read", &path))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some(snapshot) = snapshot::read(Bytes::from(bytes)) {
            return Ok(Some((snapshot, length)));
        }
    }
    Ok(None)
}

/// The journal as it is read again.
struct Reading {
    chain: Chain,
    next: u64,
    snapshot: u64,
    retention: Retention,
    bytes_since_snapshot: u64,
}

impl Reading {
    /// Reads one segment and returns the length of its whole records. Only the newest may end
    /// in the middle of one.
    fn segment(&mut self, path: &Path, newest: bool) -> Result<u64, StoreError> {
        let damaged = || StoreError::Damaged {
            path: path.to_owned(),
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound && newest => Bytes::new(),
            Err(error) => return Err(at("read", path)(error)),
        };
        let mut frames = Frames::new(bytes);
        loop {
            match frames.next() {
                Frame::Payload(payload) => {
                    let record = Record::decode(&payload).ok_or_else(damaged)?;
                    self.record(record, payload.len());
                }
                Frame::Torn if !newest => return Err(damaged()),
                Frame::End | Frame::Torn => break,
                Frame::Damaged => return Err(damaged()),
            }
        }
        Ok(u64::try_from(frames.position).unwrap_or(u64::MAX))
    }

    fn record(&mut self, record: Record, bytes: usize) {
        let sequence = self.next;
        self.next += 1;
        if sequence <= self.snapshot {
            self.chain.remember(record, sequence);
        } else {
            self.bytes_since_snapshot += u64::try_from(bytes).unwrap_or(u64::MAX);
            self.chain.apply(record, sequence);
        }
        self.chain.history.prune(self.retention);
    }
}
