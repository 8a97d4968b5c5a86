//! Lines of the file as problems show them: with the place marked, and without secrets.
//!
//! A line is masked where its value may carry a credential: the value of a sensitive key, of a key
//! that does not exist (it may be a misspelled or inline secret), of anything that looks like a
//! key, and all values on a line that is not TOML. Masking keeps the width, so that the marks fit.

use std::ops::Range;

/// One line and the marks under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, without trailing blanks.
    pub text: String,
    /// Blanks and carets for the line below.
    pub carets: String,
}

/// Finds the line and column of a place: `(line, column, excerpt)`. Lines that touch one of the
/// hidden places are masked.
pub(crate) fn locate(
    source: &str,
    span: &Range<usize>,
    hidden: &[Range<usize>],
) -> (usize, usize, Excerpt) {
    let start = floor_char_boundary(source, span.start);
    let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = source[line_start..]
        .find('\n')
        .map_or(source.len(), |at| line_start + at);
    let line = source[line_start..line_end].trim_end();
    let before = &source[line_start..start];
    let marked_end = floor_char_boundary(source, span.end)
        .clamp(start, line_start + line.len().max(start - line_start));
    let width = source[start..marked_end].chars().count().max(1);
    let blanks = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' });
    let carets = blanks.chain(std::iter::repeat_n('^', width)).collect();
    let masked = hidden
        .iter()
        .any(|span| span.start <= line_end && span.end >= line_start);
    let text = if masked {
        mask_values(line, in_multiline_text(&source[..line_start]))
    } else {
        line.to_owned()
    };
    let number = source[..line_start].matches('\n').count() + 1;
    (number, before.chars().count() + 1, Excerpt { text, carets })
}

fn floor_char_boundary(source: &str, at: usize) -> usize {
    (0..=at.min(source.len()))
        .rev()
        .find(|&at| source.is_char_boundary(at))
        .unwrap_or(0)
}

/// Whether a text of several lines is open here.
fn in_multiline_text(before: &str) -> bool {
    before.matches("\"\"\"").count() % 2 == 1 || before.matches("'''").count() % 2 == 1
}

/// Replaces everything but the structure of values by stars. A key before the first `=`
/// stays, and so does a header.
fn mask_values(line: &str, inside_text: bool) -> String {
    let is_key = |key: &str| key.split('.').all(|name| name == shown_name(name));
    let header = line
        .trim()
        .strip_prefix('[')
        .map(|name| name.trim_matches(['[', ']', ' ']));
    if header.is_some_and(is_key) && !inside_text {
        return line.to_owned();
    }
    let (key, value) = match line.find('=').map(|equals| line.split_at(equals)) {
        Some((key, value)) if is_key(key.trim()) && !inside_text => (key, value),
        _ => ("", line),
    };
    let structure = |c: &char| c.is_whitespace() || "=[]{},\"'".contains(*c);
    let masked = value.chars().map(|c| if structure(&c) { c } else { '*' });
    key.chars().chain(masked).collect()
}

/// A name of the file for messages. Only what could be a name is repeated: a slip of the keyboard
/// makes names of values.
pub(crate) fn shown_name(name: &str) -> &str {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let plausible = (1..=40).contains(&name.len()) && name.bytes().all(bare);
    if plausible && !looks_secret(name) {
        name
    } else {
        "…"
    }
}

/// Whether a value looks like a key rather than a name of one: then it is never repeated.
pub(crate) fn looks_secret(value: &str) -> bool {
    let value = value.trim();
    let hex = value.strip_prefix("0x").unwrap_or(value);
    if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return true;
    }
    const PREFIXES: [&str; 8] = [
        "sk_",
        "sk-",
        "mpk_",
        "ok_live_",
        "ok_test_",
        "whsec_",
        "Bearer ",
        "-----BEGIN",
    ];
    if PREFIXES.iter().any(|prefix| value.starts_with(prefix)) {
        return true;
    }
    // Credentials in a URL.
    if value.contains("://") && value.contains(['@', '?']) {
        return true;
    }
    let address = value.len() == 42 && value.starts_with("0x");
    !address
        && value.len() >= 32
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+=_-".contains(&byte))
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let source = "a = 1\n\té = \"ü\" \n";
        let at = source.find("\"ü\"").unwrap();
        let (line, column, excerpt) = locate(source, &(at..at + 4), &[]);
        assert_eq!((line, column), (2, 6));
        assert_eq!(excerpt.text, "\té = \"ü\"");
        assert_eq!(excerpt.carets, "\t    ^^^");
    }

    #[test]
    fn a_span_of_several_lines_is_marked_on_its_first() {
        let source = "list = [\n  1,\n]\n";
        let (line, column, excerpt) = locate(source, &(7..source.len()), &[]);
        assert_eq!((line, column, excerpt.carets.as_str()), (1, 8, "       ^"));
        let (line, _, excerpt) = locate(source, &(source.len()..source.len() + 9), &[]);
        assert_eq!((line, excerpt.carets.as_str()), (4, "^"));
    }

    #[test]
    fn masking_keeps_keys_and_structure() {
        assert_eq!(
            mask_values("key = [\"a b\", 'c'] # x", false),
            "key = [\"* *\", '*'] * *"
        );
        assert_eq!(mask_values("  \"hunter2\",", false), "  \"*******\",");
        assert_eq!(mask_values("[server", false), "[server");
        assert_eq!(mask_values("[sk_live_1]", false), "[*********]");
        assert_eq!(mask_values("[\"hunter2\"]", false), "[\"*******\"]");
        assert_eq!(mask_values("a = b", true), "* = *");
        assert_eq!(mask_values("[\"a=b\"]", false), "[\"*=*\"]");
        assert_eq!(mask_values("a.b = c", false), "a.b = *");
        assert_eq!(mask_values("sk_live_1 = c", false), "********* = *");
    }

    #[test]
    fn keys_are_known_by_their_looks() {
        for secret in [
            &"a1".repeat(32),
            &format!("0x{}", "0f".repeat(32)),
            "sk_live_1",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
            "https://user:pass@a.example",
            "https://a.example/?key=1",
        ] {
            assert!(looks_secret(secret), "{secret}");
        }
        for name in [
            "secrets/bearer.txt",
            "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "$0.01",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
