//! The whole configuration.

use std::fs;
use std::path::{Path, PathBuf};

use crate::check::Check;
use crate::document;
use crate::effective;
use crate::environment;
use crate::facilitator::{self, FacilitatorConfig};
use crate::network::{self, NetworkConfig};
use crate::payment::PaywallConfig;
use crate::problem::Report;
use crate::screening::{self, ScreeningConfig};
use crate::server::{self, ServerConfig, key_place};
use crate::service::{self, ServiceConfig, TenantConfig};
use crate::site::{self, SiteConfig};
use crate::table::Table;

/// Everything that a file says, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Listeners, names, limits, certificates.
    pub server: ServerConfig,
    /// The database.
    pub store: StoreConfig,
    /// Log lines.
    pub log: LogConfig,
    /// Metrics.
    pub metrics: MetricsConfig,
    /// The seller.
    pub tenant: TenantConfig,
    /// Chains, in the order of the file.
    pub networks: Vec<NetworkConfig>,
    /// APIs that are sold.
    pub services: Vec<ServiceConfig>,
    /// Sites behind the gate.
    pub sites: Vec<SiteConfig>,
    /// The facilitator that is served.
    pub facilitator: FacilitatorConfig,
    /// Who neither pays nor is paid.
    pub screening: ScreeningConfig,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Its file; the directory exists.
    pub path: PathBuf,
}

/// Log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// For whom they are written.
    pub format: LogFormat,
    /// The least important that are written.
    pub level: LogLevel,
}

/// For whom log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// People.
    Text,
    /// Programs.
    Json,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Whether they are served.
    pub enabled: bool,
}

/// What a configuration is made from. Beside this only the files it names are read.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    /// The file's name, for messages.
    pub file: &'s str,
    /// Its text.
    pub text: &'s str,
    /// Where relative file names start.
    pub directory: &'s Path,
    /// Environment variables. Those that begin with [`crate::VARIABLE_PREFIX`] set keys; others
    /// are read only where a key names them.
    pub environment: &'s [(String, String)],
}

/// A configuration that the gate can start with.
#[derive(Debug)]
pub struct Loaded {
    /// What is configured.
    pub config: Config,
    /// What is hardly meant.
    pub warnings: Report,
    /// Every setting in force, as TOML, with where it came from and without secrets.
    pub effective: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is wrong; the report says everything that is.
    #[error("the configuration is not valid")]
    Invalid(Report),
}

impl Config {
    /// Everything that is sold: the paywalls of the services, then the priced routes of the sites.
    pub fn paywalls(&self) -> impl Iterator<Item = &PaywallConfig> {
        let of_services = self
            .services
            .iter()
            .flat_map(|service| service.paywalls.iter().map(|row| &row.paywall));
        let of_sites = self
            .sites
            .iter()
            .flat_map(|site| site.routes.routes().iter())
            .filter_map(|route| route.value.as_ref());
        of_services.chain(of_sites)
    }

    /// Reads and checks a file, with the process's environment variables over it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(path: &Path, environment: &[(String, String)]) -> Result<Loaded, ConfigError> {
        let read = |source| ConfigError::Read {
            path: path.to_owned(),
            source,
        };
        let text = fs::read_to_string(path).map_err(read)?;
        let directory = path.parent().unwrap_or_else(|| Path::new(""));
        let file = path.display().to_string();
        let source = Source {
            file: &file,
            text: &text,
            directory,
            environment,
        };
        Self::check(source).map_err(ConfigError::Invalid)
    }

    /// Checks a text.
    ///
    /// # Errors
    /// Everything that is wrong, when an error is among it.
    pub fn check(source: Source<'_>) -> Result<Loaded, Report> {
        let mut check = Check::new(source.text, source.directory, source.environment);
        let mut root = document::read(source.text, &mut check);
        // After a syntax error nobody knows what belongs where: what seems to be missing or
        // contradictory may be a consequence.
        if check.syntax_errors > 0 {
            return Err(check.into_report(source.file));
        }
        environment::overlay(&mut root, source.environment, &mut check);
        root.fill(&mut check);
        let config = read(&mut check, &root);
        let effective = effective::print(&root);
        let report = check.into_report(source.file);
        match config {
            Some(config) if report.errors() == 0 => Ok(Loaded {
                config,
                warnings: report,
                effective,
            }),
            _ => Err(report),
        }
    }
}

