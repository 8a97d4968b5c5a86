//! Refusing JSON that could be read in two ways.
//!
//! [`check_unambiguous`] has the say. It visits every value, which costs as much as reading the
//! document once more, so [`is_plainly_unambiguous`] looks first at documents that serde has read:
//! a payment as clients write it is told to be harmless from its quotes and brackets alone.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{DecodeError, JSON_DEPTH_MAX};

/// Most keys of all open objects together that are compared one by one. A payment has less than 20.
const PLAIN_KEYS_MAX: usize = 48;

/// Whether a document that is known to be JSON has neither ambiguity nor too many levels, as far as
/// that is told without reading its values; `false` where it has to be looked at closely.
pub(super) fn is_plainly_unambiguous(json: &[u8]) -> bool {
    let mut keys: Vec<&[u8]> = Vec::with_capacity(PLAIN_KEYS_MAX);
    // Where the keys of each open object begin; an array has none.
    let mut open: Vec<usize> = Vec::with_capacity(JSON_DEPTH_MAX);
    let mut rest = json;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                let Some((text, after)) = split_plain_text(after) else {
                    return false;
                };
                rest = after.trim_ascii_start();
                if rest.first() != Some(&b':') {
                    continue;
                }
                let begin = open.last().copied().unwrap_or_default();
                let is_twice = keys.get(begin..).is_none_or(|keys| keys.contains(&text));
                if is_twice || keys.len() == PLAIN_KEYS_MAX {
                    return false;
                }
                keys.push(text);
            }
            b'{' | b'[' if open.len() == JSON_DEPTH_MAX => return false,
            b'{' | b'[' => open.push(keys.len()),
            b'}' | b']' => keys.truncate(open.pop().unwrap_or_default()),
            _ => {}
        }
    }
    true
}

/// A text without escapes, from behind its first quote, and what follows its last.
fn split_plain_text(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = json.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let (text, rest) = json.split_at(end);
    match rest.split_first()? {
        (b'"', after) => Some((text, after)),
        _ => None,
    }
}

/// Refuses a document that is not JSON, that has a key twice in one object, or too many levels.
pub(super) fn check_unambiguous(json: &[u8]) -> Result<(), DecodeError> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Walk {
        fault: &fault,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end())
    .map_err(|error| {
        fault.get().unwrap_or(DecodeError::Json {
            line: error.line(),
            column: error.column(),
        })
    })
}

/// Visits any JSON value without building it.
#[derive(Clone, Copy)]
struct Walk<'f> {
    /// Where a refusal is noted, because serde's errors carry text only.
    fault: &'f Cell<Option<DecodeError>>,
    depth: usize,
}

/// A key, borrowed from the input unless it has escapes.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl Walk<'_> {
    fn refuse<E: serde::de::Error>(self, fault: DecodeError) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > JSON_DEPTH_MAX {
            return Err(self.refuse(DecodeError::TooDeep));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys: Vec<Key<'de>> = Vec::with_capacity(8);
        while let Some(key) = entries.next_key()? {
            keys.push(key);
            entries.next_value_seed(inner)?;
        }
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.refuse(DecodeError::DuplicateKey));
        }
        Ok(())
    }
}
