//! `octroi restore`: a store from a backup, once all of it was read and found good.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use octroi_store_sqlite::examine;

use crate::backup::{End, Keys, PartialFile, Progress, STANDARD, Stop, decrypted, pump, summary};
use crate::failure::{Failure, ResultExt as _};
use crate::output;

/// The name of the store in the folder.
const STORE: &str = "octroi.db";

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi restore octroi.age --into restored --identity restore.key
  ssh vault 'cat octroi.age' | octroi restore - --into restored --identity restore.key

FOLDER must be empty or not be there yet. A backup that is damaged, or was encrypted for others,
leaves nothing behind. What a restored store lacks is on the chain and not in the books: see
docs/operating.md before a gate sells with it.")]
pub(crate) struct RestoreArgs {
    /// The backup; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to make octroi.db in
    #[arg(long, value_name = "FOLDER")]
    into: PathBuf,
    /// A file of secret keys, as `age-keygen` writes it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// Restores a backup, or leaves nothing.
pub(crate) async fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let stop = Stop::on_signal();
    tokio::task::block_in_place(|| restore(args, &stop))
}

fn restore(args: &RestoreArgs, stop: &Stop) -> Result<(), Failure> {
    let keys = args.identity.as_deref().map(Keys::read).transpose()?;
    let (keys, into) = (keys.as_ref(), args.into.as_path());
    if args.file == Path::new(STANDARD) {
        let progress = Progress::new("reading");
        let (name, from) = ("standard input", io::stdin().lock());
        return restore_from(name, from, progress, keys, into, stop);
    }
    let name = args.file.display().to_string();
    let cannot = || format!("cannot read {name}");
    let file = File::open(&args.file).or_fail(cannot())?;
    let bytes = file.metadata().or_fail(cannot())?.len();
    let progress = Progress::new("reading").of(bytes);
    restore_from(&name, BufReader::new(file), progress, keys, into, stop)
}

fn restore_from(
    name: &str,
    from: impl BufRead,
    progress: Progress,
    keys: Option<&Keys>,
    into: &Path,
    stop: &Stop,
) -> Result<(), Failure> {
    let folder = EmptyFolder::open(into)?;
    let from = End {
        name,
        end: decrypted(name, from, keys)?,
    };
    let store = into.join(STORE);
    let shown = store.display().to_string();
    let cannot = || format!("cannot write {shown}");
    let mut file = PartialFile::create(&store).or_fail(cannot())?;
    let mut to = End {
        name: &shown,
        end: file.file(),
    };
    pump(from, &mut to, progress, stop)?;
    let found = Progress::new("checking")
        .during(|| examine(file.path()))
        .or_fail(format!("{name} cannot be trusted"))?;
    stop.check()?;
    file.publish().or_fail(cannot())?;
    folder.keep();
    let found = summary(&found);
    writeln!(io::stdout(), "Restored {shown}: {found}.")?;
    output::note(
        "Every row is as it was written. Payments since then are on the chain and not in these books;\n\
         the gate that had the store must not run any more. See docs/operating.md.",
    );
    Ok(())
}

/// A folder with nothing in it. Removed when dropped if it was made for this, unless it is kept.
struct EmptyFolder<'p> {
    path: &'p Path,
    is_ours: bool,
}

impl<'p> EmptyFolder<'p> {
    fn open(path: &'p Path) -> Result<Self, Failure> {
        let shown = path.display();
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(path) {
            Ok(()) => {
                return Ok(Self {
                    path,
                    is_ours: true,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).or_fail(format!("cannot make the folder {shown}")),
        }
        let mut entries = fs::read_dir(path).or_fail(format!("cannot read the folder {shown}"))?;
        if entries.next().is_some() {
            return Err(Failure::new(format!("the folder {shown} is not empty"))
                .help("--into names an empty folder, or one that is not there yet"));
        }
        Ok(Self {
            path,
            is_ours: false,
        })
    }

    fn keep(mut self) {
        self.is_ours = false;
    }
}

impl Drop for EmptyFolder<'_> {
    fn drop(&mut self) {
        if self.is_ours {
            // Only if it is empty still.
            fs::remove_dir(self.path).ok();
        }
    }
}
