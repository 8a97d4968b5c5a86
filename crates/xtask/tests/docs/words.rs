//! The words of the interfaces that the pages use: codes, reasons, metrics, settings.

use std::collections::HashSet;

use octroi_telemetry::metrics;
use octroi_types::ErrorCode;
use octroi_x402::Reason;

use crate::markdown::{Page, pages, spans};

/// Words that are none of the above.
const OTHERS: &[&str] = &["request_id"];

#[test]
fn every_word_that_is_named_exists() {
    let known = known_words();
    let settings = octroi_config::reference();
    for page in user_pages() {
        let prose = page.prose();
        for (_, span) in spans(&prose) {
            let name = &page.name;
            if is_word(span) {
                assert!(known.contains(span), "{name} names `{span}`");
            }
            if let Some((key, _)) = span.split_once(" = ")
                && !key.contains(['[', ' '])
            {
                assert!(
                    settings.contains(&format!("\n| `{key}` |")),
                    "{name} sets `{key}`"
                );
            }
            let section = span.trim_start_matches('[');
            if section != span && section.starts_with(|c: char| c.is_ascii_lowercase()) {
                check_setting(name, section);
            }
        }
    }
    assert!(!known.contains("no_such_word"));
}

#[test]
fn every_code_stands_beside_its_own_status() {
    let mut beside = 0;
    for page in user_pages() {
        let prose = page.prose();
        for (before, span) in spans(&prose) {
            let Some(status) = status_before(before) else {
                continue;
            };
            let of_code = ErrorCode::ALL.iter().find(|code| code.as_str() == span);
            match of_code {
                Some(code) => assert_eq!(code.status(), status, "{}: {span}", page.name),
                None => assert!(
                    status == 402 && Reason::from_code(span).is_some(),
                    "{} gives {status} to `{span}`",
                    page.name
                ),
            }
            beside += 1;
        }
    }
    assert!(beside > 0);
}

/// ARCHITECTURE.md speaks of code, whose names the compiler checks.
fn user_pages() -> impl Iterator<Item = Page> {
    let pages = pages().into_iter();
    pages.filter(|page| page.name != "ARCHITECTURE.md")
}

fn known_words() -> HashSet<String> {
    let codes = ErrorCode::ALL.iter().map(ToString::to_string);
    let reasons = Reason::ALL.iter().map(ToString::to_string);
    let names = metrics::all().map(|spec| spec.name);
    let labels = metrics::all().flat_map(|spec| spec.labels);
    let labels = labels.flat_map(|label| label.values.iter().copied().chain([label.name]));
    let reference = octroi_config::reference();
    let settings = reference
        .split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
        .filter(|word| is_word(word));
    codes
        .chain(reasons)
        .chain(names.chain(labels).map(str::to_owned))
        .chain(settings.map(str::to_owned))
        .chain(OTHERS.iter().map(|word| (*word).to_owned()))
        .collect()
}

/// Whether a text is one name of ours: small letters, digits and at least one underscore.
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.contains('_') && text.chars().all(fits) && !text.starts_with('_')
}

/// A span such as `[log] format = "json"`, without its first brackets.
fn check_setting(page: &str, rest: &str) {
    let reference = octroi_config::reference();
    let (section, assignment) = rest.split_once(']').unwrap_or((rest, ""));
    let section = unlabelled(section);
    let heading = reference.split("\n## ").find(|part| {
        part.lines()
            .next()
            .is_some_and(|line| line.contains(&format!("[{section}]")))
    });
    let Some(part) = heading else {
        panic!("{page} names the section [{section}]");
    };
    let key = assignment
        .trim_start_matches(']')
        .split('=')
        .next()
        .unwrap_or_default()
        .trim();
    let listed = part
        .lines()
        .any(|line| line.starts_with(&format!("| `{key}` |")));
    assert!(
        key.is_empty() || listed,
        "{page} names `{key}` in [{section}]"
    );
}

/// A section as the reference names it, `NAME` in place of a network's name.
fn unlabelled(section: &str) -> String {
    let Some(rest) = section.strip_prefix("network.") else {
        return section.to_owned();
    };
    let inner = rest.find('.').map_or("", |dot| &rest[dot..]);
    format!("network.NAME{inner}")
}

/// The three digits at the end of a text, as in "is answered with 503 ".
fn status_before(before: &str) -> Option<u16> {
    let number = before.strip_suffix(' ')?.rsplit(' ').next()?;
    if number.len() == 3 {
        number.parse().ok()
    } else {
        None
    }
}
