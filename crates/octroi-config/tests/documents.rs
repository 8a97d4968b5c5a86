//! The template and the reference page.
#![expect(clippy::unwrap_used, reason = "a test may stop")]

mod setup;

use octroi_config::{Settlement, init_template, reference};
use octroi_types::Mode;
use setup::{TOKEN, WALLET_KEY, check};

#[test]
fn the_template_is_valid_and_asks_for_a_wallet() {
    let loaded = check(init_template(), &[]).unwrap();
    assert_eq!(
        loaded.warnings.to_string(),
        "\
warning: `pay_to` is still the placeholder; nobody would be paid
 --> octroi.toml:6:10 (tenant.pay_to)
  |
6 | pay_to = \"0x0000000000000000000000000000000000000000\"
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: set pay_to to the address of your wallet

octroi.toml: no errors, 1 warning"
    );
    let service = &loaded.config.services[0];
    assert_eq!(service.paywalls[0].paywall.mode, Mode::Test);
    assert_eq!(
        service.paywalls[0].paywall.accepts[0].amount.units(),
        10_000
    );
}

#[test]
fn the_template_sells_for_real_money_once_its_comments_are_taken() {
    // Every commented section is valid too: the placeholder is all that is left to do.
    let uncomment = |line: &str| match line.strip_prefix("# ") {
        Some(code) if code.starts_with('[') || code.contains(" = ") => code.to_owned(),
        _ => line.to_owned(),
    };
    let text: Vec<_> = init_template().lines().map(uncomment).collect();
    let text = text
        .join("\n")
        .replace("secrets/base-wallet.key", "wallet.key");
    let variables = [
        (
            "OCTROI__TENANT__PAY_TO",
            "0x1111111111111111111111111111111111111111",
        ),
        ("OCTROI__SERVER__MANAGEMENT_LISTEN", "127.0.0.1:8403"),
    ];
    let text = text.replace("[[site]]", "[[site]]\nnetworks = [\"base\"]");
    let loaded = check(&text, &variables).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(
        loaded.warnings.to_string(),
        "octroi.toml: no errors, no warnings"
    );
    let config = loaded.config;
    assert_eq!(config.sites.len(), 1);
    assert!(config.server.acme.is_some());
    let base = config
        .networks
        .iter()
        .find(|network| network.name == "base")
        .unwrap();
    let Settlement::Wallets(wallets) = &base.settlement else {
        panic!("own wallets")
    };
    assert_eq!(wallets.keys[0].expose().to_string(), WALLET_KEY);
    assert_ne!(TOKEN, WALLET_KEY);
}

#[test]
fn the_reference_lists_every_section() {
    let page = reference();
    for line in [
        "## `[server]`",
        "## `[server.limits]`",
        "## `[[server.tls]]`",
        "## `[network.NAME]`",
        "## `[[network.NAME.asset]]`",
        "## `[[service.paywall]]`",
        "## `[[site.route]]`",
        "## `[facilitator]`",
        "| `price` | a price | **required** | Price of one call in US dollars, like `\"$0.01\"`. |",
        "| `level` | \"error\", \"warn\", \"info\", \"debug\" or \"trace\" | `\"info\"` | The least important lines that are written. |",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}");
    }
    // Tables stay tables.
    for row in page.lines().filter(|line| line.starts_with('|')) {
        assert!(
            row.ends_with('|') && matches!(row.matches('|').count(), 5 | 7),
            "{row}"
        );
    }
}

#[test]
fn a_report_is_there_for_programs_too() {
    let report = check(
        "[log]\nlevl = \"info\"\n",
        &[("OCTROI__LOG__FORMAT", "xml")],
    )
    .unwrap_err();
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        serde_json::json!({
            "file": "octroi.toml",
            "problems": [
                {
                    "severity": "error",
                    "key": "log.levl",
                    "message": "[log] has no `levl`",
                    "help": "did you mean `level`?",
                    "line": 2,
                    "column": 1,
                    "variable": null,
                },
                {
                    "severity": "error",
                    "key": "log.format",
                    "message": "`format` is \"text\" or \"json\"",
                    "help": null,
                    "line": null,
                    "column": null,
                    "variable": "OCTROI__LOG__FORMAT",
                },
            ],
        })
    );
}
