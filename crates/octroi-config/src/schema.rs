//! What a configuration file may say: the form of the tables in [`crate::keys`].
//!
//! One schema serves everything that must agree about a key: type checks, defaults, spelling
//! suggestions, environment variables, the printed configuration and the reference page.

/// A table of the file.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its last name; empty for the document.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What it is for, in Markdown.
    pub(crate) doc: &'static str,
    /// Its keys, in groups that sections can share.
    pub(crate) keys: &'static [&'static [Key]],
    pub(crate) inner: &'static [Section],
}

/// How a section stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `[name]`, once.
    Table,
    /// `[name.LABEL]`, once per label.
    Labelled,
    /// `[[name]]`, any number of times.
    List,
}

/// One key of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
    /// Whether the value may carry a credential, so that it is never shown.
    pub(crate) sensitive: bool,
    /// What it means, in Markdown, without a full stop in the middle of a table row.
    pub(crate) doc: &'static str,
}

/// What a value looks like. A text says what it is, with its article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text(&'static str),
    /// A list of texts; a single text will do.
    List(&'static str),
    Choice(&'static [&'static str]),
    Integer {
        min: u64,
        max: u64,
    },
    Flag,
}

/// What happens when a key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// Nothing is set; the text says what that means.
    Optional(&'static str),
    /// This TOML value.
    Default(&'static str),
}

impl Section {
    /// All keys, in the order in which they are documented.
    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.keys.iter().flat_map(|group| group.iter())
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.all_keys().find(|key| key.name == name)
    }

    pub(crate) fn inner(&self, name: &str) -> Option<&'static Section> {
        self.inner.iter().find(|section| section.name == name)
    }
}

impl Kind {
    /// The kind as the reference and messages call it.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text(what) => what.to_owned(),
            Self::List(what) => format!("list, each {what}"),
            Self::Choice(choices) => {
                let quoted: Vec<_> = choices
                    .iter()
                    .map(|choice| format!("\"{choice}\""))
                    .collect();
                match quoted.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, others)) => format!("{} or {last}", others.join(", ")),
                    None => String::new(),
                }
            }
            Self::Integer { min, max } => format!("number from {min} to {max}"),
            Self::Flag => "true or false".to_owned(),
        }
    }
}

/// A key that may be left out, with the meaning of that.
pub(crate) const fn optional(
    name: &'static str,
    kind: Kind,
    without: &'static str,
    doc: &'static str,
) -> Key {
    key(name, kind, Presence::Optional(without), doc)
}

/// A key with a default, in TOML.
pub(crate) const fn default(
    name: &'static str,
    kind: Kind,
    value: &'static str,
    doc: &'static str,
) -> Key {
    key(name, kind, Presence::Default(value), doc)
}

/// A key that must be there.
pub(crate) const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    key(name, kind, Presence::Required, doc)
}

const fn key(name: &'static str, kind: Kind, presence: Presence, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        presence,
        sensitive: false,
        doc,
    }
}

/// The same key, never shown.
pub(crate) const fn sensitive(key: Key) -> Key {
    Key {
        sensitive: true,
        ..key
    }
}
