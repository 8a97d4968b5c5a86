//! The developer commands that the pages name.

use std::process::Command;

use crate::markdown::pages;

#[test]
fn every_xtask_command_that_is_named_exists() {
    let help = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let exists = |name: &str| {
        help.lines()
            .any(|line| line.trim().starts_with(&format!("{name} ")))
    };
    let mut named = 0;
    for page in pages() {
        for rest in page.text.split("cargo xtask ").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_lowercase());
            let name = &rest[..end.unwrap_or(rest.len())];
            assert!(exists(name), "{} names `cargo xtask {name}`", page.name);
            named += 1;
        }
    }
    assert!(named > 0);
    assert!(!exists("frobnicate"));
}
