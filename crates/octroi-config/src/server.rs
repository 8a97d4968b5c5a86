//! `[server]`: listeners, names, limits and certificates.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use octroi_policy::Host;

use crate::check::{Check, setting};
use crate::table::{Item, Place, Table};
use crate::url::{BaseUrl, EndpointUrl};

/// Where the gate listens and under which names it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Addresses that buyers reach. They speak TLS if there are certificates.
    pub listen: Vec<SocketAddr>,
    /// What builds every `resource.url`.
    pub public_url: BaseUrl,
    /// Names of hosts on which the gate's own surfaces answer, without ports.
    pub gate_hosts: Vec<String>,
    /// Reverse proxies whose word is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Separate address for management; plain HTTP on loopback, else TLS.
    pub management_listen: Option<SocketAddr>,
    /// Plain HTTP addresses that only redirect and answer ACME challenges.
    pub redirect_listen: Vec<SocketAddr>,
    /// How long running requests may take at shutdown.
    pub drain_timeout: Duration,
    /// What one client may ask for.
    pub limits: LimitsConfig,
    /// Certificates from files.
    pub certificates: Vec<CertificateConfig>,
    /// Certificates from an authority.
    pub acme: Option<AcmeConfig>,
}

impl ServerConfig {
    /// Whether `listen` speaks TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        !self.certificates.is_empty() || self.acme.is_some()
    }
}

/// What one client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Open connections.
    pub connections_max: usize,
    /// Open connections of one IPv4 address or IPv6 /64 network.
    pub connections_per_address_max: usize,
    /// Requests at a time on one HTTP/2 connection.
    pub streams_per_connection_max: u32,
    /// Bytes of all header fields of a request.
    pub header_bytes_max: usize,
    /// Bytes of a request target.
    pub uri_bytes_max: usize,
    /// Bytes of a request body.
    pub body_bytes_max: u64,
    /// Bodies up to this are read and hashed before a payment is claimed.
    pub body_buffer_bytes: usize,
    /// From accept to the end of the TLS handshake or the first byte.
    pub handshake_timeout: Duration,
    /// From the first byte of a request head to its last.
    pub header_read_timeout: Duration,
    /// How long a client may pause within a request body.
    pub body_read_timeout: Duration,
    /// From an answer to the next request.
    pub idle_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub stalled_timeout: Duration,
}

/// A certificate and its key, in PEM files that could be read. It is shown for the names inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateConfig {
    /// Chain, leaf first.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// Certificates from an ACME authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// The authority.
    pub directory_url: EndpointUrl,
    /// E-mail addresses, without `mailto:`.
    pub contact: Vec<String>,
    /// Names to get certificates for.
    pub hosts: Vec<String>,
    /// Where keys and certificates are kept.
    pub storage_dir: PathBuf,
    /// How control over a name is shown.
    pub challenge: AcmeChallenge,
    /// Root certificate of a private authority.
    pub authority_file: Option<PathBuf>,
}

/// How control over a name is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeChallenge {
    /// In the TLS handshake (RFC 8737).
    TlsAlpn01,
    /// Under `/.well-known/acme-challenge/` (RFC 8555 §8.3).
    Http01,
}

/// Reads the section. The hosts of `[server.acme]` are completed once the sites are known.
pub(crate) fn read(check: &mut Check<'_>, table: &Table) -> Option<ServerConfig> {
    let address = |text: &str| text.parse::<SocketAddr>().map_err(|_| "");
    let listen = check.parse_all(table, "listen", address);
    let redirect_listen = check.parse_all(table, "redirect_listen", address);
    let management_listen = check.parse(table, "management_listen", address);
    let trusted_proxies = check.parse_all(table, "trusted_proxies", parse_network);
    let certificates = table
        .all("tls")
        .iter()
        .map(|table| read_certificate(check, table))
        .collect::<Vec<_>>();
    let acme_table = table.all("acme").first().filter(|table| table.present);
    let acme = acme_table.map(|acme| read_acme(check, acme, !redirect_listen.is_empty()));
    let has_tls = !certificates.is_empty() || acme.is_some();
    if check.items(table, "listen").is_empty() && setting(table, "listen").is_some() {
        check.error(
            key_place(table, "listen"),
            table.key_path("listen"),
            "`listen` is empty".to_owned(),
        );
    }
    check_transport(check, table, has_tls, &trusted_proxies);
    check_distinct(check, table);
    let public_url = read_public_url(check, table, &listen, has_tls, &trusted_proxies);
    let gate_hosts = read_gate_hosts(check, table, public_url.as_ref());
    let limits = table
        .all("limits")
        .first()
        .map(|table| read_limits(check, table));
    Some(ServerConfig {
        listen,
        public_url: public_url?,
        gate_hosts,
        trusted_proxies,
        management_listen,
        redirect_listen,
        drain_timeout: check.millis(table, "drain_timeout_ms"),
        limits: limits?,
        certificates: certificates.into_iter().collect::<Option<_>>()?,
        acme: match acme {
            Some(acme) => Some(acme?),
            None => None,
        },
    })
}

