//! A log that is appended to and flushed, for all callers that wait at once.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::BATCH;
use super::callers::group_commits;

/// What a transfer takes at least.
const RECORD_BYTES: usize = 128;

/// A file of records.
#[derive(Debug)]
pub struct BareLog {
    file: File,
}

impl BareLog {
    /// A new file in a folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        let file = File::create(folder.join("bare.log")).context("the log's file")?;
        Ok(Self { file })
    }

    /// Records a second, for so many callers that each wait for the flush of their own.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn appends(&mut self, callers: usize, time: Duration) -> Result<f64> {
        let record = [7; RECORD_BYTES];
        let mut bytes = Vec::with_capacity(BATCH * RECORD_BYTES);
        group_commits(callers, time, |calls| {
            bytes.clear();
            (0..calls).for_each(|_| bytes.extend_from_slice(&record));
            self.file.write_all(&bytes)?;
            Ok(self.file.sync_data()?)
        })
    }
}
