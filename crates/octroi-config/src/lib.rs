//! The configuration file: from `octroi.toml` and the environment to a validated [`Config`].
//!
//! Reading goes in two steps. The text becomes tables that fit a schema (`document`, `schema`,
//! `keys`), and the tables become typed values that fit each other (`server`, `network`,
//! `service`, `site`, …). Both go on after an error, so that one run reports everything that is
//! wrong, each with its line, its key and what to do about it ([`Report`]).
//!
//! Nothing is global: text, directory and environment are arguments. Secrets come from files or
//! from variables that the file names; they are [`octroi_types::Redacted`], and no report, printed
//! configuration or `Debug` shows them.

mod check;
mod config;
mod document;
mod effective;
mod environment;
mod excerpt;
mod facilitator;
mod keys;
mod network;
mod payment;
mod problem;
mod reference;
mod schema;
mod screening;
mod secret;
mod server;
mod service;
mod site;
mod suggest;
mod table;
mod upstream;
mod url;
mod value;

pub use config::{
    Config, ConfigError, Loaded, LogConfig, LogFormat, LogLevel, MetricsConfig, Source, StoreConfig,
};
pub use environment::{VARIABLE_PREFIX, process_environment};
pub use excerpt::Excerpt;
pub use facilitator::FacilitatorConfig;
pub use network::{
    AssetConfig, NetworkConfig, RemoteFacilitatorConfig, SettleLevel, Settlement, WalletsConfig,
};
pub use payment::{AcceptedPayment, BodyBinding, BreakCharge, PaywallConfig};
pub use problem::{Location, Problem, Report, Severity};
pub use reference::reference;
pub use screening::ScreeningConfig;
pub use server::{AcmeChallenge, AcmeConfig, CertificateConfig, LimitsConfig, ServerConfig};
pub use service::{ServiceConfig, ServicePaywallConfig, TenantConfig};
pub use site::SiteConfig;
pub use upstream::{UpstreamAuth, UpstreamConfig};
pub use url::{BaseUrl, EndpointUrl, OriginUrl};

/// A configuration to start from. It is valid as it is, sells one demo paywall for play money, and
/// warns that `pay_to` has to be set.
#[must_use]
pub const fn init_template() -> &'static str {
    include_str!("template.toml")
}
