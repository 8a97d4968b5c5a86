//! `octroi backup` beside a store that its owner holds open, and `octroi restore` of what it wrote.

use std::io::Write as _;
use std::process::Stdio;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;
use octroi_store::conformance::Payment;
use serde_json::Value;

use crate::records::Running;
use crate::run::{Folder, Ran, run};

const AUDIT: &[&str] = &["books", "--audit", "--json", "--store"];
const LIST: &[&str] = &["transactions", "export", "--format", "json", "--store"];

/// A key in a file of this folder, and its public part.
pub(crate) fn key(folder: &Folder, file: &str) -> String {
    let key = Identity::generate();
    let secret = key.to_string();
    folder.write(file, format!("# a key\n{}\n", secret.expose_secret()));
    key.to_public().to_string()
}

/// The names in a folder, but for those that a running store has.
pub(crate) fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("octroi.db"))
        .collect();
    names.sort();
    names
}

pub(crate) fn succeeded(ran: &Ran) {
    assert_eq!(ran.exit, 0, "{}", ran.err);
}

/// Says what is wrong, and nothing else.
#[track_caller]
pub(crate) fn refused(ran: &Ran, why: &str) {
    ran.expect(1, "");
    assert!(ran.err.contains(why), "{why}: {}", ran.err);
}

async fn read(folder: &Folder, args: &[&str], store: &str) -> Value {
    let ran = folder.run(&[args, &[store]].concat()).await;
    succeeded(&ran);
    ran.json()
}

