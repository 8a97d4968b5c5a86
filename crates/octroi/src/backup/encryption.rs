//! Who can read a backup: everybody, or the owners of some keys of the age format (v1, C2SP).
//!
//! A file of that format shows any change and any missing end. It does not show who made it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Write};
use std::path::Path;

use age::secrecy::zeroize::Zeroizing;
use age::stream::{StreamReader, StreamWriter};
use age::x25519::Recipient;
use age::{DecryptError, Decryptor, Encryptor, Identity, IdentityFile};

use crate::failure::{Failure, ResultExt as _};

/// How an encrypted file begins, before its version.
const AGE: &[u8] = b"age-encryption.org/";
/// How a database begins.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// How a secret key begins.
const SECRET_KEY: &str = "AGE-SECRET-KEY-";

/// Who can read a backup.
pub(super) enum Recipients {
    Everybody,
    Of(Vec<Recipient>),
}

impl Recipients {
    /// Those that were named, and those of a file.
    pub(super) fn read(named: &[String], file: Option<&Path>) -> Result<Self, Failure> {
        let mut recipients = Vec::new();
        for (number, key) in (1..).zip(named) {
            recipients.push(recipient(key, || format!("--recipient number {number}"))?);
        }
        if let Some(path) = file {
            let shown = path.display();
            let text = fs::read_to_string(path).or_fail(format!("cannot read {shown}"))?;
            // A secret key that was taken for a public one is not left in memory.
            let text = Zeroizing::new(text);
            for (number, line) in (1..).zip(text.lines()) {
                if !line.trim().is_empty() && !line.starts_with('#') {
                    recipients.push(recipient(line, || format!("line {number} of {shown}"))?);
                }
            }
        }
        if recipients.is_empty() {
            return Err(Failure::new("nobody is named who can restore the backup").help(
                "`age-keygen -o restore.key` makes a key and prints its public part for --recipient; \
                 --plain writes a backup that everybody can read",
            ));
        }
        Ok(Self::Of(recipients))
    }
}

/// What is wrong is not repeated: it may be a secret.
fn recipient(key: &str, place: impl Fn() -> String) -> Result<Recipient, Failure> {
    let key = key.trim();
    if key.starts_with(SECRET_KEY) {
        return Err(Failure::new(format!("{} is a secret key", place()))
            .help("give the public one: `age-keygen -y` prints it"));
    }
    key.parse().map_err(|_| {
        Failure::new(format!("{} is no public key", place()))
            .help("a public key begins with age1; keys of SSH and of plugins are not supported")
    })
}

/// Encrypts what is written.
pub(super) enum Encrypting<W: Write> {
    Plain(W),
    For(StreamWriter<W>),
}

/// Begins an encrypted file.
pub(super) fn encrypted<W: Write>(to: W, recipients: &Recipients) -> io::Result<Encrypting<W>> {
    let Recipients::Of(recipients) = recipients else {
        return Ok(Encrypting::Plain(to));
    };
    let recipients = recipients.iter().map(|key| key as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
    encryptor.wrap_output(to).map(Encrypting::For)
}

impl<W: Write> Encrypting<W> {
    /// Writes the end, without which the rest is worth nothing.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(writer) => Ok(writer),
            Self::For(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Encrypting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(writer) => writer.write(bytes),
            Self::For(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(writer) => writer.flush(),
            Self::For(writer) => writer.flush(),
        }
    }
}

/// Secret keys.
pub(crate) struct Keys(Vec<Box<dyn Identity + Send + Sync>>);

impl Keys {
    /// Those of a file, as `age-keygen` writes it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let file = File::open(path).or_fail(format!("cannot read {shown}"))?;
        let keys = IdentityFile::from_buffer(BufReader::new(file))
            .or_fail(format!("{shown} is no file of secret keys"))
            .map_err(|failure| failure.help("a secret key begins with AGE-SECRET-KEY-1"))?;
        let keys = keys
            .into_identities()
            .or_fail(format!("{shown} cannot be used"))?;
        if keys.is_empty() {
            return Err(Failure::new(format!("{shown} has no secret key")));
        }
        Ok(Self(keys))
    }
}

/// What was read of a source, and the rest of it.
type Begun<R> = Chain<Cursor<Vec<u8>>, R>;

/// Decrypts what is read.
pub(crate) enum Decrypting<R> {
    Plain(Begun<R>),
    With(StreamReader<Begun<R>>),
}

/// Begins to read a backup.
pub(crate) fn decrypted<R: BufRead>(
    name: &str,
    mut from: R,
    keys: Option<&Keys>,
) -> Result<Decrypting<R>, Failure> {
    let mut start = Vec::new();
    let longest = u64::try_from(AGE.len().max(SQLITE.len())).unwrap_or(u64::MAX);
    from.by_ref()
        .take(longest)
        .read_to_end(&mut start)
        .or_fail(format!("cannot read {name}"))?;
    let (is_encrypted, is_plain) = (start.starts_with(AGE), start.starts_with(SQLITE));
    let from = Cursor::new(start).chain(from);
    match keys {
        None if is_plain => Ok(Decrypting::Plain(from)),
        None if is_encrypted => Err(Failure::new(format!("{name} is encrypted"))
            .help("--identity names the file with the secret key")),
        Some(keys) if is_encrypted => decrypt(name, from, keys).map(Decrypting::With),
        // Somebody may have put it there in place of one that was.
        Some(_) if is_plain => Err(Failure::new(format!("{name} is not encrypted"))
            .help("leave --identity out if you made it so")),
        _ => Err(Failure::new(format!("{name} is no backup"))),
    }
}

fn decrypt<R: BufRead>(
    name: &str,
    from: Begun<R>,
    keys: &Keys,
) -> Result<StreamReader<Begun<R>>, Failure> {
    let keys = keys.0.iter().map(|key| &**key as &dyn Identity);
    let opened = Decryptor::new_buffered(from).and_then(|file| file.decrypt(keys));
    opened.map_err(|error| match error {
        DecryptError::NoMatchingKeys => {
            Failure::new(format!("{name} was encrypted for none of these keys"))
        }
        DecryptError::Io(error) => unreadable(name, error),
        DecryptError::UnknownFormat => {
            Failure::new(format!("{name} has a format that is not known here"))
        }
        _ => damaged(name),
    })
}

/// A source that cannot be read, or not as what it should be.
pub(crate) fn unreadable(name: &str, error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => damaged(name),
        _ => anyhow::Error::new(error)
            .context(format!("cannot read {name}"))
            .into(),
    }
}

fn damaged(name: &str) -> Failure {
    Failure::new(format!("{name} is damaged or was cut off"))
}

impl<R: BufRead> Read for Decrypting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::With(reader) => reader.read(buffer),
        }
    }
}
