//! The patterns of a route table.

use std::fmt;
use std::str::FromStr;

use crate::escape::{decode, escaped_byte};

/// The most segments a pattern may have.
pub const PATTERN_SEGMENTS_MAX: usize = 64;

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Does not begin with `/`.
    #[error("a pattern begins with /")]
    NotAbsolute,
    /// More than [`PATTERN_SEGMENTS_MAX`] segments.
    #[error("a pattern has at most {PATTERN_SEGMENTS_MAX} segments")]
    TooLong,
    /// Two slashes in a row.
    #[error("a pattern has no empty segments")]
    EmptySegment,
    /// A `.` or `..` segment.
    #[error("a pattern has no . or .. segments")]
    DotSegment,
    /// `**` before the end.
    #[error("** stands at the end of a pattern only")]
    RestInside,
    /// A star inside a segment.
    #[error("* stands for a whole segment; `{0}` mixes it with text")]
    PartialWildcard(String),
    /// A parameter without a usable name.
    #[error("`{0}` is not a parameter: after the colon come letters, digits and _")]
    ParameterName(String),
    /// A malformed escape, or one that is not UTF-8.
    #[error("`{0}` has a malformed percent escape")]
    Escape(String),
    /// A character that origins read in different ways, or that no path contains.
    #[error("a pattern cannot contain {0:?}")]
    Character(char),
}

/// What a path looks like.
///
/// `/` and literal segments match themselves; `*` or `:name` match one segment; `**`, or a `*` at
/// the end, match the rest, also an empty one: `/x/*` covers `/x`, `/x/` and `/x/y/z`. A trailing
/// slash makes no difference. Escapes are decoded once; the characters `;`, `\`, `%` and an
/// encoded slash are refused, because origins disagree about them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// This text.
    Literal(String),
    /// Any one segment.
    One,
    /// Everything from here on.
    Rest,
}

impl Pattern {
    /// The pattern as it was written, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether the literal segments agree with these names to the letter. The caller knows that
    /// the names match the pattern when letter case is ignored.
    pub(crate) fn agrees_exactly(&self, names: &[&str]) -> bool {
        self.segments
            .iter()
            .zip(names)
            .all(|(segment, name)| match segment {
                Segment::Literal(literal) => literal == name,
                Segment::One | Segment::Rest => true,
            })
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let relative = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        let relative = relative.strip_suffix('/').unwrap_or(relative);
        let mut segments = Vec::new();
        let mut parts = relative.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            match part {
                "" if text == "/" => {}
                "**" if !last => return Err(PatternError::RestInside),
                "**" => segments.push(Segment::Rest),
                "*" if last => segments.push(Segment::Rest),
                _ => segments.push(parse_segment(part)?),
            }
        }
        if segments.len() > PATTERN_SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        Ok(Self {
            text: format!("/{relative}"),
            segments,
        })
    }
}

fn parse_segment(part: &str) -> Result<Segment, PatternError> {
    if part == "*" {
        return Ok(Segment::One);
    }
    if part.contains('*') {
        return Err(PatternError::PartialWildcard(part.to_owned()));
    }
    if let Some(name) = part.strip_prefix(':') {
        let named =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        return if named {
            Ok(Segment::One)
        } else {
            Err(PatternError::ParameterName(part.to_owned()))
        };
    }
    if let Some(delimiter) = part.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(PatternError::Character(delimiter));
    }
    let bytes = part.as_bytes();
    let malformed =
        (0..bytes.len()).any(|at| bytes[at] == b'%' && escaped_byte(&bytes[at..]).is_none());
    let literal = decode(part).filter(|_| !malformed);
    let literal = literal.ok_or_else(|| PatternError::Escape(part.to_owned()))?;
    let doubtful = |c: &char| matches!(c, ';' | '\\' | '%' | '/') || c.is_control();
    if let Some(character) = literal.chars().find(doubtful) {
        return Err(PatternError::Character(character));
    }
    match literal.as_str() {
        "" => Err(PatternError::EmptySegment),
        "." | ".." => Err(PatternError::DotSegment),
        _ => Ok(Segment::Literal(literal)),
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_origins_could_read_differently_are_refused() {
        for (text, message) in [
            ("", "a pattern begins with /"),
            ("x", "a pattern begins with /"),
            ("//", "a pattern has no empty segments"),
            ("/a//b", "a pattern has no empty segments"),
            ("/a/../b", "a pattern has no . or .. segments"),
            ("/%2e", "a pattern has no . or .. segments"),
            ("/**/a", "** stands at the end of a pattern only"),
            (
                "/a*",
                "* stands for a whole segment; `a*` mixes it with text",
            ),
            (
                "/:",
                "`:` is not a parameter: after the colon come letters, digits and _",
            ),
            (
                "/:a-b",
                "`:a-b` is not a parameter: after the colon come letters, digits and _",
            ),
            ("/a%2", "`a%2` has a malformed percent escape"),
            ("/a%ff", "`a%ff` has a malformed percent escape"),
            ("/a;b", "a pattern cannot contain ';'"),
            ("/a%2fb", "a pattern cannot contain '/'"),
            ("/a\\b", "a pattern cannot contain '\\\\'"),
            ("/a%25", "a pattern cannot contain '%'"),
            ("/a?b", "a pattern cannot contain '?'"),
            ("/a%00", "a pattern cannot contain '\\0'"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
        assert_eq!(
            "/a".repeat(65).parse::<Pattern>(),
            Err(PatternError::TooLong)
        );
    }

    #[test]
    fn a_trailing_slash_makes_no_difference() {
        let pattern = |text: &str| text.parse::<Pattern>().unwrap();
        assert_eq!(pattern("/a/"), pattern("/a"));
        assert_eq!(pattern("/a/*/").as_str(), "/a/*");
        assert!(pattern("/").segments().is_empty());
    }
}
