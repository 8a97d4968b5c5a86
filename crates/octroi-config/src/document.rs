//! The first pass: from text to tables that fit the schema.
//!
//! It goes on after every error, so that one run reports all of them: syntax, unknown keys, wrong
//! types, numbers out of range. What failed is left out and remembered, so that nobody complains
//! about its absence.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::check::Check;
use crate::excerpt::{looks_secret, shown_name};
use crate::keys::ROOT;
use crate::schema::{Key, Kind, Section, Shape};
use crate::suggest::closest;
use crate::table::{Place, Setting, Table, Value, join, title};
use crate::value::convert;

/// Reads the whole text.
pub(crate) fn read(text: &str, check: &mut Check<'_>) -> Table {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut bad_lines = BTreeSet::new();
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        // One mistake tends to be reported several times.
        if bad_lines.insert(line_of(text, span.start)) {
            // The parser expects "literal string" where any kind of value could stand.
            let message = error
                .message()
                .trim_end_matches(", expected literal string");
            let message = format!("not TOML: {message}");
            check.hide(&Place::Span(span.clone()));
            check.error(&Place::Span(span), String::new(), message);
        }
    }
    check.syntax_errors = bad_lines.len();
    let mut root = Table::new(&ROOT, String::new(), Place::Span(0..0));
    root.present = true;
    read_entries(&mut root, document.get_ref(), check);
    // What else seems wrong on such a line follows from it.
    check.retain_syntax_and(|place| match place {
        Place::Span(span) => !bad_lines.contains(&line_of(text, span.start)),
        Place::Variable(_) | Place::Default => true,
    });
    root
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

fn read_entries(table: &mut Table, entries: &DeTable<'_>, check: &mut Check<'_>) {
    for (name, value) in entries {
        let place = Place::Span(name.span());
        if let Some(key) = table.section.key(name.get_ref()) {
            match read_value(key, value, table, check) {
                Some(setting) => drop(table.settings.insert(key.name, setting)),
                None => drop(table.refused.insert(key.name)),
            }
        } else if let Some(section) = table.section.inner(name.get_ref()) {
            read_section(table, section, place, value, check);
        } else {
            check.hide(&place);
            check.hide(&Place::Span(value.span()));
            unknown_key(table, name.get_ref(), &place, check);
        }
    }
}

fn unknown_key(table: &mut Table, name: &str, place: &Place, check: &mut Check<'_>) {
    let section = table.section;
    let keys = section.all_keys().map(|key| key.name);
    let near = closest(
        name,
        keys.chain(section.inner.iter().map(|inner| inner.name)),
    );
    let message = format!("{} has no `{}`", table.title(), shown_name(name));
    let path = table.key_path(shown_name(name));
    let problem = check.error(place, path, message);
    if let Some(near) = near {
        problem.help(&format!("did you mean `{near}`?"));
        table.refused.extend(section.key(near).map(|key| key.name));
    } else if let Some((key, home)) = home_of(name, table.path.is_empty()) {
        problem.help(&format!("there is `{key}` in {home}"));
    }
}

/// The key of another section that was meant, and that section's header.
fn home_of(name: &str, misspelled: bool) -> Option<(&'static str, String)> {
    let mut homes: Vec<(&'static str, String)> = Vec::new();
    collect_homes(&ROOT, "", &mut homes);
    let near = if misspelled {
        closest(name, homes.iter().map(|(key, _)| *key))?
    } else {
        name
    };
    homes.into_iter().find(|(key, _)| *key == near)
}

fn collect_homes(section: &'static Section, path: &str, homes: &mut Vec<(&'static str, String)>) {
    homes.extend(
        section
            .all_keys()
            .map(|key| (key.name, title(section, path))),
    );
    for inner in section.inner {
        let label = if inner.shape == Shape::Labelled {
            ".NAME"
        } else {
            ""
        };
        collect_homes(inner, &format!("{}{label}", join(path, inner.name)), homes);
    }
}

fn read_section(
    table: &mut Table,
    section: &'static Section,
    place: Place,
    value: &Spanned<DeValue<'_>>,
    check: &mut Check<'_>,
) {
    let path = table.key_path(section.name);
    let wrong = |check: &mut Check<'_>, wanted: &str| {
        let message = format!("`{path}` is written in the wrong form");
        check.hide(&Place::Span(value.span()));
        check.error(&place, path.clone(), message).help(wanted);
    };
    match (section.shape, value.get_ref()) {
        (Shape::Table, DeValue::Table(entries)) => {
            let inner = Table::new(section, path, place);
            let inner = read_inner(inner, entries, check);
            table.inner.insert(section.name, vec![inner]);
        }
        (Shape::Labelled, DeValue::Table(labels)) => {
            let mut all = Vec::new();
            for (label, value) in labels {
                let name = shown_name(label.get_ref());
                let DeValue::Table(entries) = value.get_ref() else {
                    wrong(
                        check,
                        &format!("write [{path}.NAME] and put `{name}` below it"),
                    );
                    continue;
                };
                if name != label.get_ref() {
                    check.hide(&Place::Span(label.span()));
                    wrong(check, "a name is made of letters, digits, - and _");
                    continue;
                }
                let path = join(&path, label.get_ref());
                let mut inner = Table::new(section, path, Place::Span(label.span()));
                inner.label = label.get_ref().to_string();
                all.push(read_inner(inner, entries, check));
            }
            all.sort_by_key(|table| match &table.place {
                Place::Span(span) => span.start,
                Place::Variable(_) | Place::Default => 0,
            });
            table.inner.insert(section.name, all);
        }
        (Shape::List, DeValue::Array(rows)) => {
            let mut all = Vec::new();
            for (index, row) in rows.iter().enumerate() {
                let DeValue::Table(entries) = row.get_ref() else {
                    wrong(check, &format!("write [[{path}]] and its keys below"));
                    continue;
                };
                let inner =
                    Table::new(section, format!("{path}[{index}]"), Place::Span(row.span()));
                all.push(read_inner(inner, entries, check));
            }
            table.inner.insert(section.name, all);
        }
        (Shape::List, _) => wrong(check, &format!("write [[{path}]], with two brackets")),
        (Shape::Table, _) => wrong(check, &format!("write [{path}] and its keys below")),
        (Shape::Labelled, _) => wrong(check, &format!("write [{path}.NAME] and its keys below")),
    }
}

fn read_inner(mut table: Table, entries: &DeTable<'_>, check: &mut Check<'_>) -> Table {
    table.present = true;
    read_entries(&mut table, entries, check);
    table
}

fn read_value(
    key: &'static Key,
    value: &Spanned<DeValue<'_>>,
    table: &Table,
    check: &mut Check<'_>,
) -> Option<Setting> {
    let place = Place::Span(value.span());
    if key.sensitive {
        check.hide(&place);
    }
    match convert(key, value) {
        Ok(value) => {
            let items = match &value {
                Value::Text(item) => std::slice::from_ref(item),
                Value::List(items) => items,
                Value::Integer(_) | Value::Flag(_) => &[],
            };
            let secret = items.iter().filter(|item| looks_secret(&item.text));
            secret.for_each(|item| check.hide(&item.place));
            Some(Setting { value, place })
        }
        Err(message) => {
            let help = match (key.kind, value.get_ref()) {
                (Kind::Text(_), DeValue::Float(number)) => {
                    Some(format!("write {} = \"{}\"", key.name, number.as_str()))
                }
                _ => None,
            };
            let problem = check.error(&place, table.key_path(key.name), message);
            if let Some(help) = help {
                problem.help(&help);
            }
            None
        }
    }
}