/// A network, or a single address as a network of one.
fn parse_network(text: &str) -> Result<IpNet, &'static str> {
    match text.parse() {
        Ok(address) => Ok(IpNet::from(std::net::IpAddr::V6(address))),
        Err(_) => text
            .parse::<std::net::IpAddr>()
            .map(IpNet::from)
            .or_else(|_| text.parse())
            .map_err(|_| ""),
    }
}

/// Plain HTTP is for loopback and for gates behind a proxy (docs/operating.md).
fn check_transport(check: &mut Check<'_>, table: &Table, has_tls: bool, proxies: &[IpNet]) {
    let keys = ["listen", "management_listen"];
    for key in keys {
        let items = check
            .item(table, key)
            .into_iter()
            .chain(check.items(table, key));
        for item in items.collect::<Vec<_>>() {
            let public = item
                .text
                .parse::<SocketAddr>()
                .is_ok_and(|at| !at.ip().is_loopback());
            if public && !has_tls && proxies.is_empty() {
                let message = format!("{} would be plain HTTP on a public address", item.text);
                check.error(&item.place, table.key_path(key), message).help(
                    "add [[server.tls]] or [server.acme], or name your reverse proxies in `trusted_proxies`",
                );
            }
        }
    }
    if let Some(item) = check
        .items(table, "redirect_listen")
        .first()
        .filter(|_| !has_tls)
    {
        let message = "there is no HTTPS to redirect to".to_owned();
        check
            .error(&item.place, table.key_path("redirect_listen"), message)
            .help("add [[server.tls]] or [server.acme]");
    }
}

/// No address can be listened on twice.
fn check_distinct(check: &mut Check<'_>, table: &Table) {
    let mut seen: Vec<&str> = Vec::new();
    for key in ["listen", "management_listen", "redirect_listen"] {
        let items = check
            .item(table, key)
            .into_iter()
            .chain(check.items(table, key));
        for item in items.collect::<Vec<&Item>>() {
            if seen.contains(&item.text.as_str()) && !item.text.ends_with(":0") {
                let message = format!("{} is listened on twice", item.text);
                check.error(&item.place, table.key_path(key), message);
            }
            seen.push(&item.text);
        }
    }
}

fn read_public_url(
    check: &mut Check<'_>,
    table: &Table,
    listen: &[SocketAddr],
    has_tls: bool,
    proxies: &[IpNet],
) -> Option<BaseUrl> {
    let key = "public_url";
    if let Some(item) = check.item(table, key) {
        let place = item.place.clone();
        let url = check.parse(table, key, str::parse::<BaseUrl>)?;
        check_encrypted(check, &place, table.key_path(key), &url, proxies);
        return Some(url);
    }
    let first = listen.first()?;
    if has_tls || first.ip().is_unspecified() {
        let message = "[server] is missing `public_url`".to_owned();
        check
            .error(&table.place, table.key_path(key), message)
            .help("buyers have to be told an address, like \"https://pay.example.com\"");
        return None;
    }
    format!("http://{first}").parse().ok()
}

/// Payments do not travel in plain text, except within a machine or to a proxy that we trust.
pub(crate) fn check_encrypted(
    check: &mut Check<'_>,
    place: &Place,
    key: String,
    url: &BaseUrl,
    proxies: &[IpNet],
) {
    if !url.secure && !url.host.is_loopback() && proxies.is_empty() {
        let message = format!("buyers would pay at {url} in plain text");
        check.error(place, key, message).help("use https://");
    }
}

