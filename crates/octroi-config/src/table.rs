//! The tables of a configuration, as far as the schema knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::check::Check;
use crate::schema::{Presence, Section, Shape};
use crate::value::default_value;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// These bytes of the file.
    Span(Range<usize>),
    /// This environment variable.
    Variable(String),
    /// The schema, or a section that is not in the file.
    Default,
}

/// A text and its place.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// A value that has the kind its key asks for.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(Item),
    List(Vec<Item>),
    Integer(u64),
    Flag(bool),
}

/// The value of one key.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A section of the file.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) section: &'static Section,
    /// As problems name it, like `site[0].route[2]`.
    pub(crate) path: String,
    /// The label of a labelled section.
    pub(crate) label: String,
    pub(crate) place: Place,
    /// Whether it is in the file or the environment.
    pub(crate) present: bool,
    pub(crate) settings: BTreeMap<&'static str, Setting>,
    /// Keys that were given and refused.
    pub(crate) refused: BTreeSet<&'static str>,
    /// Inner sections by name. One that stands once is always there.
    pub(crate) inner: BTreeMap<&'static str, Vec<Self>>,
}

impl Table {
    pub(crate) fn new(section: &'static Section, path: String, place: Place) -> Self {
        let once = section
            .inner
            .iter()
            .filter(|inner| inner.shape == Shape::Table);
        let inner = once.map(|inner| {
            let absent = Self::new(inner, join(&path, inner.name), Place::Default);
            (inner.name, vec![absent])
        });
        Self {
            section,
            inner: inner.collect(),
            path,
            label: String::new(),
            place,
            present: false,
            settings: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// A labelled section that only the environment mentions.
    pub(crate) fn labelled(section: &'static Section, parent: &str, label: &str) -> Self {
        let path = join(&join(parent, section.name), label);
        Self {
            label: label.to_owned(),
            ..Self::new(section, path, Place::Default)
        }
    }

    /// The inner sections with this name.
    pub(crate) fn all(&self, name: &str) -> &[Self] {
        self.inner.get(name).map_or(&[], Vec::as_slice)
    }

    /// The name of a key as problems show it.
    pub(crate) fn key_path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Gives every key that was left out its default, in all sections below too.
    pub(crate) fn fill(&mut self, check: &mut Check<'_>) {
        for key in self.section.all_keys() {
            if self.settings.contains_key(key.name) || self.refused.contains(key.name) {
                continue;
            }
            match key.presence {
                Presence::Default(text) => {
                    if let Some(value) = default_value(key, text) {
                        self.settings.insert(
                            key.name,
                            Setting {
                                value,
                                place: Place::Default,
                            },
                        );
                    }
                }
                Presence::Required if self.present => {
                    let message = format!("{} is missing `{}`", self.title(), key.name);
                    check
                        .error(&self.place, self.key_path(key.name), message)
                        .help(&lower_first(key.doc));
                }
                Presence::Required | Presence::Optional(_) => {}
            }
        }
        for table in self.inner.values_mut().flatten() {
            table.fill(check);
        }
    }

    /// The section's header.
    pub(crate) fn title(&self) -> String {
        title(self.section, &self.path)
    }
}

pub(crate) fn title(section: &Section, path: &str) -> String {
    if path.is_empty() {
        return "the file".to_owned();
    }
    let path: String = path
        .split('.')
        .map(|name| name.split('[').next().unwrap_or(name))
        .collect::<Vec<_>>()
        .join(".");
    match section.shape {
        Shape::List => format!("[[{path}]]"),
        Shape::Table | Shape::Labelled => format!("[{path}]"),
    }
}

pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// A sentence of the reference as a hint: without a capital, unless it starts with an acronym.
fn lower_first(sentence: &str) -> String {
    let sentence = sentence.trim_end_matches('.');
    match sentence.as_bytes() {
        [first, second, ..] if first.is_ascii_uppercase() && !second.is_ascii_uppercase() => {
            let (first, rest) = sentence.split_at(1);
            first.to_ascii_lowercase() + rest
        }
        _ => sentence.to_owned(),
    }
}
