//! The one form of a path that is matched and forwarded.
//!
//! # The forwarded form
//!
//! RFC 3986 §6.2.2 syntax normalisation, and slashes collapsed:
//! - an escape of an unreserved character becomes the character, any other escape stays an escape
//!   with upper-case digits (so `%2F` stays data and never becomes a separator here);
//! - a character that may not stand in a path (space, `\`, `"`, `<`, `{`, non-ASCII, …) is escaped;
//! - runs of slashes become one, `.` and `..` segments are resolved and never climb above `/`;
//! - letter case, `;params` and a trailing slash stay, because they can mean something to an
//!   origin; matching looks through them.
//!
//! Parsing the forwarded form gives the same form again.
//!
//! # What is refused (a 400)
//!
//! Malformed escapes, control characters, text that is not UTF-8, more than [`DECODES_MAX`] layers
//! of encoding, and dot segments that only appear when an origin decodes once more than it should,
//! takes `\` for `/`, or drops `;params` (`..%2F`, `..%5C`, `%252e%252e`, `..;x`). Each check runs
//! on every layer of encoding. No honest client sends these.

use std::borrow::Cow;
use std::fmt;

use crate::escape::{
    decode, escaped_byte, has_escape, is_segment_char, is_unreserved, push_escaped,
};

/// The longest path that is looked at, in bytes as sent.
pub const PATH_BYTES_MAX: usize = 8192;

/// How many times a path may be percent-encoded.
pub const DECODES_MAX: usize = 3;

/// Why a path has no single meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// Does not begin with `/`.
    #[error("the path does not begin with /")]
    NotAbsolute,
    /// Contains `?` or `#`, which do not belong to a path.
    #[error("the path contains a query or a fragment delimiter")]
    Delimiter,
    /// A `%` without two hex digits behind it.
    #[error("the path contains a malformed percent escape")]
    Escape,
    /// A control character, plain or encoded.
    #[error("the path contains a control character")]
    Control,
    /// Not UTF-8 once decoded.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
    /// Encoded more than [`DECODES_MAX`] times.
    #[error("the path is percent-encoded more than {DECODES_MAX} times")]
    TooManyLayers,
    /// A `.` or `..` segment hidden behind an encoded slash, a backslash or `;params`.
    #[error("the path hides a dot segment")]
    HiddenDots,
}

/// A path in its canonical form. Borrows the request's text when that is canonical already.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath<'a> {
    text: Cow<'a, str>,
    /// Nothing in it can be read in two ways: no escape and no `;`.
    plain: bool,
}

impl<'a> CanonicalPath<'a> {
    /// Reads the path of a request target, without the query.
    ///
    /// # Errors
    /// [`PathError`] when the path has no single meaning; answer 400.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        if raw.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let relative = raw.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if is_plain(relative) {
            return Ok(Self {
                text: Cow::Borrowed(raw),
                plain: true,
            });
        }
        let text = canonicalize(relative)?;
        // Escaping makes bytes longer, and what is forwarded must be as acceptable as what came.
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        check_layers(&text)?;
        let plain = !text.contains(['%', ';']);
        Ok(Self {
            text: Cow::Owned(text),
            plain,
        })
    }

    /// The form to forward: begins with `/`, ASCII only, no query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same path, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> CanonicalPath<'static> {
        CanonicalPath {
            text: Cow::Owned(self.text.into_owned()),
            plain: self.plain,
        }
    }

    /// Whether the path can be read in one way only.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }
}

impl fmt::Display for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CanonicalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The common case: canonical as it stands, and readable in one way only.
fn is_plain(relative: &str) -> bool {
    let mut segments = relative.split('/').peekable();
    while let Some(segment) = segments.next() {
        let empty_inside = segment.is_empty() && segments.peek().is_some();
        let plain = segment
            .bytes()
            .all(|byte| is_segment_char(byte) && byte != b';');
        if empty_inside || !plain || matches!(segment, "." | "..") {
            return false;
        }
    }
    true
}

/// Builds the canonical text from a path without its first slash.
fn canonicalize(relative: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(relative.len() + 1);
    let mut segment = String::new();
    let mut open = false;
    for raw in relative.split('/') {
        segment.clear();
        canonicalize_segment(raw, &mut segment)?;
        open = match segment.as_str() {
            "" | "." => true,
            ".." => {
                out.truncate(out.rfind('/').unwrap_or(0));
                true
            }
            name => {
                out.push('/');
                out.push_str(name);
                false
            }
        };
    }
    if open {
        out.push('/');
    }
    Ok(out)
}

