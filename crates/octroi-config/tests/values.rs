//! What a valid configuration becomes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod setup;

use std::collections::HashSet;
use std::time::Duration;

use octroi_claim::SettleOrder;
use octroi_config::{
    AcmeChallenge, BodyBinding, BreakCharge, Config, LogFormat, LogLevel, SettleLevel, Settlement,
    UpstreamAuth,
};
use octroi_policy::{CanonicalPath, Verdict};
use octroi_types::{Address, Mode, PaywallId, ServiceId};

use setup::{TOKEN, WALLET_KEY, check};

const FULL: &str = r#"
[server]
listen = ["0.0.0.0:443", "[::]:443"]
public_url = "https://Pay.Example.com/"
aliases = "pay2.example.com"
trusted_proxies = ["10.0.0.0/8", "192.0.2.1"]
management_listen = "127.0.0.1:8403"
redirect_listen = ["0.0.0.0:80"]

[server.limits]
uri_bytes_max = 4_096

[[server.tls]]
cert_file = "cert.pem"
key_file = "key.pem"

[server.acme]
terms_agreed = true
contact = ["you@example.com"]
challenge = "http-01"

[log]
format = "json"
level = "debug"

[tenant]
name = "acme-news"
pay_to = "0x1111111111111111111111111111111111111111"

[network.polygon]
rpc_urls = ["https://rpc.example/v2/key", "https://rpc2.example"]
wallet_key_files = ["wallet.key"]
wallet_key_variables = ["SECOND_KEY"]
settle_level = "safe"
max_fee_gwei = 77

[network.base]
rpc_urls = ["https://rpc.example"]

[[network.base.asset]]
address = "0x2222222222222222222222222222222222222222"
decimals = 18
symbol = "DAI"

[[network.base.asset]]
address = "0x3333333333333333333333333333333333333333"

[network.base.facilitator]
url = "https://facilitator.example/x402"
bearer_file = "token.txt"

[[service]]
name = "api"
origin = "https://origin.example/base/"
auth = { header = "X-Key", value_file = "token.txt" }
timeout_ms = 5000

[[service.paywall]]
slug = "report"
price = "$0.25"
methods = ["post"]
path = "/v1//report"
subpaths = true
networks = ["base"]
pay_to = "0x4444444444444444444444444444444444444444"
settle = "before_origin"
bind = "head"
break_charge = "credit"
idempotent = true
max_timeout_seconds = 120

[[site]]
hosts = ["News.example.com", "www.news.example.com"]
origin = "http://127.0.0.1:8080"
default = "pass"

[[site.route]]
pattern = "/archive/:year/*"
price = "0.05"

[[site.route]]
pattern = "/archive/free"
free = true

[[site.route]]
pattern = "/admin/**"
methods = ["GET"]
deny = true

[facilitator]
enabled = true
token_files = ["token.txt"]

[screening]
addresses = ["0x5555555555555555555555555555555555555555", "0x00000000000000000000000000000000DeaDBeef"]
file = "denied.txt"
"#;

const SECOND_KEY: &str = "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba";

fn full() -> Config {
    let loaded = check(FULL, &[("SECOND_KEY", SECOND_KEY)]);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(
        loaded.warnings.to_string(),
        "octroi.toml: no errors, no warnings"
    );
    loaded.config
}

fn address(digit: char) -> Address {
    format!("0x{}", String::from(digit).repeat(40))
        .parse()
        .unwrap()
}

#[test]
fn the_section_and_its_file_screen_together() {
    let lettered = "0x00000000000000000000000000000000deadbeef";
    let expected = [address('5'), address('6'), lettered.parse().unwrap()];
    assert_eq!(full().screening.addresses, HashSet::from(expected));
    let loaded = check("", &[("OCTROI__SCREENING__FILE", "denied.txt")]).unwrap();
    assert_eq!(
        loaded.config.screening.addresses,
        HashSet::from([address('5'), address('6')])
    );
    let nobody = check("", &[]).unwrap().config.screening;
    assert!(nobody.addresses.is_empty());
}