async fn settle(running: &Running, count: u32) {
    let suite = running.suite().await;
    for number in 1..=count {
        suite.settled(&Payment::new(number)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_recipient_restores_the_store_of_a_running_gate() {
    let running = Running::start();
    settle(&running, 5).await;
    let folder = &running.folder;
    let (one, two) = (key(folder, "one.key"), key(folder, "two.key"));
    folder.write("keys.pub", format!("# who restores\n\n{two}\n"));
    let args = format!("backup octroi.age --recipient {one} --recipients-file keys.pub");
    let ran = running.run(&args).await;
    succeeded(&ran);
    let audit = read(folder, AUDIT, "octroi.db").await;
    let bytes = std::fs::metadata(folder.path().join("octroi.age")).unwrap();
    let head = audit["audit"]["head"].as_str().unwrap();
    for told in [
        &format!("Wrote octroi.age: {} bytes", bytes.len()),
        "5 transactions (the newest of 2027-",
        head,
    ] {
        assert!(ran.text().contains(told), "{told}: {}", ran.text());
    }
    assert_eq!(ran.text().lines().count(), 1);
    assert_eq!(
        names(folder),
        ["keys.pub", "octroi.age", "one.key", "two.key"]
    );
    assert!(!folder.path().join("octroi.db.snapshot").exists());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(bytes.permissions().mode() & 0o777, 0o600);
    }

    let list = read(folder, LIST, "octroi.db").await;
    assert_eq!(list.as_array().unwrap().len(), 5);
    for identity in ["one.key", "two.key"] {
        let into = format!("from-{identity}");
        let restore = ["restore", "octroi.age", "--into", &into];
        let ran = folder
            .run(&[&restore[..], &["--identity", identity]].concat())
            .await;
        succeeded(&ran);
        assert!(ran.text().contains(head), "{}", ran.text());
        let entries = std::fs::read_dir(folder.path().join(&into)).unwrap();
        let restored: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(restored, ["octroi.db"]);
        let store = format!("{into}/octroi.db");
        assert_eq!(read(folder, AUDIT, &store).await, audit);
        assert_eq!(read(folder, LIST, &store).await, list);
    }
    // The secrets are nobody's to see.
    let secret = folder.read("one.key");
    let secret = secret.lines().last().unwrap();
    assert!(!ran.err.contains(secret) && !ran.text().contains(secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_of_one_moment_while_the_store_is_written() {
    let running = Running::start();
    let suite = running.suite().await;
    let folder = &running.folder;
    let (stop, mut stopped) = tokio::sync::oneshot::channel();
    let buying = async {
        let mut number = 0;
        while stopped.try_recv().is_err() {
            number += 1;
            suite.settled(&Payment::new(number)).await;
        }
    };
    let backing_up = async {
        for round in 0..4 {
            let backup = format!("backup --plain {round}.backup");
            succeeded(&running.run(&backup).await);
        }
        stop.send(()).unwrap();
    };
    tokio::join!(buying, backing_up);

    let all = read(folder, LIST, "octroi.db").await;
    let all = all.as_array().unwrap();
    let mut before = 0;
    for round in 0..4 {
        let (file, into) = (format!("{round}.backup"), format!("{round}"));
        succeeded(&folder.run(&["restore", &file, "--into", &into]).await);
        let kept = read(folder, LIST, &format!("{into}/octroi.db")).await;
        let kept = kept.as_array().unwrap();
        // Newest first; the newest one was on its way.
        let (kept_old, all_old) = (kept.iter().rev(), all.iter().rev());
        let done = kept.len().saturating_sub(1);
        assert!(kept_old.take(done).eq(all_old.take(done)));
        assert!(kept.len() >= before, "{} after {before}", kept.len());
        before = kept.len();
    }
    assert!(before > 0 && all.len() >= before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_through_pipes() {
    let running = Running::start();
    settle(&running, 2).await;
    let folder = &running.folder;
    let public = key(folder, "restore.key");
    let ran = running.run(&format!("backup - --recipient {public}")).await;
    succeeded(&ran);
    assert!(ran.out.starts_with(b"age-encryption.org/v1\n"));
    assert!(ran.err.contains("2 transactions"), "{}", ran.err);

    let restore = "restore - --into restored --identity restore.key";
    let restore: Vec<_> = restore.split(' ').collect();
    let mut command = folder.command(&restore);
    let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(&ran.out).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (now, then) = ("octroi.db", "restored/octroi.db");
    assert_eq!(
        read(folder, AUDIT, now).await,
        read(folder, AUDIT, then).await
    );

    // Half of a backup is none, whoever has it.
    let backup = format!("backup - --store octroi.db --recipient {public}");
    let backup: Vec<_> = backup.split(' ').collect();
    let mut process = folder.command(&backup).spawn().unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot write standard output"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_not_overwritten() {
    let running = Running::start();
    settle(&running, 1).await;
    let folder = &running.folder;
    folder.write("taken", "precious");
    refused(&running.run("backup --plain taken").await, "exists already");
    assert_eq!(folder.read("taken"), "precious");
    let store = running.run("backup --plain --force octroi.db").await;
    refused(&store, "is the store itself");
    let nowhere = running.run("backup --plain no/such/folder").await;
    refused(&nowhere, "cannot write no/such/folder");
    succeeded(&running.run("backup --plain --force taken").await);

    folder.write("full/precious", "precious");
    let restore =
        |into: &'static str| async move { folder.run(&["restore", "taken", "--into", into]).await };
    refused(&restore("full").await, "is not empty");
    refused(&restore("taken").await, "cannot read the folder taken");
    refused(&restore("no/such").await, "cannot make the folder no/such");
    succeeded(&restore("restored").await);
    refused(&restore("restored").await, "is not empty");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    succeeded(&restore("empty").await);
    assert_eq!(names(folder), ["empty", "full", "restored", "taken"]);
    assert_eq!(folder.read("full/precious"), "precious");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_read_a_backup_is_said() {
    let running = Running::start();
    let folder = &running.folder;
    let public = key(folder, "restore.key");
    let secret = folder
        .read("restore.key")
        .lines()
        .last()
        .unwrap()
        .to_owned();
    folder.write("empty.pub", "# nobody\n");
    folder.write("wrong.pub", format!("{public}\n{secret}\n"));
    for (args, why) in [
        (String::new(), "nobody is named"),
        ("--recipients-file empty.pub".to_owned(), "nobody is named"),
        (
            "--recipients-file none.pub".to_owned(),
            "cannot read none.pub",
        ),
        (
            "--recipients-file wrong.pub".to_owned(),
            "line 2 of wrong.pub is a secret key",
        ),
        (
            format!("--recipient {secret}"),
            "--recipient number 1 is a secret key",
        ),
        (
            format!("--recipient {public} --recipient age1x"),
            "number 2 is no public key",
        ),
    ] {
        let args = format!("backup octroi.age {args}");
        let ran = running.run(args.trim_end()).await;
        refused(&ran, why);
        assert!(!ran.err.contains(&secret), "{}", ran.err);
    }
    assert!(!folder.path().join("octroi.age").exists());
    let none = folder
        .run(&["backup", "--plain", "--store", "none.db", "x"])
        .await;
    refused(&none, "none.db");
    folder.write("text.db", "not a database");
    let text = folder
        .run(&["backup", "--plain", "--store", "text.db", "x"])
        .await;
    refused(&text, "text.db");
    assert!(!folder.path().join("x").exists());
}

/// Ctrl-C in the middle.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_leaves_nothing() {
    let running = Running::start();
    settle(&running, 3).await;
    let folder = &running.folder;
    let backup = running.run("backup --plain -").await.out;
    let mut command = folder.command(&["restore", "-", "--into", "restored"]);
    let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let (first, rest) = backup.split_at(1_000);
    input.write_all(first).unwrap();
    let into = folder.path().join("restored");
    let is_begun = || std::fs::read_dir(&into).is_ok_and(|entries| entries.count() > 0);
    octroi_testkit::eventually("it has begun", async || is_begun().then_some(())).await;
    let interrupt = format!("kill -INT {}", process.id());
    run({
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &interrupt]);
        shell
    })
    .await
    .expect(0, "");
    let mut rest = rest.iter();
    let status = octroi_testkit::eventually("it has ended", async || {
        // It looks whether it is to stop whenever something comes.
        if let Some(byte) = rest.next() {
            input.write_all(&[*byte]).ok();
        }
        process.try_wait().unwrap()
    })
    .await;
    assert_eq!(status.code(), Some(130));
    assert!(!into.exists());
}