fn canonicalize_segment(raw: &str, out: &mut String) -> Result<(), PathError> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (decoded, width) = match byte {
            b'%' => (escaped_byte(&bytes[at..]).ok_or(PathError::Escape)?, 3),
            b'?' | b'#' => return Err(PathError::Delimiter),
            _ => (byte, 1),
        };
        let as_is = if width == 1 {
            is_segment_char(decoded)
        } else {
            is_unreserved(decoded)
        };
        if as_is {
            out.push(char::from(decoded));
        } else {
            push_escaped(out, decoded);
        }
        at += width;
    }
    Ok(())
}

/// Decodes until nothing changes and refuses what no layer may contain.
fn check_layers(canonical: &str) -> Result<(), PathError> {
    let mut text = Cow::Borrowed(canonical);
    for _ in 0..=DECODES_MAX {
        if text.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        let mut names = text.split(['/', '\\']).map(without_params);
        if names.any(|name| matches!(name, "." | "..")) {
            return Err(PathError::HiddenDots);
        }
        if !has_escape(&text) {
            return Ok(());
        }
        text = Cow::Owned(decode(&text).ok_or(PathError::NotUtf8)?);
    }
    Err(PathError::TooManyLayers)
}

/// A segment without its `;params` (RFC 3986 §3.3 leaves them to the origin).
pub(crate) fn without_params(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(raw: &str) -> Result<String, PathError> {
        CanonicalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn one_form_is_forwarded() {
        for (raw, forwarded) in [
            ("/", "/"),
            ("/a/B.c/-_~!$&'()*+,=:@", "/a/B.c/-_~!$&'()*+,=:@"),
            ("/.well-known/x402", "/.well-known/x402"),
            ("/a/", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../../a", "/a"),
            ("/a//../b", "/b"),
            ("/%2e%2E/%61%7e", "/a~"),
            ("/a%2fb%5c%3b", "/a%2Fb%5C%3B"),
            ("/a\\b", "/a%5Cb"),
            ("/a b/é/{x}", "/a%20b/%C3%A9/%7Bx%7D"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%252f", "/%252f"),
            ("/100%25", "/100%25"),
            ("/a;v=1/b", "/a;v=1/b"),
            ("/%3f%23", "/%3F%23"),
            ("/...", "/..."),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(forwarded), "{raw}");
        }
    }

    #[test]
    fn paths_without_one_meaning_are_refused() {
        for (raw, error) in [
            ("", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("http://a/b", PathError::NotAbsolute),
            ("/a?b", PathError::Delimiter),
            ("/a#b", PathError::Delimiter),
            ("/%", PathError::Escape),
            ("/%2", PathError::Escape),
            ("/%zz", PathError::Escape),
            ("/%u002f", PathError::Escape),
            ("/a\tb", PathError::Control),
            ("/a%00", PathError::Control),
            ("/a%0d%0a", PathError::Control),
            ("/a%7f", PathError::Control),
            ("/a%C2%85", PathError::Control),
            ("/a%2500", PathError::Control),
            ("/%ff", PathError::NotUtf8),
            ("/%c0%af", PathError::NotUtf8),
            ("/%25c0%25af", PathError::NotUtf8),
            ("/%252525252f", PathError::TooManyLayers),
            ("/a/..%2fb", PathError::HiddenDots),
            ("/a/..%5cb", PathError::HiddenDots),
            ("/a/..\\b", PathError::HiddenDots),
            ("/a/..;/b", PathError::HiddenDots),
            ("/a/.;x", PathError::HiddenDots),
            ("/a/%252e%252e/b", PathError::HiddenDots),
            ("/a/%2e%2e%3bx", PathError::HiddenDots),
        ] {
            assert_eq!(canonical(raw), Err(error), "{raw}");
        }
        assert_eq!(canonical(&"/a".repeat(4097)), Err(PathError::TooLong));
        // Escaping triples these: what is forwarded stays within the limit as well.
        assert_eq!(
            canonical(&format!("/{}", "ä".repeat(2000))),
            Err(PathError::TooLong)
        );
        assert!(canonical(&"/a".repeat(4096)).is_ok());
    }

    #[test]
    fn the_common_case_borrows() {
        for raw in ["/", "/api/v1/Items/42", "/.well-known/a", "/@scope/pkg"] {
            let path = CanonicalPath::parse(raw).unwrap();
            assert!(matches!(path.text, Cow::Borrowed(_)) && path.plain, "{raw}");
        }
    }

    #[test]
    fn a_path_that_only_needed_tidying_is_plain() {
        assert!(CanonicalPath::parse("//a/../%62").unwrap().is_plain());
        assert!(!CanonicalPath::parse("/a%20b").unwrap().is_plain());
        assert!(!CanonicalPath::parse("/a;b").unwrap().is_plain());
    }
}
