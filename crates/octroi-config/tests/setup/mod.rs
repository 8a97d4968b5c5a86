//! A directory with some files, and configurations checked in it.

use std::fs;

use octroi_config::{Config, Loaded, Report, Source};

/// A private key of no use.
pub(crate) const WALLET_KEY: &str =
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
/// A bearer token.
pub(crate) const TOKEN: &str = "hunter2-token-of-the-origin";

/// Addresses, one of them twice, as people keep them.
const DENIED: &str = "# Reported in May.\r
\r
0x5555555555555555555555555555555555555555\r
  0x6666666666666666666666666666666666666666\t# and why
0x5555555555555555555555555555555555555555";

/// Checks a text in a directory with some files to name.
pub(crate) fn check(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Report> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("wallet.key", format!("{WALLET_KEY}\n")),
        ("token.txt", format!("  {TOKEN}\n")),
        ("empty.key", "\n".to_owned()),
        ("lines.txt", "one\ntwo\n".to_owned()),
        ("denied.txt", DENIED.to_owned()),
        ("numbers.txt", (1..=30).map(|n| format!("{n}\n")).collect()),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\n".to_owned()),
        ("key.pem", "-----BEGIN PRIVATE KEY-----\n".to_owned()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let environment: Vec<_> = variables.iter().map(own).collect();
    Config::check(Source {
        file: "octroi.toml",
        text,
        directory: directory.path(),
        environment: &environment,
    })
}
