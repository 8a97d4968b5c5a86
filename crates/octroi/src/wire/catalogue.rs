//! From the configuration's services and sites to the data plane's catalogue.

use std::sync::Arc;

use anyhow::Context as _;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use octroi_app::{BreakRule, Deal};
use octroi_chain::Level;
use octroi_config::{
    BodyBinding as ConfiguredBinding, BreakCharge, Config, PaywallConfig, ServiceConfig,
    SettleLevel, SiteConfig, UpstreamAuth, UpstreamConfig,
};
use octroi_egress::{AddressPolicy, Client, HostHeader, Target, UpstreamSpec};
use octroi_policy::Methods;
use octroi_proxy::{BodyBinding, Catalogue, Origin, Paywall, Service, Site};
use octroi_types::{Redacted, ServiceId, TenantId};
use octroi_x402::{Offer, OfferDetails, Terms, payment_identifier};

use super::chains::Chains;
use super::offers::Honoured;

/// Builds the whole catalogue.
pub(super) fn build(
    config: &Config,
    chains: &Chains,
    honoured: &Honoured,
    egress: &Client,
) -> anyhow::Result<Catalogue> {
    let mut catalogue = Catalogue {
        gate_hosts: config.server.gate_hosts.clone(),
        public_url: config.server.public_url.to_string(),
        ..Catalogue::default()
    };
    let tenant = config.tenant.id;
    for service in &config.services {
        let built = build_service(service, tenant, chains, honoured, egress)
            .with_context(|| format!("service {}", service.name))?;
        let built = Arc::new(built);
        catalogue
            .services
            .insert(service.id.to_string(), Arc::clone(&built));
        catalogue.services.insert(service.name.clone(), built);
    }
    for site in &config.sites {
        let built = build_site(site, tenant, chains, honoured, egress)
            .with_context(|| format!("site {}", site.name))?;
        let built = Arc::new(built);
        for host in &site.hosts {
            catalogue.sites.insert(host.clone(), Arc::clone(&built));
        }
    }
    Ok(catalogue)
}

