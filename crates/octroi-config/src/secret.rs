//! Files that the configuration names, above all those with secrets.

use std::fs;
use std::path::{Path, PathBuf};

use octroi_types::Redacted;

use crate::check::Check;
use crate::excerpt::looks_secret;
use crate::table::{Item, Table};

/// The longest secret that is read from a file, in bytes.
const SECRET_BYTES_MAX: usize = 65_536;

impl Check<'_> {
    /// The path of a file that can be read now.
    pub(crate) fn readable_file(&mut self, table: &Table, key: &str) -> Option<PathBuf> {
        let item = self.item(table, key)?;
        let path = self.path(&item.text);
        self.read(table, key, item, &path).map(|_| path)
    }

    /// The secret in the file that a key names, without blanks around it.
    pub(crate) fn secret_file(&mut self, table: &Table, key: &str) -> Option<Redacted<String>> {
        let item = self.item(table, key)?;
        self.secret(table, key, item)
    }

    /// The secrets in the files that a list names, each with where it was named.
    pub(crate) fn secret_files<'t>(
        &mut self,
        table: &'t Table,
        key: &str,
    ) -> Vec<(&'t Item, Redacted<String>)> {
        let items = self.items(table, key).iter();
        items
            .filter_map(|item| Some((item, self.secret(table, key, item)?)))
            .collect()
    }

    fn secret(&mut self, table: &Table, key: &str, item: &Item) -> Option<Redacted<String>> {
        let bytes = self.file(table, key, item)?;
        let text = String::from_utf8(bytes)
            .ok()
            .filter(|text| text.len() <= SECRET_BYTES_MAX);
        let text = text
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty());
        if text.is_none() {
            let message = format!("the file \"{}\" holds no text", item.text.escape_debug());
            self.error(&item.place, table.key_path(key), message);
        }
        text.map(|text| Redacted::new(text.to_owned()))
    }

    /// The bytes of the file that a key names here.
    pub(crate) fn file(&mut self, table: &Table, key: &str, item: &Item) -> Option<Vec<u8>> {
        self.read(table, key, item, &self.path(&item.text))
    }

    fn read(&mut self, table: &Table, key: &str, item: &Item, path: &Path) -> Option<Vec<u8>> {
        if looks_secret(&item.text) {
            let message = format!("`{key}` is the name of a file, and this looks like a secret");
            self.error(&item.place, table.key_path(key), message)
                .help("put the secret into a file and name that file here");
            return None;
        }
        match fs::read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let name = item.text.escape_debug();
                let message = format!("cannot read \"{name}\": {}", reason(&error));
                self.error(&item.place, table.key_path(key), message)
                    .help("file names start at the directory of the configuration file");
                None
            }
        }
    }
}

/// The usual reasons in words that are the same on every system.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}
