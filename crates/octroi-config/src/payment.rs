//! What a paywall and a site's route have in common: price, payee, networks and settlement.

use std::time::Duration;

use octroi_claim::SettleOrder;
use octroi_policy::Methods;
use octroi_types::{Address, Amount, ChainId, Mode, PaywallId, Price};

use crate::check::{Check, setting};
use crate::network::{NetworkConfig, Networks, SettleLevel, read_settle_level};
use crate::server::key_place;
use crate::suggest::closest;
use crate::table::{Item, Place, Setting, Table};

/// What is left of a payment's validity beside the origin's time: for the settlement, and before it
/// for the client that reads the terms and signs. The gate itself insists on the former only (money
/// rule 13).
const SETTLEMENT_MARGIN: Duration = Duration::from_secs(30);

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaywallConfig {
    /// Derived from tenant, service or site, and slug.
    pub id: PaywallId,
    /// Name in addresses and reports.
    pub slug: String,
    /// What is sold, for people.
    pub description: Option<String>,
    /// Media type of the answer.
    pub mime_type: Option<String>,
    /// The methods that are sold.
    pub methods: Methods,
    /// What one request costs.
    pub price: Price,
    /// Play or real money; that of all its networks.
    pub mode: Mode,
    /// The ways to pay, in the order of preference; at least one.
    pub accepts: Vec<AcceptedPayment>,
    /// When a payment is settled.
    pub order: SettleOrder,
    /// How sure the settlement must be before the answer goes out.
    pub level: SettleLevel,
    /// How long a signed payment stays valid.
    pub max_timeout_seconds: u32,
    /// Whether the origin may be called again for a request that was paid and not delivered.
    pub idempotent: bool,
    /// What a payment is bound to.
    pub binding: BodyBinding,
    /// What an answer costs that breaks off after its first byte.
    pub break_charge: BreakCharge,
}

/// One way to pay: so much of an asset on a chain, to this payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedPayment {
    /// The chain.
    pub chain: ChainId,
    /// The token contract.
    pub asset: Address,
    /// The price in the asset's smallest unit, exactly.
    pub amount: Amount,
    /// Who is paid.
    pub pay_to: Address,
}

/// What a payment is bound to (money rule 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyBinding {
    /// Method, path, query and the body's digest.
    Full,
    /// Method, path and query.
    Head,
}

/// What an answer costs that breaks off after its first byte (money rule 22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakCharge {
    /// Everything.
    Full,
    /// Nothing: the payer gets a credit.
    Credit,
}

/// What paywalls take from the service or site they belong to.
pub(crate) struct Terms<'t> {
    /// The service or site, and the tenant: where a missing `pay_to` is looked for.
    pub(crate) tables: [&'t Table; 2],
    pub(crate) networks: Vec<&'t NetworkConfig>,
    pub(crate) all: &'t Networks,
    pub(crate) timeout: Duration,
}

impl<'t> Terms<'t> {
    /// Reads what a service or site says for all its paywalls.
    pub(crate) fn read(
        check: &mut Check<'_>,
        table: &'t Table,
        tenant: &'t Table,
        all: &'t Networks,
    ) -> Self {
        let networks = match setting(table, "networks") {
            Some(_) => named_networks(check, table, all),
            None => all.valid.iter().collect(),
        };
        if all.names.is_empty() {
            let message = "no network is configured to be paid on".to_owned();
            check
                .error(&table.place, table.path.clone(), message)
                .help("add [network.base-sepolia], with play money, or [network.base]");
        }
        if mixed(&networks) {
            let message = "test and live networks cannot be mixed".to_owned();
            check
                .error(
                    key_place(table, "networks"),
                    table.key_path("networks"),
                    message,
                )
                .help("name networks of one mode in `networks`");
        }
        let timeout = check.millis(table, "timeout_ms");
        Self {
            tables: [table, tenant],
            networks,
            all,
            timeout,
        }
    }
}

/// Identity and offer of a paywall, which services and sites name differently.
pub(crate) struct Identity {
    pub(crate) id: PaywallId,
    pub(crate) slug: String,
    pub(crate) methods: Methods,
}

/// Reads the keys that all paywalls share.
pub(crate) fn read_paywall(
    check: &mut Check<'_>,
    table: &Table,
    terms: &Terms<'_>,
    identity: Option<Identity>,
) -> Option<PaywallConfig> {
    let price = check.parse(table, "price", str::parse::<Price>);
    let networks = match setting(table, "networks") {
        Some(_) => named_networks(check, table, terms.all),
        None => terms.networks.clone(),
    };
    let own_networks = setting(table, "networks").is_some();
    if own_networks && mixed(&[networks.as_slice(), &terms.networks].concat()) {
        let message = "test and live networks cannot be mixed in one service or site".to_owned();
        check.error(
            key_place(table, "networks"),
            table.key_path("networks"),
            message,
        );
    }
    let mode = networks.first().map(|network| network.mode);
    let pay_to = read_pay_to(check, table, terms, mode);
    let accepts = price_in_assets(check, table, price, pay_to, &networks);
    let max_timeout_seconds = check.small(table, "max_timeout_seconds");
    check_validity(check, table, max_timeout_seconds, terms.timeout);
    let text = |key| check.item(table, key).map(|item| item.text.clone());
    let chosen = |key, word| check.item(table, key).is_some_and(|item| item.text == word);
    let before_origin = chosen("settle", "before_origin");
    let head_only = chosen("bind", "head");
    let credit = chosen("break_charge", "credit");
    let level = read_settle_level(check, table).or_else(|| usual_level(&networks, price?));
    let Identity { id, slug, methods } = identity?;
    Some(PaywallConfig {
        id,
        slug,
        description: text("description"),
        mime_type: text("mime_type"),
        methods,
        price: price?,
        mode: mode?,
        accepts: accepts?,
        order: if before_origin {
            SettleOrder::BeforeOrigin
        } else {
            SettleOrder::ResponseHead
        },
        level: level?,
        max_timeout_seconds,
        idempotent: check.flag(table, "idempotent"),
        binding: if head_only {
            BodyBinding::Head
        } else {
            BodyBinding::Full
        },
        break_charge: if credit {
            BreakCharge::Credit
        } else {
            BreakCharge::Full
        },
    })
}

