//! `octroi init`: a configuration to start from.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use crate::cli::InitArgs;
use crate::failure::{Failure, ResultExt as _};
use crate::output;

/// Writes the commented template.
pub(crate) fn run(args: &InitArgs) -> Result<(), Failure> {
    let shown = args.path.display();
    let mut options = OpenOptions::new();
    options.write(true);
    if args.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = match options.open(&args.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("{shown} exists already"))
                .help("name another file, or overwrite it with --force"));
        }
        Err(error) => return Err(error).or_fail(format!("cannot create {shown}")),
    };
    file.write_all(octroi_config::init_template().as_bytes())
        .or_fail(format!("cannot write {shown}"))?;
    output::note(&format!(
        "Wrote {shown}. Edit it before you sell anything:\n\
         \x20 1. [tenant] pay_to: the address of your wallet, where the money goes\n\
         \x20 2. [[service]] origin: the API that you want to sell\n\
         \x20 3. [[service.paywall]]: what one call of it costs\n\
         \n\
         Then:\n\
         \x20 octroi check --config {shown}\n\
         \x20 octroi serve --config {shown}"
    ));
    Ok(())
}