fn read(check: &mut Check<'_>, root: &Table) -> Option<Config> {
    let one = |name| root.all(name).first();
    let server = server::read(check, one("server")?);
    let store = read_store(check, one("store")?);
    let log = read_log(check, one("log")?);
    let metrics = MetricsConfig {
        enabled: check.flag(one("metrics")?, "enabled"),
    };
    let tenant_table = one("tenant")?;
    let tenant = service::read_tenant(check, tenant_table);
    let networks = network::read_all(check, root);
    // A wrong tenant name must not hide what is wrong below it.
    let tenant_id = tenant
        .as_ref()
        .map_or(octroi_types::TenantId::from_bytes([0; 16]), |t| t.id);
    let seller = (tenant_table, tenant_id);
    let rows = root.all("service").iter();
    let services: Vec<_> = rows
        .map(|table| service::read(check, table, seller, &networks))
        .collect();
    let rows = root.all("site").iter();
    let sites: Vec<_> = rows
        .map(|table| site::read(check, table, seller, &networks, server.as_ref()))
        .collect();
    check_names(check, root);
    check_hosts(check, root, server.as_ref());
    check_metrics(check, one("server")?, metrics, server.as_ref());
    let facilitator = facilitator::read(check, one("facilitator")?, &networks);
    let screening = screening::read(check, one("screening")?);
    screening::check_payees(check, root, &screening);
    let mut server = server?;
    let sites: Vec<SiteConfig> = sites.into_iter().collect::<Option<_>>()?;
    complete_acme(check, one("server")?, &mut server, &sites);
    Some(Config {
        server,
        store: store?,
        log,
        metrics,
        tenant: tenant?,
        networks: networks.valid,
        services: services.into_iter().collect::<Option<_>>()?,
        sites,
        facilitator,
        screening,
    })
}

fn read_store(check: &mut Check<'_>, table: &Table) -> Option<StoreConfig> {
    let item = check.item(table, "path")?;
    let path = check.path(&item.text);
    let directory = path
        .parent()
        .filter(|directory| *directory != Path::new(""));
    if directory.is_some_and(|directory| !directory.is_dir()) {
        let message = format!(
            "the directory of \"{}\" does not exist",
            item.text.escape_debug()
        );
        check.error(key_place(table, "path"), table.key_path("path"), message);
    }
    Some(StoreConfig { path })
}

fn read_log(check: &Check<'_>, table: &Table) -> LogConfig {
    let format = match check.item(table, "format").map(|item| item.text.as_str()) {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let level = match check.item(table, "level").map(|item| item.text.as_str()) {
        Some("error") => LogLevel::Error,
        Some("warn") => LogLevel::Warn,
        Some("debug") => LogLevel::Debug,
        Some("trace") => LogLevel::Trace,
        _ => LogLevel::Info,
    };
    LogConfig { format, level }
}

/// Services and sites share one space of names, for their ids derive from them.
fn check_names(check: &mut Check<'_>, root: &Table) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for table in root.all("service").iter().chain(root.all("site")) {
        let hosts = if table.section.name == "site" {
            check.items(table, "hosts").first()
        } else {
            None
        };
        let Some(item) = check.item(table, "name").or(hosts) else {
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(name, _)| *name == item.text) {
            let message = format!("{first} is called \"{}\" too", item.text.escape_debug());
            check.error(&item.place, table.key_path("name"), message);
        }
        seen.push((&item.text, &table.path));
    }
}

/// Every host belongs to one site, or to the gate.
fn check_hosts(check: &mut Check<'_>, root: &Table, server: Option<&ServerConfig>) {
    let mut owners: Vec<(String, String)> = Vec::new();
    for host in server.iter().flat_map(|server| &server.gate_hosts) {
        owners.push((
            host.clone(),
            "the gate itself (server.public_url, server.aliases)".to_owned(),
        ));
    }
    for table in root.all("site") {
        for item in check.items(table, "hosts") {
            let Ok(host) = server::parse_host_name(&item.text) else {
                continue;
            };
            if let Some((_, owner)) = owners.iter().find(|(name, _)| *name == host) {
                let message = format!("the host {host} belongs to {owner} already");
                check.error(&item.place, table.key_path("hosts"), message);
            }
            owners.push((host, table.path.clone()));
        }
    }
}

/// Metrics tell about the business: whoever reaches `listen` would read them.
fn check_metrics(
    check: &mut Check<'_>,
    table: &Table,
    metrics: MetricsConfig,
    server: Option<&ServerConfig>,
) {
    let Some(server) = server.filter(|server| server.management_listen.is_none()) else {
        return;
    };
    if metrics.enabled
        && server
            .listen
            .iter()
            .any(|address| !address.ip().is_loopback())
    {
        let message = "everybody who reaches `listen` can read /metrics".to_owned();
        check
            .warning(
                key_place(table, "listen"),
                table.key_path("management_listen"),
                message,
            )
            .help("set management_listen, or enabled = false in [metrics]");
    }
}

/// Without names of its own, the authority is asked for all names of the gate and its sites.
fn complete_acme(
    check: &mut Check<'_>,
    table: &Table,
    server: &mut ServerConfig,
    sites: &[SiteConfig],
) {
    let Some(acme) = server.acme.as_mut().filter(|acme| acme.hosts.is_empty()) else {
        return;
    };
    let Some(table) = table.all("acme").first() else {
        return;
    };
    if !check.items(table, "hosts").is_empty() {
        return;
    }
    let all = server
        .gate_hosts
        .iter()
        .chain(sites.iter().flat_map(|site| &site.hosts));
    let public = |host: &&String| {
        octroi_policy::Host::parse(host).is_ok_and(|host| !host.is_loopback())
            && !host.starts_with('[')
            && host.parse::<std::net::Ipv4Addr>().is_err()
    };
    acme.hosts = all.filter(public).cloned().collect();
    if acme.hosts.is_empty() {
        let message = "there is no public host name to get a certificate for".to_owned();
        check
            .error(&table.place, table.key_path("hosts"), message)
            .help("set server.public_url to https:// and your host name");
    }
}
