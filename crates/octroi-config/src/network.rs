//! `[network.NAME]`: chains, assets and who settles.

use std::time::Duration;

use octroi_types::{Address, B256, ChainId, KNOWN_NETWORKS, KnownNetwork, Mode, Price, Redacted};

use crate::check::Check;
use crate::server::key_place;
use crate::suggest::closest;
use crate::table::{Item, Table};
use crate::url::EndpointUrl;

/// A chain on which payments are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Its label in the file.
    pub name: String,
    /// The chain.
    pub chain: ChainId,
    /// Play or real money.
    pub mode: Mode,
    /// JSON-RPC endpoints, the preferred one first.
    pub rpc_urls: Vec<EndpointUrl>,
    /// Time between blocks.
    pub block_time: Duration,
    /// How sure a settlement must be, for routes that do not say.
    pub settle_level: SettleLevel,
    /// The price from which such routes wait for a safe block at least.
    pub safe_from: Price,
    /// Blocks on top of a block that make it final; `None` leaves it to the node's tags.
    pub final_confirmations: Option<u64>,
    /// Who settles.
    pub settlement: Settlement,
    /// What is accepted, at least one.
    pub assets: Vec<AssetConfig>,
    /// Wallet factories that a payment may call.
    pub erc6492_factories: Vec<Address>,
    /// The Multicall3 contract.
    pub multicall_address: Address,
}

/// How sure a settlement must be before an answer goes out (money rule 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SettleLevel {
    /// In a block.
    Included,
    /// In a block that is unlikely to be replaced.
    Safe,
    /// In a block that cannot be replaced.
    Final,
}

/// Who settles payments on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// Wallets of our own.
    Wallets(WalletsConfig),
    /// A facilitator.
    Facilitator(RemoteFacilitatorConfig),
}

/// Settlement wallets and what they may spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletsConfig {
    /// Private keys, at least one. Whether each is on the curve is for the signer to say.
    pub keys: Vec<Redacted<B256>>,
    /// Most that is paid for one unit of gas.
    pub max_fee_gwei: u64,
    /// Most gas that one payment may use.
    pub gas_per_authorization_max: u64,
    /// Most payments that one transaction settles.
    pub batch_max: usize,
}

/// A facilitator that settles for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFacilitatorConfig {
    /// Its address, before `/verify` and `/settle`.
    pub url: EndpointUrl,
    /// The token it wants.
    pub bearer: Option<Redacted<String>>,
}

/// A dollar-pegged EIP-3009 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetConfig {
    /// The contract.
    pub address: Address,
    /// EIP-712 domain name; `None` where it is read from the contract.
    pub name: Option<String>,
    /// EIP-712 domain version; `None` where it is read from the contract.
    pub version: Option<String>,
    /// Decimals of the smallest unit.
    pub decimals: u8,
    /// What people call it.
    pub symbol: String,
}

/// The networks of the file, and the names of those that have errors.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    pub(crate) valid: Vec<NetworkConfig>,
    pub(crate) names: Vec<String>,
}

/// Typical time between blocks and a fee cap well above typical fees, by name of a known network.
pub(crate) fn defaults(name: &str) -> (u64, u64) {
    match name.split('-').next().unwrap_or(name) {
        "base" => (2_000, 10),
        "ethereum" => (12_000, 100),
        "polygon" => (2_000, 1_000),
        "arbitrum" => (250, 10),
        "celo" => (1_000, 200),
        "hyperevm" => (1_000, 100),
        "sei" => (400, 100),
        "monad" => (400, 500),
        _ => (2_000, 100),
    }
}

/// Reads all networks.
pub(crate) fn read_all(check: &mut Check<'_>, root: &Table) -> Networks {
    let mut networks = Networks::default();
    let mut chains: Vec<(u64, &str)> = Vec::new();
    for table in root.all("network") {
        let chain = check
            .number(table, "chain_id")
            .or_else(|| Some(KnownNetwork::by_name(&table.label)?.chain.0));
        if let Some(chain) = chain {
            if let Some((_, first)) = chains.iter().find(|(seen, _)| *seen == chain) {
                let message = format!("[network.{first}] is the same chain ({chain})");
                check.error(&table.place, table.path.clone(), message);
            }
            chains.push((chain, &table.label));
        }
        networks.names.push(table.label.clone());
        networks.valid.extend(read(check, table));
    }
    networks
}

