//! The configuration in force, as TOML: every setting with where it came from, without secrets.

use std::fmt::Write as _;

use crate::excerpt::looks_secret;
use crate::schema::{Key, Shape};
use crate::table::{Item, Place, Setting, Table, Value};
use crate::url::EndpointUrl;

/// Prints all sections that are in force.
pub(crate) fn print(root: &Table) -> String {
    let mut out = String::new();
    print_inner(root, &mut out);
    out.trim_end().to_owned() + "\n"
}

fn print_inner(table: &Table, out: &mut String) {
    for section in table.section.inner {
        for inner in table.all(section.name) {
            if inner.present || !is_switch(section.name) {
                print_section(inner, out);
            }
            print_inner(inner, out);
        }
    }
}

/// Sections that are off unless they are present.
fn is_switch(name: &str) -> bool {
    matches!(name, "acme" | "facilitator" | "screening" | "auth")
}

fn print_section(table: &Table, out: &mut String) {
    let path: Vec<_> = table
        .path
        .split('.')
        .map(|name| name.split('[').next().unwrap_or(name))
        .collect();
    let path = path.join(".");
    match table.section.shape {
        Shape::List => writeln!(out, "[[{path}]]"),
        Shape::Table | Shape::Labelled => writeln!(out, "[{path}]"),
    }
    .unwrap_or_default();
    for key in table.section.all_keys() {
        if let Some(setting) = table.settings.get(key.name) {
            let source = match &setting.place {
                Place::Span(_) => String::new(),
                Place::Variable(name) => format!("  # from {name}"),
                Place::Default => "  # default".to_owned(),
            };
            writeln!(out, "{} = {}{source}", key.name, print_value(key, setting))
                .unwrap_or_default();
        }
    }
    out.push('\n');
}

fn print_value(key: &Key, setting: &Setting) -> String {
    match &setting.value {
        Value::Text(item) => print_text(key, item),
        Value::List(items) => {
            let texts: Vec<_> = items.iter().map(|item| print_text(key, item)).collect();
            format!("[{}]", texts.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
    }
}

fn print_text(key: &Key, item: &Item) -> String {
    let shown = match item.text.parse::<EndpointUrl>() {
        Ok(url) if key.sensitive => url.to_string(),
        _ if key.sensitive || looks_secret(&item.text) => "[redacted]".to_owned(),
        _ => item.text.clone(),
    };
    toml::Value::String(shown).to_string()
}
