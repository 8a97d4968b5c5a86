//! Backups and the program whose format they have: each reads what the other wrote.

use std::ffi::OsStr;
use std::process::Command;

use octroi_store::conformance::Payment;

use crate::backup::{refused, succeeded};
use crate::records::Running;
use crate::run::{Folder, run};

/// `age` or `age-keygen`, in this folder.
async fn age(folder: &Folder, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .current_dir(folder.path())
        .env_clear()
        .env(
            "PATH",
            std::env::var_os("PATH")
                .as_deref()
                .unwrap_or(OsStr::new("")),
        );
    let ran = run(command).await;
    succeeded(&ran);
    ran.text().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's age, which `cargo xtask test` fetches"]
async fn backups_are_read_and_written_by_age_itself() {
    let running = Running::start();
    let suite = running.suite().await;
    for number in 1..=3 {
        suite.settled(&Payment::new(number)).await;
    }
    let folder = &running.folder;
    age(folder, "age-keygen -o restore.key").await;
    age(folder, "age-keygen -o other.key").await;
    let public = age(folder, "age-keygen -y restore.key").await;
    let wrote = running
        .run(&format!("backup octroi.age --recipient {public}"))
        .await;
    succeeded(&wrote);
    let (_, head) = wrote.text().trim_end().split_once("head ").unwrap();

    age(
        folder,
        "age --decrypt --identity restore.key --output plain octroi.age",
    )
    .await;
    age(
        folder,
        &format!("age --encrypt --recipient {public} --output again.age plain"),
    )
    .await;
    for restore in [
        "restore octroi.age --into one --identity restore.key",
        "restore plain --into two",
        "restore again.age --into three --identity restore.key",
    ] {
        let args: Vec<_> = restore.split(' ').collect();
        let ran = folder.run(&args).await;
        succeeded(&ran);
        assert!(ran.text().contains(head), "{restore}: {}", ran.text());
    }
    let args = "restore again.age --into four --identity other.key";
    let args: Vec<_> = args.split(' ').collect();
    refused(&folder.run(&args).await, "for none of these keys");
}
