//! Backups that are not what they were, or never were one: nothing is made of them.

use octroi_store::conformance::Payment;

use crate::backup::{key, names, refused, succeeded};
use crate::records::Running;
use crate::run::{Folder, Ran};

/// Where the first page of a database has its version, and the mark of the program it is of.
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

/// A folder with `restore.key`, and two backups of one store: an encrypted and a plain one.
async fn backups() -> (Folder, Vec<u8>, Vec<u8>) {
    let running = Running::start();
    let suite = running.suite().await;
    for number in 1..=3 {
        suite.settled(&Payment::new(number)).await;
    }
    let folder = Folder::new();
    let public = key(&folder, "restore.key");
    let encrypted = running.run(&format!("backup - --recipient {public}")).await;
    let plain = running.run("backup - --plain").await;
    succeeded(&encrypted);
    succeeded(&plain);
    (folder, encrypted.out, plain.out)
}

async fn restore(folder: &Folder, backup: &[u8], identity: Option<&str>) -> Ran {
    folder.write("backup", backup);
    let mut args = vec!["restore", "backup", "--into", "restored"];
    args.extend(identity.iter().flat_map(|file| ["--identity", file]));
    folder.run(&args).await
}

/// Nothing was made.
#[track_caller]
fn nothing_is_left(folder: &Folder) {
    let names: Vec<_> = names(folder);
    assert!(!names.contains(&"restored".to_owned()), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_backup_that_was_cut_or_changed_makes_nothing() {
    let (folder, encrypted, _) = backups().await;
    let identity = Some("restore.key");
    let length = encrypted.len();
    let payload = encrypted.windows(4).position(|at| at == b"\n---").unwrap() + 64;
    // Within each line of the header, at the seams of the chunks of 64 KiB, and at the end.
    let chunk = 64 * 1_024 + 16;
    let seams = (1..).map(|count| payload + count * chunk);
    let mut places: Vec<_> = (0..payload + 40).step_by(17).collect();
    places.extend(seams.take_while(|seam| *seam < length).take(2));
    places.extend([length / 2, length - 17, length - 16, length - 1]);
    for place in places {
        let cut = restore(&folder, &encrypted[..place], identity).await;
        refused(&cut, "backup");
        nothing_is_left(&folder);
        let mut changed = encrypted.clone();
        changed[place] ^= 0x01;
        let changed = restore(&folder, &changed, identity).await;
        refused(&changed, "backup");
        nothing_is_left(&folder);
    }
    let longer = [&encrypted[..], b"\n"].concat();
    let longer = restore(&folder, &longer, identity).await;
    refused(&longer, "backup is damaged or was cut off");
    nothing_is_left(&folder);
    succeeded(&restore(&folder, &encrypted, identity).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_backup_that_is_not_whole_makes_nothing() {
    let (folder, _, plain) = backups().await;
    let length = plain.len();
    for cut in [
        0,
        1,
        15,
        16,
        64,
        100,
        512,
        4_095,
        4_096,
        length / 2,
        length - 4_096,
        length - 1,
    ] {
        refused(&restore(&folder, &plain[..cut], None).await, "backup");
        nothing_is_left(&folder);
    }
    let changed = |at: usize, bytes: [u8; 4]| {
        let mut changed = plain.clone();
        changed[at..at + 4].copy_from_slice(&bytes);
        changed
    };
    for (backup, why) in [
        (changed(USER_VERSION, [0, 0, 9, 0]), "has schema 2304"),
        (changed(APPLICATION_ID, [0; 4]), "is not an Octroi database"),
        (changed(APPLICATION_ID, [1; 4]), "is not an Octroi database"),
        (
            b"no backup at all, and long enough".to_vec(),
            "backup is no backup",
        ),
        ([&plain[..], &[0]].concat(), "bytes and not"),
    ] {
        refused(&restore(&folder, &backup, None).await, why);
        nothing_is_left(&folder);
    }
    // A page of the books that is not the one that was written.
    let torn = plain.chunks(4_096).enumerate().map(|(page, bytes)| {
        let mut bytes = bytes.to_vec();
        if page > 0 {
            bytes
                .iter_mut()
                .rev()
                .take(512)
                .for_each(|byte| *byte ^= 0xff);
        }
        bytes
    });
    let torn = torn.collect::<Vec<_>>().concat();
    refused(&restore(&folder, &torn, None).await, "cannot be trusted");
    nothing_is_left(&folder);
    succeeded(&restore(&folder, &plain, None).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_right_key_opens_a_backup() {
    let (folder, encrypted, plain) = backups().await;
    key(&folder, "other.key");
    let secret = folder.read("other.key").lines().last().unwrap().to_owned();
    folder.write("broken.key", &secret[..secret.len() - 1]);
    folder.write("empty.key", "# nothing\n");
    for (backup, identity, why) in [
        (&encrypted, None, "backup is encrypted"),
        (&encrypted, Some("other.key"), "for none of these keys"),
        (&encrypted, Some("none.key"), "cannot read none.key"),
        (&encrypted, Some("empty.key"), "has no secret key"),
        (&encrypted, Some("broken.key"), "is no file of secret keys"),
        // Somebody may have put it in the place of an encrypted one.
        (&plain, Some("restore.key"), "backup is not encrypted"),
    ] {
        let ran = restore(&folder, backup, identity).await;
        refused(&ran, why);
        assert!(!ran.err.contains(&secret[..20]), "{}", ran.err);
        nothing_is_left(&folder);
    }
    let missing = folder.run(&["restore", "none", "--into", "restored"]).await;
    refused(&missing, "cannot read none");
    nothing_is_left(&folder);
}