/// How sure a settlement must be where the route does not say: the strictest of its networks, which
/// want more for a large price (money rule 18).
fn usual_level(networks: &[&NetworkConfig], price: Price) -> Option<SettleLevel> {
    let level = |network: &&NetworkConfig| {
        if price >= network.safe_from {
            network.settle_level.max(SettleLevel::Safe)
        } else {
            network.settle_level
        }
    };
    networks.iter().map(level).max()
}

fn mixed(networks: &[&NetworkConfig]) -> bool {
    networks.windows(2).any(|pair| pair[0].mode != pair[1].mode)
}

/// The networks that a section names, in its order.
fn named_networks<'t>(
    check: &mut Check<'_>,
    table: &Table,
    all: &'t Networks,
) -> Vec<&'t NetworkConfig> {
    let key = "networks";
    let items = check.items(table, key);
    if items.is_empty() {
        let message = "`networks` is empty".to_owned();
        check.error(key_place(table, key), table.key_path(key), message);
    }
    let mut networks: Vec<&NetworkConfig> = Vec::new();
    for item in items {
        if !all.names.contains(&item.text) {
            unknown_network(check, table, item, all);
        } else if let Some(network) = all.valid.iter().find(|network| network.name == item.text) {
            if networks.iter().any(|other| other.name == network.name) {
                let message = format!("`{}` is listed twice", item.text);
                check.error(&item.place, table.key_path(key), message);
            }
            networks.push(network);
        }
    }
    networks
}

fn unknown_network(check: &mut Check<'_>, table: &Table, item: &Item, all: &Networks) {
    let name = &item.text;
    let known = octroi_types::KnownNetwork::by_name(name).is_some();
    let message = format!("there is no [network.{}]", name.escape_debug());
    let help = match closest(name, all.names.iter().map(String::as_str)) {
        _ if known => format!("add [network.{name}] with its rpc_urls"),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("configured are: {}", all.names.join(", ")),
    };
    check
        .error(&item.place, table.key_path("networks"), message)
        .help(&help);
}

/// The payee: of the route, else of the service or site, else of the tenant.
fn read_pay_to(
    check: &mut Check<'_>,
    table: &Table,
    terms: &Terms<'_>,
    mode: Option<Mode>,
) -> Option<Address> {
    let key = "pay_to";
    let mut tables = std::iter::once(table).chain(terms.tables);
    let Some(table) =
        tables.find(|table| setting(table, key).is_some() || table.refused.contains(key))
    else {
        let message = format!("nobody is named to be paid for {}", table.title());
        check
            .error(&table.place, table.key_path(key), message)
            .help("set pay_to in [tenant] to the address of your wallet");
        return None;
    };
    let address = check.parse(table, key, Address::parse_written)?;
    if address == Address::ZERO {
        let place = key_place(table, key).clone();
        let message = "`pay_to` is still the placeholder; nobody would be paid".to_owned();
        let note = match mode {
            Some(Mode::Live) => check.error(&place, table.key_path(key), message),
            Some(Mode::Test) | None => check.warning(&place, table.key_path(key), message),
        };
        note.help("set pay_to to the address of your wallet");
    }
    Some(address)
}

/// The price in every asset that is accepted. A price that an asset cannot express is refused
/// here, not rounded later.
fn price_in_assets(
    check: &mut Check<'_>,
    table: &Table,
    price: Option<Price>,
    pay_to: Option<Address>,
    networks: &[&NetworkConfig],
) -> Option<Vec<AcceptedPayment>> {
    let price = price?;
    let mut accepts = Some(Vec::new());
    for network in networks {
        for asset in &network.assets {
            match (price.in_asset(asset.decimals), pay_to) {
                (Ok(amount), Some(pay_to)) => {
                    let accepted = AcceptedPayment {
                        chain: network.chain,
                        asset: asset.address,
                        amount,
                        pay_to,
                    };
                    accepts = accepts.map(|mut accepts: Vec<_>| {
                        accepts.push(accepted);
                        accepts
                    });
                }
                (Ok(_), None) => accepts = None,
                (Err(error), _) => {
                    accepts = None;
                    let message = format!(
                        "${price} cannot be paid in {} on `{}`: {error}",
                        asset.symbol, network.name
                    );
                    check.error(key_place(table, "price"), table.key_path("price"), message);
                }
            }
        }
    }
    accepts.filter(|accepts| !accepts.is_empty())
}

/// A payment must outlive the origin's time and the settlement (money rule 13).
fn check_validity(check: &mut Check<'_>, table: &Table, seconds: u32, timeout: Duration) {
    let needed = timeout + SETTLEMENT_MARGIN;
    if seconds > 0 && Duration::from_secs(seconds.into()) < needed {
        let key = "max_timeout_seconds";
        let default = matches!(
            setting(table, key),
            Some(Setting {
                place: Place::Default,
                ..
            })
        );
        let message = format!(
            "a payment is valid for {seconds} s, and the origin may take {} s and its settlement {} s",
            timeout.as_secs(),
            SETTLEMENT_MARGIN.as_secs(),
        );
        let help = format!("set {key} to {} or more", needed.as_secs());
        let place = if default {
            &table.place
        } else {
            key_place(table, key)
        };
        check.error(place, table.key_path(key), message).help(&help);
    }
}
