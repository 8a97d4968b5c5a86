//! `[facilitator]`: settling for the operator's other servers.

use sha2::{Digest, Sha256};

use crate::check::Check;
use crate::network::{Networks, Settlement};
use crate::server::key_place;
use crate::table::Table;

/// The facilitator that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacilitatorConfig {
    /// Whether it is.
    pub enabled: bool,
    /// SHA-256 of the tokens of which a caller must show one.
    pub token_hashes: Vec<[u8; 32]>,
}

/// Reads the section.
pub(crate) fn read(check: &mut Check<'_>, table: &Table, networks: &Networks) -> FacilitatorConfig {
    let enabled = check.flag(table, "enabled");
    let mut token_hashes = check.parse_all(table, "token_sha256", |text| {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .map(|()| hash)
            .map_err(|_| "")
    });
    for (_, token) in check.secret_files(table, "token_files") {
        token_hashes.push(Sha256::digest(token.expose().as_bytes()).into());
    }
    let named = ["token_files", "token_sha256"]
        .iter()
        .any(|key| !check.items(table, key).is_empty() || table.refused.contains(key));
    if enabled && !named {
        let message = "the facilitator would settle for anybody".to_owned();
        check
            .error(
                key_place(table, "enabled"),
                table.key_path("enabled"),
                message,
            )
            .help("set token_files or token_sha256");
    }
    let own = |settlement: &Settlement| matches!(settlement, Settlement::Wallets(_));
    let complete = networks.valid.len() == networks.names.len();
    if enabled
        && complete
        && !networks
            .valid
            .iter()
            .any(|network| own(&network.settlement))
    {
        let message = "the facilitator needs a network that settles with own wallets".to_owned();
        check
            .error(
                key_place(table, "enabled"),
                table.key_path("enabled"),
                message,
            )
            .help("set wallet_key_files or wallet_key_variables in a [network.NAME]");
    }
    FacilitatorConfig {
        enabled,
        token_hashes,
    }
}