fn build_service(
    service: &ServiceConfig,
    tenant: TenantId,
    chains: &Chains,
    honoured: &Honoured,
    egress: &Client,
) -> anyhow::Result<Service> {
    let origin = Arc::new(origin(
        &service.upstream,
        false,
        HostHeader::Origin,
        egress,
    )?);
    let timeout = service.upstream.timeout;
    let paywalls = service
        .paywalls
        .iter()
        .map(|configured| {
            let mut built = paywall(
                &configured.paywall,
                tenant,
                Some(service.id),
                timeout,
                chains,
                honoured,
            )?;
            built.target = configured.path.clone();
            built.takes_rest = configured.subpaths;
            Ok((configured.paywall.slug.clone(), Arc::new(built)))
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(Service {
        name: service.name.clone(),
        origin,
        paywalls,
    })
}

fn build_site(
    site: &SiteConfig,
    tenant: TenantId,
    chains: &Chains,
    honoured: &Honoured,
    egress: &Client,
) -> anyhow::Result<Site> {
    let host = if site.preserve_host {
        HostHeader::FromRequest
    } else {
        HostHeader::Origin
    };
    let origin = Arc::new(origin(&site.upstream, true, host, egress)?);
    let timeout = site.upstream.timeout;
    let mut failed = None;
    let routes = site.routes.clone().map(|configured| {
        let configured = configured?;
        match paywall(
            &configured,
            tenant,
            Some(site.id),
            timeout,
            chains,
            honoured,
        ) {
            Ok(built) => Some(Arc::new(built)),
            Err(error) => {
                failed = Some(error);
                None
            }
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(Site {
            name: site.name.clone(),
            public_url: site.public_url.to_string(),
            origin,
            routes,
        }),
    }
}

fn paywall(
    configured: &PaywallConfig,
    tenant: TenantId,
    service: Option<ServiceId>,
    origin_timeout: std::time::Duration,
    chains: &Chains,
    honoured: &Honoured,
) -> anyhow::Result<Paywall> {
    let terms = configured
        .accepts
        .iter()
        .map(|accepted| {
            let token = chains
                .token(accepted.chain, accepted.asset)
                .with_context(|| format!("{} takes no {}", accepted.chain, accepted.asset))?;
            Ok(Terms {
                token,
                pay_to: accepted.pay_to,
                amount: accepted.amount,
                max_timeout_seconds: configured.max_timeout_seconds,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let details = OfferDetails {
        description: configured.description.clone(),
        mime_type: configured.mime_type.clone(),
        extensions: Some(payment_identifier::optional()),
    };
    let earlier = honoured.get(&configured.id).cloned().unwrap_or_default();
    let offer = Offer::new(terms, details)
        .context("the offer cannot be made")?
        .honouring(earlier);
    Ok(Paywall {
        deal: Deal {
            tenant,
            mode: configured.mode,
            paywall: configured.id,
            service,
            offer: Arc::new(offer),
            order: configured.order,
            level: match configured.level {
                SettleLevel::Included => Level::Included,
                SettleLevel::Safe => Level::Safe,
                SettleLevel::Final => Level::Final,
            },
            break_rule: match configured.break_charge {
                BreakCharge::Full => BreakRule::ChargeFull,
                BreakCharge::Credit => BreakRule::Credit,
            },
            origin_timeout,
        },
        allow: allow(&configured.methods)?,
        methods: configured.methods.clone(),
        target: String::new(),
        takes_rest: false,
        binding: match configured.binding {
            ConfiguredBinding::Full => BodyBinding::Full,
            ConfiguredBinding::Head => BodyBinding::Head,
        },
        idempotent: configured.idempotent,
    })
}

/// The `Allow` of a paywall: what it sells, and what follows from that.
fn allow(methods: &Methods) -> anyhow::Result<HeaderValue> {
    let mut names: Vec<&str> = methods.names().iter().map(String::as_str).collect();
    if names.is_empty() {
        names = vec!["GET", "POST", "PUT", "PATCH", "DELETE"];
    }
    if names.contains(&"GET") && !names.contains(&"HEAD") {
        names.push("HEAD");
    }
    if !names.contains(&"OPTIONS") {
        names.push("OPTIONS");
    }
    HeaderValue::try_from(names.join(", ")).context("methods make no header")
}

fn origin(
    upstream: &UpstreamConfig,
    passes_authorization: bool,
    host_header: HostHeader,
    egress: &Client,
) -> anyhow::Result<Origin> {
    let target = Target::parse(&upstream.origin.base.to_string())
        .with_context(|| format!("origin {}", upstream.origin))?;
    // What the operator's own file names is allowed exactly as declared, private addresses too.
    let policy = AddressPolicy::public_only().allow_target(target.host().clone(), target.port());
    let spec = UpstreamSpec {
        policy: Some(policy),
        head_timeout: upstream.timeout,
        host_header,
        ..UpstreamSpec::new(target)
    };
    let (credentials, query_credential) = credentials(&upstream.auth)?;
    Ok(Origin {
        upstream: egress
            .upstream(spec)
            .with_context(|| format!("origin {}", upstream.origin))?,
        path_prefix: upstream.origin.path_prefix.clone(),
        credentials,
        query_credential,
        passes_authorization,
    })
}

type Credentials = (
    Vec<(HeaderName, Redacted<HeaderValue>)>,
    Option<Redacted<String>>,
);

fn credentials(auth: &UpstreamAuth) -> anyhow::Result<Credentials> {
    let header = |name: HeaderName, text: &str| {
        let mut value = HeaderValue::try_from(text).context("the credential is not a header")?;
        value.set_sensitive(true);
        Ok((vec![(name, Redacted::new(value))], None))
    };
    match auth {
        UpstreamAuth::None => Ok((Vec::new(), None)),
        UpstreamAuth::Bearer(token) => header(AUTHORIZATION, &format!("Bearer {}", token.expose())),
        UpstreamAuth::Header { name, value } => header(
            HeaderName::try_from(name).context("the header's name")?,
            value.expose(),
        ),
        UpstreamAuth::Query { name, value } => {
            let encode = |text: &str| {
                percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                    .to_string()
            };
            let pair = format!("{}={}", encode(name), encode(value.expose()));
            Ok((Vec::new(), Some(Redacted::new(pair))))
        }
    }
}
