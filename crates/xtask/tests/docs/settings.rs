//! The configurations that the pages show.

use octroi_config::{Config, Source};

use crate::markdown::pages;

/// A number that is a private key; what it would own is nobody's.
const WALLET_KEY: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

/// Somebody who pays nobody.
const DENIED: &str = "0x0202020202020202020202020202020202020202";

/// A page's blocks of TOML add up: each is valid with those before it.
#[test]
fn every_configuration_that_is_shown_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("wallet.key", WALLET_KEY), ("denied.txt", DENIED)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut shown = 0;
    for page in pages() {
        let mut text = String::new();
        for block in page.blocks() {
            if block.language != "toml" {
                continue;
            }
            text.extend([&block.text, "\n"]);
            shown += 1;
            let checked = Config::check(Source {
                file: &page.name,
                text: &text,
                directory: folder.path(),
                environment: &[],
            });
            match checked {
                Ok(loaded) => assert!(
                    loaded.warnings.problems.is_empty(),
                    "{}: {}",
                    page.name,
                    loaded.warnings
                ),
                Err(report) => panic!("{}\n{report}", page.name),
            }
        }
    }
    assert!(shown >= 2, "the README shows configurations");
}