fn read(check: &mut Check<'_>, table: &Table) -> Option<NetworkConfig> {
    let chain = check.number(table, "chain_id").map(ChainId);
    let known = KnownNetwork::by_name(&table.label).or_else(|| chain?.known());
    let identity = read_identity(check, table, known);
    let (block_time_ms, max_fee_gwei) = defaults(&table.label);
    let rpc_urls = check.parse_all(table, "rpc_urls", str::parse::<EndpointUrl>);
    if rpc_urls.is_empty()
        && check.items(table, "rpc_urls").is_empty()
        && table.settings.contains_key("rpc_urls")
    {
        let message = "`rpc_urls` is empty".to_owned();
        check.error(
            key_place(table, "rpc_urls"),
            table.key_path("rpc_urls"),
            message,
        );
    }
    let settlement = read_settlement(check, table, max_fee_gwei);
    let assets = identity.and_then(|_| read_assets(check, table, known));
    let erc6492_factories = check.parse_all(table, "erc6492_factories", Address::parse_written);
    let multicall_address = check.parse(table, "multicall_address", Address::parse_written);
    let settle_level = read_settle_level(check, table).unwrap_or(SettleLevel::Included);
    let safe_from = check.parse(table, "safe_from", str::parse::<Price>);
    let (chain, mode) = identity?;
    Some(NetworkConfig {
        name: table.label.clone(),
        chain,
        mode,
        rpc_urls,
        block_time: Duration::from_millis(
            check
                .number(table, "block_time_ms")
                .unwrap_or(block_time_ms),
        ),
        settle_level,
        safe_from: safe_from?,
        final_confirmations: check.number(table, "final_confirmations"),
        settlement: settlement?,
        assets: assets?,
        erc6492_factories,
        multicall_address: multicall_address?,
    })
}

/// The chain and mode: from the table of known networks, or from the file for others.
fn read_identity(
    check: &mut Check<'_>,
    table: &Table,
    known: Option<&KnownNetwork>,
) -> Option<(ChainId, Mode)> {
    let chain = check.number(table, "chain_id").map(ChainId);
    let mode = check.parse(table, "mode", str::parse::<Mode>);
    let Some(known) = known else {
        return match (chain, mode) {
            (Some(chain), Some(mode)) => Some((chain, mode)),
            _ if table.refused.contains("chain_id") || table.refused.contains("mode") => None,
            _ => {
                let message = format!("unknown network `{}`", table.label);
                let near = closest(&table.label, KNOWN_NETWORKS.iter().map(|known| known.name));
                let help = match near {
                    Some(near) => format!(
                        "did you mean `{near}`? A network of your own needs chain_id and mode"
                    ),
                    None => "a network of your own needs chain_id and mode".to_owned(),
                };
                check
                    .error(&table.place, table.path.clone(), message)
                    .help(&help);
                None
            }
        };
    };
    if chain.is_some_and(|chain| chain != known.chain) {
        let message = format!("`{}` is chain {}", known.name, known.chain.0);
        let help = "leave chain_id out, or give another chain another name";
        check
            .error(
                key_place(table, "chain_id"),
                table.key_path("chain_id"),
                message,
            )
            .help(help);
    }
    if mode.is_some_and(|mode| mode != known.mode) {
        let message = format!(
            "chain {} (`{}`) is a {} network",
            known.chain.0, known.name, known.mode
        );
        check.error(key_place(table, "mode"), table.key_path("mode"), message);
    }
    Some((known.chain, known.mode))
}

/// The level that a section asks for, if it does.
pub(crate) fn read_settle_level(check: &Check<'_>, table: &Table) -> Option<SettleLevel> {
    match check.item(table, "settle_level")?.text.as_str() {
        "safe" => Some(SettleLevel::Safe),
        "final" => Some(SettleLevel::Final),
        _ => Some(SettleLevel::Included),
    }
}

fn read_settlement(check: &mut Check<'_>, table: &Table, max_fee_gwei: u64) -> Option<Settlement> {
    let facilitator = table
        .all("facilitator")
        .first()
        .filter(|table| table.present);
    let wallets_named = !check.items(table, "wallet_key_files").is_empty()
        || !check.items(table, "wallet_key_variables").is_empty();
    match (facilitator, wallets_named) {
        (Some(facilitator), false) => {
            let url = check.parse(facilitator, "url", str::parse::<EndpointUrl>);
            let bearer = check.secret_file(facilitator, "bearer_file");
            Some(Settlement::Facilitator(RemoteFacilitatorConfig {
                url: url?,
                bearer,
            }))
        }
        (None, true) => Some(Settlement::Wallets(WalletsConfig {
            keys: read_wallet_keys(check, table)?,
            max_fee_gwei: check.number(table, "max_fee_gwei").unwrap_or(max_fee_gwei),
            gas_per_authorization_max: check.number(table, "gas_per_authorization_max")?,
            batch_max: check.size(table, "batch_max"),
        })),
        (Some(facilitator), true) => {
            let message = format!("both wallets and a facilitator settle on `{}`", table.label);
            check
                .error(&facilitator.place, facilitator.path.clone(), message)
                .help("keep one of them");
            None
        }
        (None, false) => {
            let refused = ["wallet_key_files", "wallet_key_variables", "facilitator"];
            if !refused.iter().any(|key| table.refused.contains(key)) {
                let message = format!("nobody settles payments on `{}`", table.label);
                check
                    .error(&table.place, table.path.clone(), message)
                    .help(&format!(
                        "set wallet_key_files, wallet_key_variables or [{}.facilitator]",
                        table.path
                    ));
            }
            None
        }
    }
}