#[test]
fn the_server_section_is_typed() {
    let server = full().server;
    assert!(server.has_tls());
    assert_eq!(
        server.listen,
        ["0.0.0.0:443".parse().unwrap(), "[::]:443".parse().unwrap()]
    );
    assert_eq!(server.public_url.to_string(), "https://pay.example.com");
    assert_eq!(server.gate_hosts, ["pay.example.com", "pay2.example.com"]);
    assert_eq!(server.trusted_proxies.len(), 2);
    assert!(server.trusted_proxies[1].contains(&"192.0.2.1".parse::<std::net::IpAddr>().unwrap()));
    assert_eq!(server.limits.uri_bytes_max, 4096);
    assert_eq!(server.limits.body_buffer_bytes, 65_536);
    let acme = server.acme.unwrap();
    assert_eq!(acme.challenge, AcmeChallenge::Http01);
    assert_eq!(
        acme.hosts,
        [
            "pay.example.com",
            "pay2.example.com",
            "news.example.com",
            "www.news.example.com"
        ]
    );
    assert_eq!(
        acme.directory_url.expose(),
        "https://acme-v02.api.letsencrypt.org/directory"
    );
}

#[test]
fn networks_keep_the_order_of_the_file() {
    let config = full();
    let [polygon, base] = config.networks.as_slice() else {
        panic!("two networks")
    };
    assert_eq!(
        (polygon.name.as_str(), polygon.chain.0, polygon.mode),
        ("polygon", 137, Mode::Live)
    );
    assert_eq!(polygon.rpc_urls[0].expose(), "https://rpc.example/v2/key");
    assert_eq!(polygon.settle_level, SettleLevel::Safe);
    assert_eq!(polygon.assets[0].symbol, "USDC");
    let Settlement::Wallets(wallets) = &polygon.settlement else {
        panic!("own wallets")
    };
    let keys: Vec<_> = wallets
        .keys
        .iter()
        .map(|key| key.expose().to_string())
        .collect();
    assert_eq!(keys, [WALLET_KEY.to_owned(), format!("0x{SECOND_KEY}")]);
    assert_eq!((wallets.max_fee_gwei, wallets.batch_max), (77, 50));
    let Settlement::Facilitator(remote) = &base.settlement else {
        panic!("a facilitator")
    };
    assert_eq!(remote.url.expose(), "https://facilitator.example/x402");
    assert_eq!(
        remote.bearer.as_ref().map(|token| token.expose().as_str()),
        Some(TOKEN)
    );
    assert_eq!(base.assets[0].decimals, 18);
}

#[test]
fn a_paywall_carries_everything_it_needs() {
    let config = full();
    let service = &config.services[0];
    assert_eq!(
        service.upstream.origin.to_string(),
        "https://origin.example/base"
    );
    assert_eq!(service.upstream.timeout, Duration::from_secs(5));
    let UpstreamAuth::Header { name, value } = &service.upstream.auth else {
        panic!("a header")
    };
    assert_eq!((name.as_str(), value.expose().as_str()), ("x-key", TOKEN));
    let report = &service.paywalls[0];
    assert_eq!(
        (report.path.as_str(), report.subpaths),
        ("/v1/report", true)
    );
    let paywall = &report.paywall;
    assert_eq!(paywall.methods.names(), ["POST"]);
    assert_eq!(paywall.mode, Mode::Live);
    // The price in either asset, exactly, in the asset's own decimals.
    let accepts: Vec<_> = paywall
        .accepts
        .iter()
        .map(|way| (way.asset, way.amount.units(), way.pay_to))
        .collect();
    assert_eq!(
        accepts,
        [
            (address('2'), 250_000_000_000_000_000, address('4')),
            (address('3'), 250_000, address('4'))
        ]
    );
    assert_eq!(paywall.order, SettleOrder::BeforeOrigin);
    assert_eq!(paywall.level, SettleLevel::Included);
    assert_eq!(paywall.binding, BodyBinding::Head);
    assert_eq!(paywall.break_charge, BreakCharge::Credit);
    assert!(paywall.idempotent);
    assert_eq!(paywall.max_timeout_seconds, 120);
}

