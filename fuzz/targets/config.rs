//! Configuration texts: every problem is reported, none panics.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use octroi_config::{Config, Source};

fuzz_target!(|text: &str| {
    let source = Source {
        file: "fuzz.toml",
        text,
        directory: Path::new("/nonexistent"),
        environment: &[],
    };
    if let Err(report) = Config::check(source) {
        assert!(report.errors() > 0);
        let _ = report.to_string();
    }
});
