//! The directory that keeps a network: a journal in segments, and snapshots of the state.
//!
//! Every change is appended to the journal before it is visible. Appends are not synced: a killed
//! process loses nothing, because the operating system has the bytes; a power cut may lose the
//! last seconds, of play money. A snapshot is synced before what it replaces is deleted.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::chain::Chain;
use crate::frame::write_frame;
use crate::options::Retention;
use crate::record::Record;
use crate::recovery::recover;
use crate::snapshot;

/// What the journal's files are called, before their number.
pub(crate) const JOURNAL: &str = "journal";
/// What the snapshots are called, before their number.
pub(crate) const SNAPSHOT: &str = "snapshot";

/// The extension of a file that is being written.
const UNFINISHED: &str = "tmp";

/// A journal file that has grown beyond this is followed by a new one.
const SEGMENT_BYTES: u64 = 16 << 20;
/// The journal is read again from the last snapshot on, so this bounds the time that takes.
const SNAPSHOT_EVERY_BYTES: u64 = 64 << 20;

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the network open.
    #[error("the network in {path} is open in another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The files do not fit together or were damaged after they were written.
    #[error("{path} is damaged or belongs to another version")]
    Damaged {
        /// The file or directory.
        path: PathBuf,
    },
    /// The directory holds a network with another chain id.
    #[error("{path} holds chain {found}, not {wanted}")]
    WrongChain {
        /// The directory.
        path: PathBuf,
        /// The chain id that it holds.
        found: u64,
        /// The chain id that was asked for.
        wanted: u64,
    },
    /// An earlier append failed half-way and could not be taken back.
    #[error("the journal cannot be written any more")]
    Broken,
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    chain_id: u64,
    /// Held for its lock.
    _lock: File,
    journal: File,
    /// Length of the newest segment.
    journal_bytes: u64,
    /// The number of the first record in each segment, oldest first.
    segments: VecDeque<u64>,
    /// The number of the next record. The first is 1.
    next: u64,
    /// The last record that the newest snapshot contains.
    snapshot: u64,
    snapshot_bytes: u64,
    bytes_since_snapshot: u64,
    broken: bool,
    buffer: Vec<u8>,
}

impl Store {
    /// Opens a directory and brings back its chain, or begins it with `genesis`.
    pub(crate) fn open(
        directory: &Path,
        chain_id: u64,
        retention: Retention,
        genesis: &Chain,
    ) -> Result<(Self, Chain), StoreError> {
        fs::create_dir_all(directory).map_err(at("create", directory))?;
        let lock = lock(directory)?;
        remove_unfinished(directory)?;
        if numbered(directory, SNAPSHOT)?.is_empty() && numbered(directory, JOURNAL)?.is_empty() {
            put_snapshot(directory, genesis, chain_id, 0)?;
        }
        let recovered = recover(directory, chain_id, retention)?;
        let newest = recovered.segments.last().copied().unwrap_or(1);
        let path = file_name(directory, JOURNAL, newest);
        let journal = append_to(&path)?;
        // What a killed process wrote of its last record is cut off.
        journal
            .set_len(recovered.journal_bytes)
            .map_err(at("shorten", &path))?;
        let store = Self {
            directory: directory.to_owned(),
            chain_id,
            _lock: lock,
            journal,
            journal_bytes: recovered.journal_bytes,
            segments: recovered.segments.into(),
            next: recovered.next,
            snapshot: recovered.snapshot,
            snapshot_bytes: recovered.snapshot_bytes,
            bytes_since_snapshot: recovered.bytes_since_snapshot,
            broken: false,
            buffer: Vec::new(),
        };
        Ok((store, recovered.chain))
    }