fn read_wallet_keys(check: &mut Check<'_>, table: &Table) -> Option<Vec<Redacted<B256>>> {
    let mut named: Vec<(&str, &Item, Redacted<String>)> = Vec::new();
    for (item, text) in check.secret_files(table, "wallet_key_files") {
        named.push(("wallet_key_files", item, text));
    }
    for item in check.items(table, "wallet_key_variables") {
        named.extend(
            read_key_variable(check, table, item).map(|text| ("wallet_key_variables", item, text)),
        );
    }
    let mut keys: Vec<Redacted<B256>> = Vec::new();
    for (key, item, text) in &named {
        let digits = text.expose().strip_prefix("0x").unwrap_or(text.expose());
        let parsed = format!("0x{digits}")
            .parse::<B256>()
            .ok()
            .filter(|word| *word != B256::ZERO);
        let message = match parsed.map(Redacted::new) {
            None => "this does not hold a private key of 64 hex digits",
            Some(parsed) if keys.contains(&parsed) => "this holds the same key as another entry",
            Some(parsed) => {
                keys.push(parsed);
                continue;
            }
        };
        check.error(&item.place, table.key_path(key), message.to_owned());
    }
    (!keys.is_empty()).then_some(keys)
}

fn read_key_variable(
    check: &mut Check<'_>,
    table: &Table,
    item: &Item,
) -> Option<Redacted<String>> {
    let key = "wallet_key_variables";
    let valid = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if !item.text.chars().all(valid) || !item.text.starts_with(|c: char| !c.is_ascii_digit()) {
        let message = format!("`{key}` lists names of variables, in capitals, digits and _");
        check
            .error(&item.place, table.key_path(key), message)
            .help("the keys themselves stay out of the file");
        return None;
    }
    let value = check
        .variable(&item.text)
        .map(str::trim)
        .filter(|value| !value.is_empty());
    if value.is_none() {
        let message = format!("the environment variable {} is not set", item.text);
        check.error(&item.place, table.key_path(key), message);
    }
    value.map(|value| Redacted::new(value.to_owned()))
}

fn read_assets(
    check: &mut Check<'_>,
    table: &Table,
    known: Option<&KnownNetwork>,
) -> Option<Vec<AssetConfig>> {
    let rows = table.all("asset");
    if rows.is_empty() {
        let usdc = known.and_then(|known| known.usdc);
        if usdc.is_none() {
            let message = format!("no asset is known on `{}`", table.label);
            check
                .error(&table.place, table.path.clone(), message)
                .help(&format!("add [[{}.asset]] with its address", table.path));
        }
        return usdc.map(|usdc| {
            vec![AssetConfig {
                address: usdc.address,
                name: usdc.name.map(str::to_owned),
                version: usdc.version.map(str::to_owned),
                decimals: usdc.decimals,
                symbol: "USDC".to_owned(),
            }]
        });
    }
    let mut assets: Vec<AssetConfig> = Vec::new();
    for row in rows {
        let Some(asset) = read_asset(check, row) else {
            continue;
        };
        if assets.iter().any(|other| other.address == asset.address) {
            let message = format!("{} is listed twice", asset.address);
            check.error(key_place(row, "address"), row.key_path("address"), message);
        }
        assets.push(asset);
    }
    (!assets.is_empty()).then_some(assets)
}

fn read_asset(check: &mut Check<'_>, table: &Table) -> Option<AssetConfig> {
    let address = check.parse(table, "address", Address::parse_written);
    let text = |key| check.item(table, key).map(|item| item.text.clone());
    Some(AssetConfig {
        address: address?,
        name: text("name"),
        version: text("version"),
        decimals: u8::try_from(check.number(table, "decimals")?).ok()?,
        symbol: text("symbol")?,
    })
}