#[test]
fn a_site_becomes_a_route_table() {
    let config = full();
    let site = &config.sites[0];
    assert_eq!(site.hosts, ["news.example.com", "www.news.example.com"]);
    assert_eq!(site.public_url.to_string(), "https://news.example.com");
    let decide = |method, path| {
        site.routes
            .decide(method, &CanonicalPath::parse(path).unwrap())
    };
    let Verdict::Priced(route) = decide("GET", "/archive/1999/May") else {
        panic!("priced")
    };
    let paywall = route.value.clone().unwrap();
    assert_eq!(
        (paywall.slug.as_str(), paywall.price.to_string()),
        ("archive-year", "0.05".into())
    );
    assert_eq!(paywall.level, SettleLevel::Safe);
    assert_eq!(paywall.accepts.len(), 3);
    assert!(matches!(decide("GET", "/archive/free"), Verdict::Free(_)));
    assert!(matches!(
        decide("GET", "/admin/x"),
        Verdict::Denied(Some(_))
    ));
    assert!(matches!(decide("GET", "/"), Verdict::Passed));
}

#[test]
fn ids_derive_from_names_and_never_change() {
    let config = full();
    let tenant = config.tenant.id;
    let service = &config.services[0];
    assert_eq!(service.id, ServiceId::derived(&tenant.uuid(), "api"));
    assert_eq!(
        service.paywalls[0].paywall.id,
        PaywallId::derived(&service.id.uuid(), "report")
    );
    assert_eq!(
        config.sites[0].id,
        ServiceId::derived(&tenant.uuid(), "news.example.com")
    );
    // Written down: other records point to these.
    assert_eq!(tenant.to_string(), "ten_d88bc023ccbd5825ae1ea81488da9c54");
    assert_eq!(
        service.id.to_string(),
        "svc_3a23bb921e3f599e991c20e8fe6236b9"
    );
    assert_eq!(
        service.paywalls[0].paywall.id.to_string(),
        "pw_5b5df58cb01b5626a52f28dfe5f3c5b4"
    );
}

#[test]
fn an_empty_file_is_a_gate_that_sells_nothing() {
    let config = check("", &[]).unwrap().config;
    assert_eq!(
        config.server.public_url.to_string(),
        "http://127.0.0.1:8402"
    );
    assert_eq!(
        config.server.gate_hosts,
        ["127.0.0.1", "localhost", "[::1]"]
    );
    assert!(config.services.is_empty() && config.sites.is_empty() && config.networks.is_empty());
    assert!(!config.server.has_tls() && config.metrics.enabled && !config.facilitator.enabled);
}

#[test]
fn environment_variables_win_over_the_file() {
    let text = "[log]\nlevel = \"warn\"\n[network.base-sepolia]\nrpc_urls = []\n";
    let loaded = check(
        text,
        &[
            ("OCTROI__LOG__LEVEL", "error"),
            ("OCTROI__LOG__FORMAT", "json"),
            ("OCTROI__METRICS__ENABLED", "false"),
            ("OCTROI__SERVER__LISTEN", "127.0.0.1:1, 127.0.0.1:2"),
            ("OCTROI__SERVER__LIMITS__CONNECTIONS_MAX", "7"),
            (
                "OCTROI__NETWORK__BASE_SEPOLIA__RPC_URLS",
                "http://127.0.0.1:8545",
            ),
            (
                "OCTROI__NETWORK__BASE_SEPOLIA__WALLET_KEY_FILES",
                "wallet.key",
            ),
            (
                "OCTROI__NETWORK__POLYGON_AMOY__RPC_URLS",
                "http://127.0.0.1:8546/k3y",
            ),
            (
                "OCTROI__NETWORK__POLYGON_AMOY__FACILITATOR__URL",
                "http://127.0.0.1:9000",
            ),
            ("OCTROI_CONFIG", "of no interest here"),
            ("PATH", "/bin"),
        ],
    );
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    let config = loaded.config;
    assert_eq!(
        (config.log.level, config.log.format),
        (LogLevel::Error, LogFormat::Json)
    );
    assert_eq!(config.server.listen.len(), 2);
    assert_eq!(config.server.limits.connections_max, 7);
    assert!(!config.metrics.enabled);
    let names: Vec<_> = config
        .networks
        .iter()
        .map(|network| network.name.as_str())
        .collect();
    assert_eq!(names, ["base-sepolia", "polygon-amoy"]);
    for line in [
        "level = \"error\"  # from OCTROI__LOG__LEVEL",
        "rpc_urls = [\"http://127.0.0.1:8546/…\"]  # from OCTROI__NETWORK__POLYGON_AMOY__RPC_URLS",
    ] {
        assert!(
            loaded.effective.lines().any(|printed| printed == line),
            "{}",
            loaded.effective
        );
    }
}

