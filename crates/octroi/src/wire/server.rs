//! From `[server]` to bound listeners.

use std::sync::Arc;

use anyhow::Context as _;
use octroi_config::{AcmeChallenge, AcmeConfig, Config, ServerConfig};
use octroi_egress::{Client, ClientOptions, TrustRoots};
use octroi_server::acme::{AcmeOptions, ChallengeKind};
use octroi_server::tls::{CertificateFiles, TlsOptions, UnknownName};
use octroi_server::{
    ForwardedField, Limits, ListenerOptions, ListenerRole, ListenerService, ListenerSocket, Server,
    ServerOptions, Timeouts, TrustedProxies,
};

use super::acme::EgressAcme;

/// Certificates that are ordered at the same time.
const ACME_ORDERS_MAX: usize = 4;

/// Binds every listener.
pub(super) fn bind(config: &Config, egress: &Client) -> anyhow::Result<Server> {
    let server = &config.server;
    let options = ServerOptions {
        listeners: listeners(server),
        trusted_proxies: TrustedProxies::new(
            server.trusted_proxies.clone(),
            ForwardedField::XForwardedFor,
        ),
        tls: tls(server, egress)?,
        limits: Limits {
            connections_max: server.limits.connections_max,
            connections_per_address_max: server.limits.connections_per_address_max,
            uri_bytes_max: server.limits.uri_bytes_max,
            header_bytes_max: server.limits.header_bytes_max,
            streams_per_connection_max: server.limits.streams_per_connection_max,
        },
        timeouts: Timeouts {
            handshake: server.limits.handshake_timeout,
            head: server.limits.header_read_timeout,
            idle: server.limits.idle_timeout,
            stalled: server.limits.stalled_timeout,
            drain: server.drain_timeout,
            ..Timeouts::default()
        },
    };
    Server::bind(options).context("cannot listen")
}

fn listeners(server: &ServerConfig) -> Vec<ListenerOptions> {
    let service = |role| {
        if server.has_tls() {
            ListenerService::Tls(role)
        } else {
            ListenerService::Plain(role)
        }
    };
    let listener = |address, service| ListenerOptions {
        socket: ListenerSocket::Bind(address),
        service,
    };
    let mut listeners: Vec<_> = server
        .listen
        .iter()
        .map(|address| listener(*address, service(ListenerRole::Gate)))
        .collect();
    if let Some(address) = server.management_listen {
        let role = ListenerRole::Management;
        let service = if address.ip().is_loopback() {
            ListenerService::Plain(role)
        } else {
            service(role)
        };
        listeners.push(listener(address, service));
    }
    listeners.extend(
        server
            .redirect_listen
            .iter()
            .map(|address| listener(*address, ListenerService::Redirect)),
    );
    listeners
}

fn tls(server: &ServerConfig, egress: &Client) -> anyhow::Result<Option<TlsOptions>> {
    if !server.has_tls() {
        return Ok(None);
    }
    let files = server
        .certificates
        .iter()
        .map(|files| CertificateFiles {
            chain: files.cert_file.clone(),
            key: files.key_file.clone(),
        })
        .collect();
    let acme = server
        .acme
        .as_ref()
        .map(|acme| acme_options(acme, egress))
        .transpose()?;
    Ok(Some(TlsOptions {
        files,
        unknown_name: UnknownName::FirstFile,
        acme,
    }))
}

fn acme_options(acme: &AcmeConfig, egress: &Client) -> anyhow::Result<AcmeOptions> {
    let client = match &acme.authority_file {
        None => egress.clone(),
        // A private authority: its own root, and its own address is allowed.
        Some(file) => {
            let roots = TrustRoots::public()
                .with_pem_file(file)
                .with_context(|| format!("authority_file {}", file.display()))?;
            let target = octroi_egress::Target::parse(&acme.directory_url.base().to_string())
                .context("directory_url")?;
            let policy = octroi_egress::AddressPolicy::public_only()
                .allow_target(target.host().clone(), target.port());
            Client::new(ClientOptions {
                roots,
                policy,
                ..ClientOptions::default()
            })
            .context("outgoing TLS to the authority")?
        }
    };
    Ok(AcmeOptions {
        directory_url: acme.directory_url.expose().to_owned(),
        // The authority wants URLs (RFC 8555, 7.3).
        contacts: acme
            .contact
            .iter()
            .map(|address| format!("mailto:{address}"))
            .collect(),
        hosts: acme.hosts.clone(),
        challenge: match acme.challenge {
            AcmeChallenge::Http01 => ChallengeKind::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeKind::TlsAlpn01,
        },
        folder: acme.storage_dir.clone(),
        orders_max: ACME_ORDERS_MAX,
        http: Arc::new(EgressAcme(client)),
    })
}
