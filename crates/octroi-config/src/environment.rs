//! Environment variables over the file: `OCTROI__SECTION__KEY=value`.
//!
//! They reach every key of sections that stand once (`OCTROI__LOG__LEVEL`) and of networks, whose
//! names are written with `_` for `-` (`OCTROI__NETWORK__BASE_SEPOLIA__RPC_URLS`). Lists are
//! separated by commas. Services, sites, certificates and assets are lists of sections and stay in
//! the file.

use octroi_types::KNOWN_NETWORKS;

use crate::check::Check;
use crate::excerpt::shown_name;
use crate::schema::{Key, Kind, Section, Shape};
use crate::suggest::closest;
use crate::table::{Item, Place, Setting, Table, Value};
use crate::value::{choose, in_range};

/// What variables that set a key begin with.
pub const VARIABLE_PREFIX: &str = "OCTROI__";

/// The variables of this process, without those that are not Unicode. For `main`; everything below
/// takes them as an argument.
#[must_use]
pub fn process_environment() -> Vec<(String, String)> {
    let pairs = std::env::vars_os();
    pairs
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Puts the variables over the tables.
pub(crate) fn overlay(root: &mut Table, variables: &[(String, String)], check: &mut Check<'_>) {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(VARIABLE_PREFIX) else {
            continue;
        };
        let path = path.to_ascii_lowercase();
        let names: Vec<_> = path.split("__").collect();
        if let Err((message, help)) = set(root, &names, name, value) {
            let note = check.error(&Place::Variable(name.clone()), names.join("."), message);
            if let Some(help) = help {
                note.help(&help);
            }
        }
    }
}

/// What is wrong, and what to do about it.
type Refusal = (String, Option<String>);

fn set(table: &mut Table, names: &[&str], variable: &str, value: &str) -> Result<(), Refusal> {
    table.present = true;
    match names {
        [] => Err(no_such(table, "", variable)),
        [name] => {
            let key = table
                .section
                .key(name)
                .ok_or_else(|| no_such(table, name, variable))?;
            let place = Place::Variable(variable.to_owned());
            table.refused.insert(key.name);
            let value = convert(key, value, &place).map_err(|message| (message, None))?;
            table.refused.remove(key.name);
            table.settings.insert(key.name, Setting { value, place });
            Ok(())
        }
        [name, rest @ ..] => {
            let section = table
                .section
                .inner(name)
                .ok_or_else(|| no_such(table, name, variable))?;
            match (section.shape, rest) {
                (Shape::Table, rest) => {
                    let child = table
                        .inner
                        .get_mut(section.name)
                        .and_then(|all| all.first_mut());
                    child.map_or(Ok(()), |child| set(child, rest, variable, value))
                }
                (Shape::Labelled, [label, rest @ ..]) => {
                    let child = labelled(table, section, label).ok_or_else(|| {
                        let message = format!("there is no {name} `{label}`");
                        let help = format!("a {name} of your own is declared in the file first");
                        (message, Some(help))
                    })?;
                    set(child, rest, variable, value)
                }
                (Shape::Labelled, []) => Err(no_such(table, name, variable)),
                (Shape::List, _) => {
                    let message = format!("`{name}` is a list of sections and stays in the file");
                    Err((message, None))
                }
            }
        }
    }
}

/// The network with this name as a variable writes it, made if the file does not have it.
fn labelled<'t>(
    table: &'t mut Table,
    section: &'static Section,
    name: &str,
) -> Option<&'t mut Table> {
    let spelled = |label: &str| label.to_ascii_lowercase().replace('-', "_");
    let path = table.path.clone();
    let all = table.inner.entry(section.name).or_default();
    let at = match all.iter().position(|table| spelled(&table.label) == name) {
        Some(at) => at,
        None => {
            let known = KNOWN_NETWORKS
                .iter()
                .find(|known| spelled(known.name) == name)?;
            all.push(Table::labelled(section, &path, known.name));
            all.len() - 1
        }
    };
    all.get_mut(at)
}

fn no_such(table: &Table, name: &str, variable: &str) -> Refusal {
    let section = table.section;
    if name.is_empty() || section.inner(name).is_some() {
        return ("the variable names a section, not a key".to_owned(), None);
    }
    let names = section.all_keys().map(|key| key.name);
    let near = closest(
        name,
        names.chain(section.inner.iter().map(|inner| inner.name)),
    );
    let help = near.map(|near| {
        let variable = variable.replace(&name.to_ascii_uppercase(), &near.to_ascii_uppercase());
        format!("did you mean {variable}?")
    });
    (
        format!("{} has no `{}`", table.title(), shown_name(name)),
        help,
    )
}

fn convert(key: &Key, text: &str, place: &Place) -> Result<Value, String> {
    let item = |text: &str| Item {
        text: text.to_owned(),
        place: place.clone(),
    };
    match key.kind {
        Kind::Text(_) => Ok(Value::Text(item(text))),
        Kind::Choice(_) => choose(key, text).map(|text| Value::Text(item(&text))),
        Kind::List(_) => {
            let parts = text
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty());
            Ok(Value::List(parts.map(item).collect()))
        }
        Kind::Integer { .. } => in_range(key, text.parse().ok()).map(Value::Integer),
        Kind::Flag => match text {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            _ => Err(format!("`{}` is true or false", key.name)),
        },
    }
}