#[test]
fn wrong_environment_variables_are_reported_by_name() {
    let report = check(
        "[log]\nlevel = \"wrong in the file, but overridden\"\n\n[network.base]\n\
         rpc_urls = \"https://rpc.example\"\nwallet_key_files = \"wallet.key\"\n\n\
         [[service]]\nname = \"a\"\norigin = \"http://127.0.0.1:1\"\n\n[[service.paywall]]\nslug = \"a\"\nprice = \"1\"\n",
        &[
            ("OCTROI__LOG__LEVEL", "info"),
            ("OCTROI__LOG__FROMAT", "json"),
            ("OCTROI__LOG__FORMAT", "xml"),
            ("OCTROI__METRICS", "true"),
            ("OCTROI__METRICS__ENABLED", "yes"),
            ("OCTROI__SERVER__DRAIN_TIMEOUT_MS", "-1"),
            ("OCTROI__SERVER__TLS__CERT_FILE", "cert.pem"),
            ("OCTROI__NETWORK__MINE__RPC_URLS", "http://127.0.0.1:8545"),
            ("OCTROI__TENANT__PAY_TO", WALLET_KEY),
            ("OCTROI__", "x"),
        ],
    );
    assert_eq!(
        format!("\n{}\n", report.unwrap_err()),
        r#"
error: `level` is "error", "warn", "info", "debug" or "trace"
 --> octroi.toml:2:9 (log.level)
  |
2 | level = "wrong in the file, but overridden"
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

error: [log] has no `fromat`
--> environment variable OCTROI__LOG__FROMAT (log.fromat)
 = help: did you mean OCTROI__LOG__FORMAT?

error: `format` is "text" or "json"
--> environment variable OCTROI__LOG__FORMAT (log.format)

error: the variable names a section, not a key
--> environment variable OCTROI__METRICS (metrics)

error: `enabled` is true or false
--> environment variable OCTROI__METRICS__ENABLED (metrics.enabled)

error: `drain_timeout_ms` is a number from 0 to 600000
--> environment variable OCTROI__SERVER__DRAIN_TIMEOUT_MS (server.drain_timeout_ms)

error: `tls` is a list of sections and stays in the file
--> environment variable OCTROI__SERVER__TLS__CERT_FILE (server.tls.cert_file)

error: there is no network `mine`
--> environment variable OCTROI__NETWORK__MINE__RPC_URLS (network.mine.rpc_urls)
 = help: a network of your own is declared in the file first

error: the variable names a section, not a key
--> environment variable OCTROI__

error: `pay_to` is not an EVM address: expected 0x followed by 40 hex digits
--> environment variable OCTROI__TENANT__PAY_TO (tenant.pay_to)
 = help: the value may hold a secret and is not shown; secrets are kept in files of their own

octroi.toml: 10 errors, no warnings
"#
    );
}

/// The level of each of these prices on a live network, with more keys for the network and the
/// paywall.
fn levels(network: &str, paywall: &str, prices: &[&str]) -> Vec<SettleLevel> {
    let paywalls: String = prices
        .iter()
        .enumerate()
        .map(|(index, price)| {
            format!("[[service.paywall]]\nslug = \"p{index}\"\nprice = \"{price}\"\n{paywall}\n")
        })
        .collect();
    let text = format!(
        r#"
[server]
public_url = "https://pay.example.com"
[tenant]
pay_to = "0x1111111111111111111111111111111111111111"
[network.base]
rpc_urls = ["https://rpc.example"]
wallet_key_files = ["wallet.key"]
{network}
[[service]]
name = "shop"
origin = "https://shop.example"
{paywalls}"#
    );
    let config = check(&text, &[]).unwrap().config;
    config.paywalls().map(|paywall| paywall.level).collect()
}

#[test]
fn large_prices_are_safe_unless_the_route_says_otherwise() {
    use SettleLevel::{Final, Included, Safe};
    let prices = ["0.01", "99.99", "100", "20000"];
    assert_eq!(levels("", "", &prices), [Included, Included, Safe, Safe]);
    assert_eq!(
        levels("safe_from = \"$5\"", "", &["4.99", "5"]),
        [Included, Safe]
    );
    assert_eq!(
        levels("settle_level = \"final\"", "", &["1", "100"]),
        [Final, Final]
    );
    assert_eq!(
        levels("", "settle_level = \"included\"", &["1", "100"]),
        [Included, Included]
    );
}
