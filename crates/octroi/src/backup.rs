//! `octroi backup`: a copy of the store while the gate runs, encrypted for whoever may restore it.

mod encryption;
mod partial;
mod progress;
mod stream;

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use octroi_store_sqlite::{CopyError, Copying, Examined, OpenError, Snapshot, examine};

pub(crate) use self::encryption::{Keys, decrypted};
pub(crate) use self::partial::PartialFile;
pub(crate) use self::progress::{Progress, Stop};
pub(crate) use self::stream::{End, pump};

use self::encryption::{Recipients, encrypted};
use self::stream::unwritable;
use crate::cli::StoreArgs;
use crate::failure::{Failure, ResultExt as _};
use crate::transactions::second;
use crate::{output, records};

/// The name of standard input or output.
pub(crate) const STANDARD: &str = "-";

#[derive(Args)]
#[command(after_help = "\
Examples:
  age-keygen -o restore.key                 once; keep it where the gate is not
  age-keygen -y restore.key > backup.pub    its public key
  octroi backup --recipients-file backup.pub octroi.age
  octroi backup --recipients-file backup.pub - | ssh vault 'cat > octroi.age'

The gate may be running. FILE is there when it is complete, and not before. It holds the store: the
configuration, the key files and the folder of ACME are files that you copy yourself.")]
pub(crate) struct BackupArgs {
    /// The file to write; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    /// A public key (age1...) whose owner can restore it; may be repeated
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// A file of public keys, one on each line
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
    /// Do not encrypt: whoever has the file reads who paid for what
    #[arg(long, conflicts_with_all = ["recipient", "recipients_file"])]
    plain: bool,
    /// Overwrite a file that exists
    #[arg(long)]
    force: bool,
}

/// Makes a backup, or leaves nothing.
pub(crate) async fn run(args: &BackupArgs) -> Result<(), Failure> {
    let stop = Stop::on_signal();
    tokio::task::block_in_place(|| backup(args, &stop))
}

fn backup(args: &BackupArgs, stop: &Stop) -> Result<(), Failure> {
    let recipients = if args.plain {
        Recipients::Everybody
    } else {
        Recipients::read(&args.recipient, args.recipients_file.as_deref())?
    };
    let store = records::path(&args.store)?;
    check_target(args, &store)?;
    let snapshot = snapshot(&store, stop)?;
    // What is wrong now would otherwise be noticed when the backup is needed.
    let found = Progress::new("reading the copy")
        .during(|| examine(snapshot.path()))
        .or_fail("the copy of the store cannot be trusted")
        .map_err(|failure| failure.help("`octroi books --audit` says whether the store can be"))?;
    let found = summary(&found);
    stop.check()?;
    if args.file == Path::new(STANDARD) {
        write(
            &snapshot,
            "standard output",
            io::stdout().lock(),
            &recipients,
            stop,
        )?;
        output::note(&format!("Wrote {found}."));
        return Ok(());
    }
    let shown = args.file.display().to_string();
    let cannot = || format!("cannot write {shown}");
    let mut file = PartialFile::create(&args.file).or_fail(cannot())?;
    write(&snapshot, &shown, file.file(), &recipients, stop)?;
    let bytes = file.publish().or_fail(cannot())?;
    writeln!(io::stdout(), "Wrote {shown}: {bytes} bytes, {found}.")?;
    Ok(())
}

/// Refuses a target that would be lost, before anything is done.
fn check_target(args: &BackupArgs, store: &Path) -> Result<(), Failure> {
    let shown = args.file.display();
    if args.file == Path::new(STANDARD) {
        if io::stdout().is_terminal() {
            return Err(Failure::new("a terminal cannot keep a backup")
                .help("name a file, or send standard output to one"));
        }
        return Ok(());
    }
    if fs::symlink_metadata(&args.file).is_err() {
        return Ok(());
    }
    let target = fs::canonicalize(&args.file).ok();
    if target.is_some() && target == fs::canonicalize(store).ok() {
        return Err(Failure::new(format!("{shown} is the store itself")));
    }
    if args.force {
        return Ok(());
    }
    Err(Failure::new(format!("{shown} exists already"))
        .help("name another file, or overwrite it with --force"))
}

fn snapshot(store: &Path, stop: &Stop) -> Result<Snapshot, Failure> {
    let mut progress = Progress::new("copying");
    let taken = Snapshot::take(store, |Copying { done, all }| {
        progress.show(done, Some(all));
        stop.go_on()
    });
    stop.check()?;
    taken.map_err(|error| {
        let help = match &error {
            CopyError::Open(OpenError::Older { .. }) => {
                "back it up with the program that wrote it, which is then a way back to that"
            }
            _ => "--store names another file, --config a configuration that names one",
        };
        let what = format!("the store {} cannot be copied", store.display());
        Failure::from(anyhow::Error::new(error).context(what)).help(help)
    })
}

/// Writes all of it to the end, and lets nothing wait in between.
fn write(
    snapshot: &Snapshot,
    name: &str,
    out: impl Write,
    recipients: &Recipients,
    stop: &Stop,
) -> Result<(), Failure> {
    let copy = File::open(snapshot.path()).or_fail("cannot read the copy")?;
    let bytes = copy.metadata().or_fail("cannot read the copy")?.len();
    let mut to = End {
        name,
        end: encrypted(out, recipients).map_err(|error| unwritable(name, &error))?,
    };
    let from = End {
        name: "the copy",
        end: copy,
    };
    pump(from, &mut to, Progress::new("writing").of(bytes), stop)?;
    let finished = to.end.finish().and_then(|mut out| out.flush());
    finished.map_err(|error| unwritable(name, &error))
}

/// What is in a store, in a few words.
pub(crate) fn summary(found: &Examined) -> String {
    let Examined {
        transactions,
        newest_at,
        head,
    } = found;
    let newest = newest_at.map_or_else(String::new, |time| {
        format!(" (the newest of {})", second(time))
    });
    let (batches, hash) = (head.sequence, head.hash);
    format!("{transactions} transactions{newest}, {batches} batches, head {hash}")
}
