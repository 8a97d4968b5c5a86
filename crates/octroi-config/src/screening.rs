//! `[screening]`: who neither pays nor is paid.

use std::collections::HashSet;

use octroi_types::Address;

use crate::check::Check;
use crate::server::key_place;
use crate::table::{Item, Table};

/// How many wrong lines of a file are named.
const LINES_SHOWN_MAX: usize = 20;

/// Who neither pays nor is paid.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScreeningConfig {
    /// The addresses of the section and of its file.
    pub addresses: HashSet<Address>,
}

/// Reads the section and its file.
pub(crate) fn read(check: &mut Check<'_>, table: &Table) -> ScreeningConfig {
    let listed = check.parse_all(table, "addresses", Address::parse_written);
    let mut addresses = HashSet::from_iter(listed);
    if let Some(item) = check.item(table, "file") {
        addresses.extend(read_file(check, table, item));
    }
    ScreeningConfig { addresses }
}

/// One address a line. What follows a `#` is a comment.
fn read_file(check: &mut Check<'_>, table: &Table, item: &Item) -> Vec<Address> {
    let key = "file";
    let Some(bytes) = check.file(table, key, item) else {
        return Vec::new();
    };
    let (mut addresses, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        let text = line.split('#').next().unwrap_or_default().trim();
        match text.parse() {
            _ if text.is_empty() => {}
            Ok(address) => addresses.push(address),
            Err(_) => wrong.push(index + 1),
        }
    }
    let name = item.text.escape_debug();
    if !wrong.is_empty() {
        // The lines are not repeated: a file of secrets may have been named by mistake.
        let message = format!("\"{name}\" has no EVM address on {}", lines(&wrong));
        check
            .error(&item.place, table.key_path(key), message)
            .help("a line is 0x and 40 hex digits, a comment after #, both or neither");
    } else if addresses.is_empty() {
        let message = format!("\"{name}\" names nobody");
        check.warning(&item.place, table.key_path(key), message);
    }
    addresses
}

/// Numbers of lines, as far as people read them.
fn lines(numbers: &[usize]) -> String {
    let shown = numbers.iter().take(LINES_SHOWN_MAX);
    let mut text = shown
        .map(|number| format!("line {number}"))
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more @ 1..) = numbers.len().checked_sub(LINES_SHOWN_MAX) {
        text += &format!(" and {more} more");
    }
    text
}

/// Nobody who is screened out is paid, whether or not the key is in use.
pub(crate) fn check_payees(check: &mut Check<'_>, root: &Table, screening: &ScreeningConfig) {
    let key = "pay_to";
    let sellers = ["tenant", "service", "site"].iter();
    for seller in sellers.flat_map(|name| root.all(name)) {
        let rows = ["paywall", "route"].iter();
        for table in rows.flat_map(|name| seller.all(name)).chain([seller]) {
            let payee = check.item(table, key);
            let payee = payee.and_then(|item| item.text.parse().ok());
            if payee.is_some_and(|payee: Address| screening.addresses.contains(&payee)) {
                let message = "`pay_to` is an address that [screening] denies".to_owned();
                check.error(key_place(table, key), table.key_path(key), message);
            }
        }
    }
}