fn read_gate_hosts(check: &mut Check<'_>, table: &Table, public: Option<&BaseUrl>) -> Vec<String> {
    let mut hosts: Vec<String> = public
        .iter()
        .map(|url| url.host.name().to_owned())
        .collect();
    if check.item(table, "public_url").is_none() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    hosts.extend(check.parse_all(table, "aliases", parse_host_name));
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

/// A host name without a port.
pub(crate) fn parse_host_name(text: &str) -> Result<String, String> {
    let host = Host::parse(text).map_err(|error| error.to_string())?;
    match host.port() {
        None => Ok(host.name().to_owned()),
        Some(_) => Err("leave the port out".to_owned()),
    }
}

fn read_limits(check: &Check<'_>, table: &Table) -> LimitsConfig {
    LimitsConfig {
        connections_max: check.size(table, "connections_max"),
        connections_per_address_max: check.size(table, "connections_per_address_max"),
        streams_per_connection_max: check.small(table, "streams_per_connection_max"),
        header_bytes_max: check.size(table, "header_bytes_max"),
        uri_bytes_max: check.size(table, "uri_bytes_max"),
        body_bytes_max: check.number(table, "body_bytes_max").unwrap_or_default(),
        body_buffer_bytes: check.size(table, "body_buffer_bytes"),
        handshake_timeout: check.millis(table, "handshake_timeout_ms"),
        header_read_timeout: check.millis(table, "header_read_timeout_ms"),
        body_read_timeout: check.millis(table, "body_read_timeout_ms"),
        idle_timeout: check.millis(table, "idle_timeout_ms"),
        stalled_timeout: check.millis(table, "stalled_timeout_ms"),
    }
}

fn read_certificate(check: &mut Check<'_>, table: &Table) -> Option<CertificateConfig> {
    let cert_file = check.readable_file(table, "cert_file");
    let key_file = check.readable_file(table, "key_file");
    Some(CertificateConfig {
        cert_file: cert_file?,
        key_file: key_file?,
    })
}

fn read_acme(check: &mut Check<'_>, table: &Table, redirects: bool) -> Option<AcmeConfig> {
    let directory_url = check.parse(table, "directory_url", |text| {
        let url: EndpointUrl = text.parse()?;
        if url.base().secure {
            Ok(url)
        } else {
            Err("it begins with https://".to_owned())
        }
    });
    let contact = check.parse_all(table, "contact", |text| match text.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && !text.contains(':') => {
            Ok(text.to_owned())
        }
        _ => Err("write it like you@example.com"),
    });
    let hosts = check.parse_all(table, "hosts", parse_host_name);
    if !check.flag(table, "terms_agreed") {
        let place = setting(table, "terms_agreed").map(|setting| &setting.place);
        let place = place
            .filter(|place| **place != Place::Default)
            .unwrap_or(&table.place);
        let message = "the authority's terms of service are not agreed to".to_owned();
        check
            .error(place, table.key_path("terms_agreed"), message)
            .help("read them and set terms_agreed = true");
    }
    let challenge = match check
        .item(table, "challenge")
        .map(|item| item.text.as_str())
    {
        Some("http-01") => AcmeChallenge::Http01,
        _ => AcmeChallenge::TlsAlpn01,
    };
    if challenge == AcmeChallenge::Http01 && !redirects {
        let message =
            "`http-01` is answered on plain HTTP, and there is no such listener".to_owned();
        check
            .error(
                key_place(table, "challenge"),
                table.key_path("challenge"),
                message,
            )
            .help("set server.redirect_listen = [\"0.0.0.0:80\"]");
    }
    let authority_file = check.readable_file(table, "authority_file");
    let storage_dir = check
        .item(table, "storage_dir")
        .map(|item| check.path(&item.text));
    Some(AcmeConfig {
        directory_url: directory_url?,
        contact,
        hosts,
        storage_dir: storage_dir?,
        challenge,
        authority_file,
    })
}

/// Where a key was set; its section where it was not.
pub(crate) fn key_place<'t>(table: &'t Table, key: &str) -> &'t Place {
    match setting(table, key).map(|setting| &setting.place) {
        None | Some(Place::Default) => &table.place,
        Some(place) => place,
    }
}
