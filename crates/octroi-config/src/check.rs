//! Collects problems, and reads typed values out of tables.

use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::excerpt::{locate, looks_secret};
use crate::problem::{Location, Problem, Report, Severity};
use crate::schema::Kind;
use crate::table::{Item, Place, Setting, Table, Value};

/// Everything a check reads: nothing else of the world influences it, except the files that the
/// configuration names.
pub(crate) struct Check<'s> {
    text: &'s str,
    directory: &'s Path,
    environment: &'s [(String, String)],
    notes: Vec<Note>,
    /// Bytes of the file that may be secret.
    hidden: Vec<Range<usize>>,
    /// How many of the first notes say that the text is not TOML.
    pub(crate) syntax_errors: usize,
}

/// A problem that is not located yet.
pub(crate) struct Note {
    severity: Severity,
    place: Place,
    key: String,
    message: String,
    help: Option<String>,
}

impl Note {
    /// Adds what to do about it.
    pub(crate) fn help(&mut self, help: &str) -> &mut Self {
        self.help = Some(help.to_owned());
        self
    }
}

impl<'s> Check<'s> {
    pub(crate) fn new(
        text: &'s str,
        directory: &'s Path,
        environment: &'s [(String, String)],
    ) -> Self {
        Self {
            text,
            directory,
            environment,
            notes: Vec::new(),
            hidden: Vec::new(),
            syntax_errors: 0,
        }
    }

    pub(crate) fn error(&mut self, place: &Place, key: String, message: String) -> &mut Note {
        self.note(Severity::Error, place, key, message)
    }

    pub(crate) fn warning(&mut self, place: &Place, key: String, message: String) -> &mut Note {
        self.note(Severity::Warning, place, key, message)
    }

    fn note(
        &mut self,
        severity: Severity,
        place: &Place,
        key: String,
        message: String,
    ) -> &mut Note {
        let place = place.clone();
        self.notes.push(Note {
            severity,
            place,
            key,
            message,
            help: None,
        });
        let last = self.notes.len() - 1;
        &mut self.notes[last]
    }

    /// Keeps a part of the file out of everything that is shown.
    pub(crate) fn hide(&mut self, place: &Place) {
        if let Place::Span(span) = place {
            self.hidden.push(span.clone());
        }
    }

    /// Drops notes at some places, but none about syntax.
    pub(crate) fn retain_syntax_and(&mut self, keep: impl Fn(&Place) -> bool) {
        let mut others = self.notes.split_off(self.syntax_errors);
        others.retain(|note| keep(&note.place));
        self.notes.append(&mut others);
    }

    /// An environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&'s str> {
        self.environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The file that a text names; relative names start at the configuration file's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Ends the check. Problems come in the order of the file, those of the environment last.
    pub(crate) fn into_report(self, file: &str) -> Report {
        let order = |note: &Note| match &note.place {
            Place::Span(span) => (0, span.start),
            Place::Variable(_) => (1, 0),
            Place::Default => (2, 0),
        };
        let mut notes = self.notes;
        notes.sort_by_key(order);
        let mut problems: Vec<Problem> = Vec::with_capacity(notes.len());
        for note in notes {
            let location = match note.place {
                Place::Span(span) if span.end > 0 => {
                    let (line, column, excerpt) = locate(self.text, &span, &self.hidden);
                    Location::Line {
                        line,
                        column,
                        excerpt,
                    }
                }
                Place::Variable(name) => Location::Variable(name),
                Place::Span(_) | Place::Default => Location::Document,
            };
            let Note {
                severity,
                key,
                message,
                help,
                ..
            } = note;
            let problem = Problem {
                severity,
                location,
                key,
                message,
                help,
            };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        Report {
            file: file.to_owned(),
            problems,
        }
    }

    /// A text that may be left out.
    pub(crate) fn item<'t>(&self, table: &'t Table, key: &str) -> Option<&'t Item> {
        match &setting(table, key)?.value {
            Value::Text(item) => Some(item),
            Value::List(_) | Value::Integer(_) | Value::Flag(_) => None,
        }
    }

    /// The texts of a list; none when it was left out.
    pub(crate) fn items<'t>(&self, table: &'t Table, key: &str) -> &'t [Item] {
        match setting(table, key).map(|setting| &setting.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// A number that may be left out.
    pub(crate) fn number(&self, table: &Table, key: &str) -> Option<u64> {
        match setting(table, key)?.value {
            Value::Integer(number) => Some(number),
            Value::Text(_) | Value::List(_) | Value::Flag(_) => None,
        }
    }

    /// A number of milliseconds that has a default.
    pub(crate) fn millis(&self, table: &Table, key: &str) -> Duration {
        Duration::from_millis(self.number(table, key).unwrap_or_default())
    }

    /// A size or count that has a default.
    pub(crate) fn size(&self, table: &Table, key: &str) -> usize {
        self.number(table, key)
            .and_then(|number| usize::try_from(number).ok())
            .unwrap_or_default()
    }

    /// A number with a default that fits 32 bits.
    pub(crate) fn small(&self, table: &Table, key: &str) -> u32 {
        self.number(table, key)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or_default()
    }

    /// A flag that has a default.
    pub(crate) fn flag(&self, table: &Table, key: &str) -> bool {
        matches!(
            setting(table, key).map(|setting| &setting.value),
            Some(Value::Flag(true))
        )
    }

    /// A text in another form; what does not parse is reported.
    pub(crate) fn parse<T, E: Display>(
        &mut self,
        table: &Table,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let item = self.item(table, key)?;
        self.parse_item(table, key, item, parse)
    }

    /// A list in another form; what does not parse is reported and left out.
    pub(crate) fn parse_all<T, E: Display>(
        &mut self,
        table: &Table,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let items = self.items(table, key).iter();
        items
            .filter_map(|item| self.parse_item(table, key, item, &parse))
            .collect()
    }

    /// One text in another form; reported if it does not parse.
    pub(crate) fn parse_item<T, E: Display>(
        &mut self,
        table: &Table,
        key: &str,
        item: &Item,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let error = match parse(&item.text) {
            Ok(value) => return Some(value),
            Err(error) => error.to_string(),
        };
        let schema = table.section.key(key)?;
        let what = match schema.kind {
            Kind::Text(what) | Kind::List(what) => what,
            Kind::Choice(_) | Kind::Integer { .. } | Kind::Flag => "valid",
        };
        let hidden = schema.sensitive || looks_secret(&item.text);
        let subject = if hidden {
            format!("`{key}`")
        } else {
            format!("\"{}\"", item.text.escape_debug())
        };
        let tail = if error.is_empty() {
            error
        } else {
            format!(": {error}")
        };
        let message = format!("{subject} is not {what}{tail}");
        let note = self.error(&item.place, table.key_path(key), message);
        if looks_secret(&item.text) {
            note.help("the value may hold a secret and is not shown; secrets are kept in files of their own");
        }
        None
    }
}

/// The setting of a key, from the file, the environment or the schema.
pub(crate) fn setting<'t>(table: &'t Table, key: &str) -> Option<&'t Setting> {
    debug_assert!(
        table.section.key(key).is_some(),
        "{}.{key} is not in the schema",
        table.path
    );
    table.settings.get(key)
}
