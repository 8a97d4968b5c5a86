//! What people see: notes, colours where a terminal is, tables.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

/// Writes a message for people to standard error. If nobody can read it, nothing is lost.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A text from elsewhere with its control characters made visible, so that it cannot steer the
/// terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| (c.is_control() && c != '\n') || is_direction_mark(c);
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// As [`printable`], on one line and not longer than `chars_max`.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .take(chars_max)
        .collect();
    if text.chars().nth(chars_max).is_some() {
        line.push('…');
    }
    printable(&line).into_owned()
}

/// Characters that change the direction of text around them and so can make it read as another.
const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether text is coloured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self::of(io::stdout().is_terminal())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self::of(io::stderr().is_terminal())
    }

    /// Never coloured.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    /// Colours are for terminals, unless `NO_COLOR` is set (no-color.org) or the terminal has none.
    fn of(is_terminal: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Self {
            colour: is_terminal && !refused,
        }
    }

    fn paint<'t>(self, code: &str, text: &'t str) -> Cow<'t, str> {
        if self.colour {
            Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
        } else {
            Cow::Borrowed(text)
        }
    }

    pub(crate) fn bold(self, text: &str) -> Cow<'_, str> {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> Cow<'_, str> {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> Cow<'_, str> {
        self.paint("1;31", text)
    }

    pub(crate) fn green(self, text: &str) -> Cow<'_, str> {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> Cow<'_, str> {
        self.paint("33", text)
    }
}

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows in columns as wide as their widest cell.
pub(crate) struct Table<const N: usize> {
    header: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(crate) const fn new(header: [(&'static str, Align); N]) -> Self {
        Self {
            header,
            rows: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| one_line(&cell, usize::MAX)));
    }

    /// The table as text, one line a row, with a bold header.
    pub(crate) fn render(&self, style: Style) -> String {
        let names = self.header.map(|(name, _)| name.to_owned());
        let mut widths = [0; N];
        for row in std::iter::once(&names).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut out = String::new();
        let header = self.line(&names, &widths);
        let _ = writeln!(out, "{}", style.bold(&header));
        for row in &self.rows {
            let _ = writeln!(out, "{}", self.line(row, &widths));
        }
        out
    }

    fn line(&self, row: &[String; N], widths: &[usize; N]) -> String {
        let mut line = String::new();
        for ((cell, width), (_, align)) in row.iter().zip(widths).zip(&self.header) {
            let _ = match align {
                Align::Left => write!(line, "{cell:<width$}  "),
                Align::Right => write!(line, "{cell:>width$}  "),
            };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_elsewhere_cannot_steer_a_terminal() {
        assert_eq!(printable("plain é\nnext"), "plain é\nnext");
        assert_eq!(printable("\u{1b}]0;x\u{7}"), "\\u{1b}]0;x\\u{7}");
        assert_eq!(printable("a\u{202e}b\r"), "a\\u{202e}b\\u{d}");
        assert_eq!(one_line("one\ntwo", 100), "one two");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("abc", 3), "abc");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("NAME", Align::Left), ("UNITS", Align::Right)]);
        table.push(["a".to_owned(), "1000000".to_owned()]);
        table.push(["länger".to_owned(), "2".to_owned()]);
        assert_eq!(
            table.render(Style::plain()),
            "NAME      UNITS\na       1000000\nlänger        2\n"
        );
    }

    #[test]
    fn colours_appear_only_where_they_are_wanted() {
        assert_eq!(Style::plain().red("x"), "x");
        assert_eq!(Style { colour: true }.red("x"), "\u{1b}[1;31mx\u{1b}[0m");
        assert!(!Style::of(false).colour);
    }
}
