//! Origins and what the gate shows them.

use std::time::Duration;

use octroi_types::Redacted;

use crate::check::{Check, setting};
use crate::server::key_place;
use crate::table::Table;
use crate::url::OriginUrl;

/// Where requests go and how they are dressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The origin.
    pub origin: OriginUrl,
    /// How long it may take to its response head.
    pub timeout: Duration,
    /// What it is shown.
    pub auth: UpstreamAuth,
}

/// What the gate shows an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAuth {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`.
    Bearer(Redacted<String>),
    /// A header.
    Header {
        /// Its name, in lower case.
        name: String,
        /// Its value, visible ASCII.
        value: Redacted<String>,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// Its value, not encoded.
        value: Redacted<String>,
    },
}

/// Headers that belong to the connection or to payments.
const RESERVED_HEADERS: &[&str] = &[
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "proxy-connection",
    "payment-signature",
    "payment-required",
    "payment-response",
    "x-payment",
    "x-payment-response",
    "x-octroi-key",
];

/// Reads the keys that services and sites share.
pub(crate) fn read(check: &mut Check<'_>, table: &Table) -> Option<UpstreamConfig> {
    let origin = check.parse(table, "origin", str::parse::<OriginUrl>);
    let auth = match table.all("auth").first().filter(|auth| auth.present) {
        Some(auth) => read_auth(check, auth),
        None => Some(UpstreamAuth::None),
    };
    Some(UpstreamConfig {
        origin: origin?,
        timeout: check.millis(table, "timeout_ms"),
        auth: auth?,
    })
}

fn read_auth(check: &mut Check<'_>, table: &Table) -> Option<UpstreamAuth> {
    let given: Vec<_> = ["bearer_file", "header", "query", "value_file"]
        .into_iter()
        .filter(|key| setting(table, key).is_some())
        .collect();
    match given.as_slice() {
        ["bearer_file"] => {
            let token = check.secret_file(table, "bearer_file")?;
            visible(check, table, "bearer_file", token).map(UpstreamAuth::Bearer)
        }
        ["header", "value_file"] => {
            let name = check.parse(table, "header", parse_header_name);
            let value = check.secret_file(table, "value_file")?;
            let value = visible(check, table, "value_file", value);
            Some(UpstreamAuth::Header {
                name: name?,
                value: value?,
            })
        }
        ["query", "value_file"] => {
            let name = check.item(table, "query").map(|item| item.text.clone());
            let value = check.secret_file(table, "value_file");
            Some(UpstreamAuth::Query {
                name: name?,
                value: value?,
            })
        }
        _ => {
            check_combination(check, table);
            None
        }
    }
}

fn check_combination(check: &mut Check<'_>, table: &Table) {
    if table.refused.is_empty() {
        let message = format!("{} does not say one thing", table.title());
        check
            .error(&table.place, table.path.clone(), message)
            .help("set bearer_file, or header and value_file, or query and value_file");
    }
}

fn parse_header_name(text: &str) -> Result<String, &'static str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(token) {
        return Err("");
    }
    let name = text.to_ascii_lowercase();
    if RESERVED_HEADERS.contains(&name.as_str()) {
        return Err("the gate sets or removes it itself");
    }
    Ok(name)
}

/// A secret that can stand in a header.
fn visible(
    check: &mut Check<'_>,
    table: &Table,
    key: &str,
    secret: Redacted<String>,
) -> Option<Redacted<String>> {
    if secret
        .expose()
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return Some(secret);
    }
    let message = "the file holds more than one line of visible ASCII".to_owned();
    check.error(key_place(table, key), table.key_path(key), message);
    None
}
