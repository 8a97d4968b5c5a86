//! Pages and parts of pages that are made from code. `cargo xtask docs --write` runs these tests to
//! write them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use octroi_telemetry::metrics::{self, MetricSpec};
use octroi_x402::Reason;

use crate::markdown::{page, root};

const REASONS_BEGIN: &str = "<!-- reasons: written by `cargo xtask docs --write` -->\n";
const REASONS_END: &str = "<!-- end of reasons -->\n";

/// Declared, and recorded by nobody yet: operators should not watch them.
const NOT_COUNTED: &[&str] = &[];

#[test]
fn the_configuration_page_is_the_schema() {
    let text = octroi_config::reference();
    let note = "Written from the schema by `cargo xtask docs --write`.";
    keep(
        "docs/configuration.md",
        &format!("<!-- {note} -->\n\n{text}"),
    );
}

#[test]
fn the_metrics_page_lists_every_metric() {
    keep("docs/metrics.md", &metrics_page());
}

#[test]
fn the_errors_page_lists_every_reason() {
    let name = "docs/errors.md";
    let found = page(name).text;
    let (before, rest) = found.split_once(REASONS_BEGIN).expect("the begin mark");
    let (_, after) = rest.split_once(REASONS_END).expect("the end mark");
    let mut rows = String::new();
    for reason in Reason::ALL {
        writeln!(rows, "| `{reason}` | {} |", reason.message()).unwrap();
    }
    let head = "| reason | meaning |\n|---|---|\n";
    let made = format!("{before}{REASONS_BEGIN}{head}{rows}{REASONS_END}{after}");
    keep(name, &made);
}

/// Writes a page, or compares it with what it should be.
fn keep(name: &str, made: &str) {
    if std::env::var_os("OCTROI_WRITE_DOCS").is_some() {
        std::fs::write(root().join(name), made).unwrap();
        return;
    }
    let found = page(name).text;
    let differs = found
        .lines()
        .zip(made.lines())
        .position(|(found, made)| found != made);
    assert!(
        found == made,
        "{name} is not what the code says (line {}): run `cargo xtask docs --write`",
        differs.map_or_else(|| "count".to_owned(), |line| (line + 1).to_string()),
    );
}

fn metrics_page() -> String {
    let mut page = "<!-- Written from the code by `cargo xtask docs --write`. -->\n\n\
         # Metrics\n\n\
         `/metrics` serves these in the text format of Prometheus; `[metrics] enabled = false` turns \
         it off. The list is closed and the values of labels are fixed, so no request can add a \
         series. Values of `network` are CAIP-2 ids such as `eip155:8453`, and `wallet` is the \
         address of a settlement wallet.\n"
        .to_owned();
    let mut listed = 0;
    for (title, prefix, configured) in [
        ("The gate", "octroi_", &[][..]),
        ("Each network", "octroi_", &["network"]),
        ("Each settlement wallet", "octroi_", &["network", "wallet"]),
        ("The process (Linux)", "process_", &[]),
    ] {
        write!(
            page,
            "\n## {title}\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n"
        )
        .unwrap();
        let here =
            |spec: &&MetricSpec| spec.name.starts_with(prefix) && spec.configured == configured;
        for spec in metrics::all().filter(here) {
            page.push_str(&metric_row(spec));
            listed += 1;
        }
    }
    assert_eq!(listed, metrics::all().count(), "a metric without a section");
    let not_counted = page.matches("Not counted yet.").count();
    assert_eq!(not_counted, NOT_COUNTED.len(), "one of them does not exist");
    page.push_str("\n## Values of labels\n\n| label | of | values |\n|---|---|---|\n");
    for ((label, values), names) in labels() {
        let (names, values) = (quoted(names.iter()), quoted(values.iter()));
        writeln!(page, "| `{label}` | {names} | {values} |").unwrap();
    }
    page
}

fn metric_row(spec: &MetricSpec) -> String {
    let labels = spec.labels.iter().map(|label| &label.name);
    let labels = quoted(spec.configured.iter().chain(labels));
    let labels = if labels.is_empty() { "–" } else { &labels };
    let (name, kind, help) = (spec.name, spec.kind.as_str(), spec.help);
    let counted = if NOT_COUNTED.contains(&name) {
        " Not counted yet."
    } else {
        ""
    };
    format!("| `{name}` | {kind} | {labels} | {help}{counted} |\n")
}

/// Every list of label values, with the metrics that have it.
fn labels() -> BTreeMap<(&'static str, &'static [&'static str]), Vec<&'static str>> {
    let mut labels = BTreeMap::new();
    for spec in metrics::all() {
        for label in spec.labels {
            let metrics: &mut Vec<_> = labels.entry((label.name, label.values)).or_default();
            metrics.push(spec.name);
        }
    }
    labels
}

fn quoted<'a>(words: impl Iterator<Item = &'a &'a str>) -> String {
    let quoted: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
