//! The reference page of the configuration, made from the schema.

use std::fmt::Write as _;

use octroi_types::KNOWN_NETWORKS;

use crate::environment::VARIABLE_PREFIX;
use crate::keys::ROOT;
use crate::network::defaults;
use crate::schema::{Key, Presence, Section, Shape};

/// Every section and key in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut out = format!(
        "# Configuration\n\n\
         One file, `octroi.toml`, says everything. `octroi init` writes one to start from and \
         `octroi check` says everything that is wrong with it.\n\n\
         File names are relative to the file's directory. Secrets are never written into it: keys \
         that end in `_file` or `_files` name files that hold them.\n\n\
         Environment variables win over the file: `{VARIABLE_PREFIX}LOG__LEVEL=debug` sets `level` \
         in `[log]`, and `{VARIABLE_PREFIX}NETWORK__BASE_SEPOLIA__RPC_URLS` sets `rpc_urls` in \
         `[network.base-sepolia]`. Lists are separated by commas. Sections in double brackets stay \
         in the file.\n"
    );
    for section in ROOT.inner {
        write_section(section, "", &mut out);
    }
    write_networks(&mut out);
    out
}

fn write_section(section: &Section, parent: &str, out: &mut String) {
    let dot = if parent.is_empty() { "" } else { "." };
    let path = format!("{parent}{dot}{}", section.name);
    let (header, path) = match section.shape {
        Shape::Table => (format!("[{path}]"), path),
        Shape::Labelled => (format!("[{path}.NAME]"), format!("{path}.NAME")),
        Shape::List => (format!("[[{path}]]"), path),
    };
    let rows: String = section.all_keys().map(row).collect();
    write!(
        out,
        "\n## `{header}`\n\n{}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}",
        section.doc
    )
    .unwrap_or_default();
    for inner in section.inner {
        write_section(inner, &path, out);
    }
}

fn row(key: &Key) -> String {
    let default = match key.presence {
        Presence::Required => "**required**".to_owned(),
        Presence::Optional("") => "–".to_owned(),
        Presence::Optional(without) => without.to_owned(),
        Presence::Default(value) => format!("`{value}`"),
    };
    format!(
        "| `{}` | {} | {default} | {} |\n",
        key.name,
        key.kind.describe(),
        key.doc
    )
}

fn write_networks(out: &mut String) {
    out.push_str(
        "\n## Known networks\n\n\
         These need no `chain_id` and no `mode`. Those without an asset need \
         `[[network.NAME.asset]]`.\n\n\
         | name | chain id | mode | asset | block time (ms) | max fee (gwei) |\n|---|---|---|---|---|---|\n",
    );
    for network in KNOWN_NETWORKS {
        let (block_time_ms, max_fee_gwei) = defaults(network.name);
        let asset = network
            .usdc
            .map_or("none".to_owned(), |usdc| format!("USDC `{}`", usdc.address));
        writeln!(
            out,
            "| `{}` | {} | {} | {asset} | {block_time_ms} | {max_fee_gwei} |",
            network.name, network.chain.0, network.mode
        )
        .unwrap_or_default();
    }
}
