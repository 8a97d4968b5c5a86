//! The ways in which an origin may read a canonical path.
//!
//! A reading splits the path into names after decoding it `split` times, decodes the names until
//! they were decoded `decoded` times in all, takes `\` for a separator or not, and drops `;params`
//! or not. The first reading is always the plain one: split at slashes, decode each name once.
//! Dot segments need no reading: the canonical path has none and hides none. Empty names are
//! dropped, and letter case is the matcher's business.

use std::borrow::Cow;

use crate::escape::{decode, has_escape};
use crate::path::{CanonicalPath, without_params};

/// Plain paths with at most so many names are read without allocating.
const NAMES_ON_STACK: usize = 32;

/// Calls `visit` with the names of every reading, the plain reading first.
pub(crate) fn each_reading<'p>(path: &'p CanonicalPath<'_>, mut visit: impl FnMut(&[&str])) {
    let text: &'p str = path.as_str();
    if path.is_plain() {
        read_plain(text, &mut visit);
        return;
    }
    let layers = layers(text);
    let last = layers.last().map_or(text, |layer| &**layer);
    let splits = if separators(last) > separators(text) {
        layers.len()
    } else {
        1
    };
    let params = if last.contains(';') {
        &[false, true][..]
    } else {
        &[false]
    };
    for split in 0..splits {
        let backslash = if split > 0 && last.contains('\\') {
            &[false, true][..]
        } else {
            &[false]
        };
        for decoded in split.max(1)..layers.len().max(2) {
            for &backslash in backslash {
                let names = names(&layers[split], decoded - split, backslash);
                for &params in params {
                    visit_names(&names, params, &mut visit);
                }
            }
        }
    }
}

fn read_plain(text: &str, visit: &mut impl FnMut(&[&str])) {
    let names = || text.split('/').filter(|name| !name.is_empty());
    let mut buffer = [""; NAMES_ON_STACK];
    let mut count = 0;
    for name in names() {
        let Some(slot) = buffer.get_mut(count) else {
            return visit(&names().collect::<Vec<_>>());
        };
        *slot = name;
        count += 1;
    }
    visit(&buffer[..count]);
}

/// The path decoded 0, 1, … times, until it is stable. [`CanonicalPath::parse`] has made sure that
/// this ends soon and that every layer decodes.
fn layers(text: &str) -> Vec<Cow<'_, str>> {
    let mut layers = vec![Cow::Borrowed(text)];
    while let Some(next) = layers
        .last()
        .filter(|text| has_escape(text))
        .and_then(|text| decode(text))
    {
        layers.push(Cow::Owned(next));
    }
    layers
}

fn separators(text: &str) -> usize {
    text.bytes()
        .filter(|byte| matches!(byte, b'/' | b'\\'))
        .count()
}

/// Splits a layer into names and decodes each so many times more.
fn names(layer: &str, decodes: usize, backslash: bool) -> Vec<Cow<'_, str>> {
    let is_separator = |c: char| c == '/' || (backslash && c == '\\');
    let decoded = |name| {
        (0..decodes).fold(Cow::Borrowed(name), |name: Cow<'_, str>, _| {
            match decode(&name) {
                Some(next) => Cow::Owned(next),
                None => name,
            }
        })
    };
    layer.split(is_separator).map(decoded).collect()
}

fn visit_names(names: &[Cow<'_, str>], drop_params: bool, visit: &mut impl FnMut(&[&str])) {
    let name = |name| {
        if drop_params {
            without_params(name)
        } else {
            name
        }
    };
    let names = names
        .iter()
        .map(|text| name(&**text))
        .filter(|name| !name.is_empty());
    visit(&names.collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(raw: &str) -> Vec<String> {
        let path = CanonicalPath::parse(raw).unwrap();
        let mut all = Vec::new();
        each_reading(&path, |names| all.push(names.join(" | ")));
        all
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        assert_eq!(readings("/"), [""]);
        assert_eq!(readings("/a/b/"), ["a | b"]);
        let long = "/x".repeat(NAMES_ON_STACK + 1);
        assert_eq!(readings(&long)[0].matches('x').count(), NAMES_ON_STACK + 1);
        assert_eq!(readings("/a%20b"), ["a b"]);
    }

    #[test]
    fn every_doubt_doubles_the_readings() {
        assert_eq!(readings("/a;v=1/b"), ["a;v=1 | b", "a | b"]);
        assert_eq!(readings("/a%2Fb"), ["a/b", "a | b"]);
        assert_eq!(readings("/a%5Cb"), ["a\\b", "a\\b", "a | b"]);
        assert_eq!(readings("/%2561"), ["%61", "a"]);
        assert_eq!(
            readings("/a%252Fb"),
            ["a%2Fb", "a/b", "a%2Fb", "a/b", "a | b"]
        );
    }

    #[test]
    fn the_number_of_readings_is_bounded() {
        assert_eq!(
            readings("/a%25252Fb%25255Cc%25253Bd/e").len(),
            2 * (3 + 2 * (3 + 2 + 1))
        );
    }
}
