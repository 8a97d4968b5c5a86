//! Where the content goes.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use super::args::PayArgs;
use super::error::PayError;

/// The most content that is put into a JSON object, in bytes.
const MEMORY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A destination that was made sure of before anything is paid.
pub(crate) struct Sink {
    kind: Kind,
    has_begun: bool,
    /// Whether people would see the next line stand behind the content.
    is_line_open: bool,
}

enum Kind {
    Stdout,
    File {
        file: File,
        path: PathBuf,
        /// It was not there before.
        is_new: bool,
    },
    Memory(Vec<u8>),
}

impl Sink {
    /// Opens the destination. A file that exists keeps its content until new content comes.
    pub(crate) fn open(args: &PayArgs) -> Result<Self, PayError> {
        let kind = match &args.output {
            Some(path) => {
                let is_new = !path.exists();
                let mut options = File::options();
                let file = options.create(true).write(true).truncate(false).open(path);
                let file = file.map_err(|error| PayError::Usage {
                    what: format!("--output {} cannot be written", path.display()),
                    help: "",
                    source: Some(error.into()),
                })?;
                Kind::File {
                    file,
                    path: path.clone(),
                    is_new,
                }
            }
            None if args.json => Kind::Memory(Vec::new()),
            None => Kind::Stdout,
        };
        Ok(Self {
            kind,
            has_begun: false,
            is_line_open: false,
        })
    }

    /// Writes a part of the content and makes sure that it is seen now.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), PayError> {
        self.begin()?;
        match &mut self.kind {
            Kind::Stdout => {
                let mut out = io::stdout().lock();
                self.is_line_open = !bytes.ends_with(b"\n") && out.is_terminal();
                out.write_all(bytes)
                    .and_then(|()| out.flush())
                    .map_err(PayError::Output)
            }
            Kind::File { file, .. } => file.write_all(bytes).map_err(PayError::Output),
            Kind::Memory(memory) if memory.len().saturating_add(bytes.len()) > MEMORY_BYTES_MAX => {
                Err(PayError::TooLarge {
                    bytes_max: MEMORY_BYTES_MAX,
                })
            }
            Kind::Memory(memory) => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// There is content now, if only an empty one.
    pub(crate) fn begin(&mut self) -> Result<(), PayError> {
        if !std::mem::replace(&mut self.has_begun, true)
            && let Kind::File { file, .. } = &self.kind
            // A device or pipe has no length to set.
            && file.metadata().is_ok_and(|metadata| metadata.is_file())
        {
            file.set_len(0).map_err(PayError::Output)?;
        }
        Ok(())
    }

    /// Whether the content ended on a terminal without ending its line.
    pub(crate) const fn is_line_open(&self) -> bool {
        self.is_line_open
    }

    /// What was kept in memory, if that is where it went.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        match &mut self.kind {
            Kind::Memory(memory) if self.has_begun => Some(std::mem::take(memory)),
            Kind::Memory(_) | Kind::Stdout | Kind::File { .. } => None,
        }
    }
}

impl Drop for Sink {
    /// A file that was made for content that never came is taken away again.
    fn drop(&mut self) {
        if let Kind::File {
            path, is_new: true, ..
        } = &self.kind
            && !self.has_begun
        {
            let _ = fs::remove_file(path);
        }
    }
}
