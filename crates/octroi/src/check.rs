//! `octroi check`: everything that is wrong with a configuration, before anything is started.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use octroi_config::{Config, ConfigError, Loaded, PaywallConfig, Report, Settlement, SiteConfig};
use octroi_policy::Access;
use octroi_types::Mode;
use serde::Serialize;

use crate::cli::CheckArgs;
use crate::failure::{EXIT_CONFIG, Failure};
use crate::output::{self, Style};

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Verdict<'c> {
    valid: bool,
    #[serde(flatten)]
    report: &'c Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    serves: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<&'c str>,
}

/// What a gate with this configuration would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    listen: Vec<String>,
    public_url: String,
    store: String,
    networks: Vec<NetworkSummary>,
    services: Vec<ServiceSummary>,
    sites: Vec<SiteSummary>,
    screened_addresses: usize,
}

#[derive(Serialize)]
struct NetworkSummary {
    name: String,
    chain: String,
    mode: Mode,
    settlement: String,
}

#[derive(Serialize)]
struct ServiceSummary {
    name: String,
    origin: String,
    paywalls: Vec<PaywallSummary>,
}

#[derive(Serialize)]
struct PaywallSummary {
    url: String,
    methods: String,
    price: String,
    mode: Mode,
}

#[derive(Serialize)]
struct SiteSummary {
    name: String,
    url: String,
    origin: String,
    routes: Vec<RouteSummary>,
}

#[derive(Serialize)]
struct RouteSummary {
    pattern: String,
    methods: String,
    access: String,
}

/// Checks a configuration and says what it would serve.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let environment: Vec<(String, String)> = std::env::vars().collect();
    let loaded = match Config::load(&args.config, &environment) {
        Ok(loaded) => loaded,
        Err(ConfigError::Invalid(report)) if args.json => {
            print_json(&Verdict {
                valid: false,
                report: &report,
                serves: None,
                effective: None,
            })?;
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
        Err(error) => return Err(failed(error).into()),
    };
    let summary = Summary::of(&loaded.config);
    if args.json {
        print_json(&Verdict {
            valid: true,
            report: &loaded.warnings,
            serves: Some(summary),
            effective: args.effective.then_some(loaded.effective.as_str()),
        })?;
    } else {
        print_text(&loaded, &summary, args.effective)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A configuration that cannot be started with, as the failure of any command: the report of all
/// problems is printed with it, and the exit code is 78.
pub(crate) fn failed(error: ConfigError) -> anyhow::Error {
    anyhow::Error::new(error)
}

fn print_json(verdict: &Verdict<'_>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, verdict).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn print_text(loaded: &Loaded, summary: &Summary, effective: bool) -> Result<(), Failure> {
    if !loaded.warnings.problems.is_empty() {
        output::note(&loaded.warnings.to_string());
    }
    let mut out = io::stdout().lock();
    if effective {
        out.write_all(loaded.effective.as_bytes())?;
    } else {
        out.write_all(summary.text(Style::stdout()).as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

impl Summary {
    fn of(config: &Config) -> Self {
        let public_url = config.server.public_url.to_string();
        let networks = config.networks.iter().map(|network| NetworkSummary {
            name: network.name.clone(),
            chain: network.chain.to_string(),
            mode: network.mode,
            settlement: match &network.settlement {
                Settlement::Wallets(wallets) => format!("own wallets: {}", wallets.keys.len()),
                Settlement::Facilitator(remote) => format!("facilitator {}", remote.url.base()),
            },
        });
        let services = config.services.iter().map(|service| {
            let url = |slug: &str| format!("{public_url}/api/x402/pay/{}/{slug}", service.name);
            ServiceSummary {
                name: service.name.clone(),
                origin: service.upstream.origin.to_string(),
                paywalls: service
                    .paywalls
                    .iter()
                    .map(|row| paywall(&row.paywall, url(&row.paywall.slug)))
                    .collect(),
            }
        });
        Self {
            listen: config
                .server
                .listen
                .iter()
                .map(ToString::to_string)
                .collect(),
            store: config.store.path.display().to_string(),
            networks: networks.collect(),
            services: services.collect(),
            sites: config.sites.iter().map(site).collect(),
            screened_addresses: config.screening.addresses.len(),
            public_url,
        }
    }

    fn text(&self, style: Style) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}", style.green("The configuration is good."));
        let _ = writeln!(out, "\nlisten    {}", self.listen.join(", "));
        let _ = writeln!(out, "address   {}", self.public_url);
        let _ = writeln!(out, "store     {}", self.store);
        for network in &self.networks {
            let NetworkSummary {
                name,
                chain,
                mode,
                settlement,
            } = network;
            let money = match mode {
                Mode::Test => style.dim("play money"),
                Mode::Live => style.yellow("REAL MONEY"),
            };
            let _ = writeln!(out, "network   {name} ({chain}), {money}, {settlement}");
        }
        match self.screened_addresses {
            0 => {}
            1 => out.push_str("screening 1 address\n"),
            many => drop(writeln!(out, "screening {many} addresses")),
        }
        for service in &self.services {
            let _ = writeln!(
                out,
                "\nservice {} -> {}",
                style.bold(&service.name),
                service.origin
            );
            for row in &service.paywalls {
                let _ = writeln!(out, "  {}  {}  {}", row.price, row.methods, row.url);
            }
        }
        for site in &self.sites {
            let _ = writeln!(out, "\nsite {} -> {}", style.bold(&site.url), site.origin);
            for row in &site.routes {
                let _ = writeln!(out, "  {}  {}  {}", row.access, row.methods, row.pattern);
            }
        }
        out
    }
}

fn paywall(paywall: &PaywallConfig, url: String) -> PaywallSummary {
    PaywallSummary {
        url,
        methods: paywall.methods.to_string(),
        price: format!("${}", paywall.price),
        mode: paywall.mode,
    }
}

fn site(site: &SiteConfig) -> SiteSummary {
    let routes = site.routes.routes().iter().map(|route| RouteSummary {
        pattern: route.pattern.to_string(),
        methods: route.methods.to_string(),
        access: match route.access {
            Access::Priced(price) => format!("${price}"),
            Access::Free => "free".to_owned(),
            Access::Denied => "denied".to_owned(),
        },
    });
    SiteSummary {
        name: site.name.clone(),
        url: site.public_url.to_string(),
        origin: site.upstream.origin.to_string(),
        routes: routes.collect(),
    }
}
