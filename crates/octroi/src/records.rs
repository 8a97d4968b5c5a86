//! Opening the records for reading, while a gate may be writing them.

use std::path::PathBuf;

use octroi_config::Config;
use octroi_store_sqlite::SqliteReader;

use crate::check;
use crate::cli::StoreArgs;
use crate::failure::{Failure, ResultExt as _};

/// Opens the store that the arguments name. Nothing is ever written to it.
pub(crate) fn open(args: &StoreArgs) -> Result<SqliteReader, Failure> {
    let path = path(args)?;
    SqliteReader::open(&path)
        .or_fail(format!("the store {} cannot be opened", path.display()))
        .map_err(|failure| {
            failure.help("--store names another file, --config a configuration that names one")
        })
}

/// The store that the arguments name.
pub(crate) fn path(args: &StoreArgs) -> Result<PathBuf, Failure> {
    if let Some(store) = &args.store {
        return Ok(store.clone());
    }
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let loaded = Config::load(&args.config, &environment).map_err(check::failed)?;
    Ok(loaded.config.store.path)
}