    /// Appends a record and returns its number.
    pub(crate) fn append(&mut self, record: &Record) -> Result<u64, StoreError> {
        if self.broken {
            return Err(StoreError::Broken);
        }
        self.buffer.clear();
        write_frame(&mut self.buffer, |out| record.encode(out));
        if let Err(source) = self.journal.write_all(&self.buffer) {
            // Half a record would hide every later one.
            self.broken = self.journal.set_len(self.journal_bytes).is_err();
            return Err(StoreError::Io {
                action: "write",
                path: self.directory.clone(),
                source,
            });
        }
        let bytes = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.journal_bytes += bytes;
        self.bytes_since_snapshot += bytes;
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Begins a new segment when the newest is full, with a snapshot when enough has been
    /// written, and deletes what nobody needs any more. `chain` has all appended records applied.
    pub(crate) fn maintain(&mut self, chain: &Chain) -> Result<(), StoreError> {
        if self.journal_bytes < SEGMENT_BYTES {
            return Ok(());
        }
        // A snapshot costs its size. Waiting for twice that keeps the cost a constant share.
        if self.bytes_since_snapshot >= SNAPSHOT_EVERY_BYTES.max(2 * self.snapshot_bytes) {
            self.write_snapshot(chain)?;
        }
        // Only the newest segment may lose its end, so this one must be safe before it is not.
        self.journal
            .sync_data()
            .map_err(at("write", &self.directory))?;
        self.journal = append_to(&file_name(&self.directory, JOURNAL, self.next))?;
        self.journal_bytes = 0;
        self.segments.push_back(self.next);
        let needed = chain.history.oldest().record.min(self.snapshot + 1);
        while let [oldest, second, ..] = self.segments.make_contiguous()
            && *second <= needed
        {
            let path = file_name(&self.directory, JOURNAL, *oldest);
            fs::remove_file(&path).map_err(at("delete", &path))?;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Writes the state, so that the journal need not be read again up to here.
    pub(crate) fn write_snapshot(&mut self, chain: &Chain) -> Result<(), StoreError> {
        let sequence = self.next - 1;
        self.snapshot_bytes = put_snapshot(&self.directory, chain, self.chain_id, sequence)?;
        self.bytes_since_snapshot = 0;
        self.snapshot = sequence;
        for older in numbered(&self.directory, SNAPSHOT)? {
            if older < sequence {
                let path = file_name(&self.directory, SNAPSHOT, older);
                fs::remove_file(&path).map_err(at("delete", &path))?;
            }
        }
        Ok(())
    }
}

/// Writes a snapshot that is there whole or not at all, and returns its length.
fn put_snapshot(
    directory: &Path,
    chain: &Chain,
    chain_id: u64,
    sequence: u64,
) -> Result<u64, StoreError> {
    let path = file_name(directory, SNAPSHOT, sequence);
    let unfinished = path.with_extension(UNFINISHED);
    let write = || {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
        snapshot::write(chain, chain_id, sequence, &mut file)?;
        file.flush()?;
        file.get_ref().sync_all()?;
        let bytes = file.get_ref().metadata()?.len();
        fs::rename(&unfinished, &path)?;
        File::open(directory)?.sync_all()?;
        Ok(bytes)
    };
    write().map_err(at("write", &path))
}

/// Deletes what a killed process was writing.
fn remove_unfinished(directory: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(directory).map_err(at("list", directory))? {
        let path = entry.map_err(at("list", directory))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == UNFINISHED)
        {
            fs::remove_file(&path).map_err(at("delete", &path))?;
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(at("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: directory.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(at("lock", &path)(source)),
    }
}

/// The numbers in the names of the files of one kind, ascending.
pub(crate) fn numbered(directory: &Path, kind: &str) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(at("list", directory))? {
        let name = entry.map_err(at("list", directory))?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix(kind)?.strip_prefix('-'))
            .and_then(|number| number.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(crate) fn file_name(directory: &Path, kind: &str, number: u64) -> PathBuf {
    directory.join(format!("{kind}-{number:012}"))
}

fn append_to(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.map_err(at("open", path))
}

pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        action,
        path,
        source,
    }
}
