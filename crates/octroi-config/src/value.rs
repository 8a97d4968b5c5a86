//! Values of the kind that their key asks for.

use toml::Spanned;
use toml::de::{DeInteger, DeValue};

use crate::schema::{Key, Kind};
use crate::suggest::closest;
use crate::table::{Item, Place, Value};

/// Reads a value of the file.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub(crate) fn convert(key: &Key, value: &Spanned<DeValue<'_>>) -> Result<Value, String> {
    let item = |value: &Spanned<DeValue<'_>>| {
        let text = value.get_ref().as_str()?.to_owned();
        Some(Item {
            text,
            place: Place::Span(value.span()),
        })
    };
    let wrong = || {
        format!(
            "`{}` is {}, not {}",
            key.name,
            wanted(key.kind),
            found(value.get_ref())
        )
    };
    match (key.kind, value.get_ref()) {
        (Kind::Text(_), DeValue::String(_)) => item(value).map(Value::Text).ok_or_else(wrong),
        (Kind::List(_), DeValue::String(_)) => item(value)
            .map(|one| Value::List(vec![one]))
            .ok_or_else(wrong),
        (Kind::List(_), DeValue::Array(values)) => {
            let items = values.iter().map(item).collect::<Option<_>>();
            items
                .map(Value::List)
                .ok_or_else(|| format!("`{}` is a list of texts", key.name))
        }
        (Kind::Choice(_), DeValue::String(text)) => {
            let chosen = choose(key, text)?;
            Ok(Value::Text(Item {
                text: chosen,
                place: Place::Span(value.span()),
            }))
        }
        (Kind::Integer { .. }, DeValue::Integer(number)) => {
            in_range(key, read_integer(number)).map(Value::Integer)
        }
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        _ => Err(wrong()),
    }
}

fn read_integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Checks a number against the key's range; `None` stands for one that does not fit 64 bits.
pub(crate) fn in_range(key: &Key, number: Option<u64>) -> Result<u64, String> {
    let Kind::Integer { min, max } = key.kind else {
        return Err(format!("`{}` is not a number", key.name));
    };
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("`{}` is {}", key.name, wanted(key.kind)))
}

/// Checks a text against the key's choices.
pub(crate) fn choose(key: &Key, text: &str) -> Result<String, String> {
    let Kind::Choice(choices) = key.kind else {
        return Ok(text.to_owned());
    };
    if choices.contains(&text) {
        return Ok(text.to_owned());
    }
    let near = closest(text, choices.iter().copied());
    let near = near
        .map(|near| format!("; did you mean \"{near}\"?"))
        .unwrap_or_default();
    Err(format!("`{}` is {}{near}", key.name, wanted(key.kind)))
}

fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Text(_) => "a text in quotes".to_owned(),
        Kind::List(_) => "a list of texts".to_owned(),
        Kind::Integer { .. } => format!("a {}", kind.describe()),
        Kind::Choice(_) | Kind::Flag => kind.describe(),
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// Reads a default of the schema.
pub(crate) fn default_value(key: &Key, text: &str) -> Option<Value> {
    let value = DeValue::parse(text).ok()?;
    let mut value = convert(key, &value).ok()?;
    match &mut value {
        Value::Text(item) => item.place = Place::Default,
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| item.place = Place::Default),
        Value::Integer(_) | Value::Flag(_) => {}
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ROOT;
    use crate::schema::{Presence, Section};

    fn every_section(section: &'static Section, visit: &mut impl FnMut(&'static Section)) {
        visit(section);
        section
            .inner
            .iter()
            .for_each(|inner| every_section(inner, visit));
    }

    #[test]
    fn every_default_of_the_schema_is_valid() {
        every_section(&ROOT, &mut |section| {
            for key in section.all_keys() {
                if let Presence::Default(text) = key.presence {
                    assert!(
                        default_value(key, text).is_some(),
                        "{}.{}",
                        section.name,
                        key.name
                    );
                }
            }
        });
    }

    #[test]
    fn no_name_stands_for_two_things() {
        every_section(&ROOT, &mut |section| {
            let mut names: Vec<_> = section.all_keys().map(|key| key.name).collect();
            names.extend(section.inner.iter().map(|inner| inner.name));
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", section.name);
        });
    }
}
