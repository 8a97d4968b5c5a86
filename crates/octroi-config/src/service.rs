//! `[tenant]` and `[[service]]`.

use octroi_policy::{CanonicalPath, Methods};
use octroi_types::{PaywallId, ServiceId, TenantId};
use uuid::Uuid;

use crate::check::Check;
use crate::network::Networks;
use crate::payment::{Identity, PaywallConfig, Terms, read_paywall};
use crate::server::key_place;
use crate::table::Table;
use crate::upstream::{self, UpstreamConfig};

/// Below this, names of tenants become ids. Never changes: ids of a file stay what they were.
const TENANTS: Uuid = Uuid::from_u128(0x6f63_7472_6f69_5e1a_8c0e_6b3d_94a7_21f5);

/// The seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantConfig {
    /// Derived from the name.
    pub id: TenantId,
    /// Its name.
    pub name: String,
}

/// An API that is sold by its paywalls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Derived from tenant and name.
    pub id: ServiceId,
    /// Its name, unique among services and sites.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// Where its requests go.
    pub upstream: UpstreamConfig,
    /// What is sold.
    pub paywalls: Vec<ServicePaywallConfig>,
}

/// A paywall of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePaywallConfig {
    /// What it sells.
    pub paywall: PaywallConfig,
    /// Path at the origin, canonical.
    pub path: String,
    /// Whether what follows the slug is added to the path.
    pub subpaths: bool,
}

/// Reads `[tenant]`. Its `pay_to` is read where it is used.
pub(crate) fn read_tenant(check: &mut Check<'_>, table: &Table) -> Option<TenantConfig> {
    let name = check.parse(table, "name", parse_slug)?;
    Some(TenantConfig {
        id: TenantId::derived(&TENANTS, &name),
        name,
    })
}

/// A name of 1 to 50 characters of `a-z0-9._-` that is not a dot segment.
pub(crate) fn parse_slug(text: &str) -> Result<String, &'static str> {
    let valid =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if !(1..=50).contains(&text.len()) || !text.bytes().all(valid) {
        return Err("1 to 50 small letters, digits, dots, hyphens and underscores");
    }
    if matches!(text, "." | "..") {
        return Err("dots alone mean a directory");
    }
    Ok(text.to_owned())
}

/// Reads the methods of a paywall or route.
pub(crate) fn read_methods(check: &mut Check<'_>, table: &Table) -> Option<Methods> {
    let names = check.parse_all(table, "methods", |name| {
        Methods::listed([name])
            .map(|_| name.to_owned())
            .map_err(|_| "")
    });
    if names.len() < check.items(table, "methods").len() {
        return None;
    }
    Methods::listed(names.iter().map(String::as_str)).ok()
}

/// Reads one service.
pub(crate) fn read(
    check: &mut Check<'_>,
    table: &Table,
    tenant: (&Table, TenantId),
    networks: &Networks,
) -> Option<ServiceConfig> {
    let (tenant_table, tenant) = tenant;
    let name = check.parse(table, "name", parse_slug);
    let id = name
        .as_ref()
        .map(|name| ServiceId::derived(&tenant.uuid(), name));
    let upstream = upstream::read(check, table);
    let terms = Terms::read(check, table, tenant_table, networks);
    let mut paywalls = Vec::new();
    let mut slugs: Vec<String> = Vec::new();
    for row in table.all("paywall") {
        let slug = check.parse(row, "slug", parse_slug);
        if let Some(slug) = &slug {
            if slugs.contains(slug) {
                let message = format!("this service has two paywalls called \"{slug}\"");
                check.error(key_place(row, "slug"), row.key_path("slug"), message);
            }
            slugs.push(slug.clone());
        }
        paywalls.extend(read_service_paywall(check, row, &terms, id, slug));
    }
    if table.all("paywall").is_empty() && !table.refused.contains("paywall") {
        let message = "this service sells nothing".to_owned();
        check
            .warning(&table.place, table.path.clone(), message)
            .help("add [[service.paywall]]");
    }
    let description = check
        .item(table, "description")
        .map(|item| item.text.clone());
    Some(ServiceConfig {
        id: id?,
        name: name?,
        description,
        upstream: upstream?,
        paywalls,
    })
}

fn read_service_paywall(
    check: &mut Check<'_>,
    table: &Table,
    terms: &Terms<'_>,
    service: Option<ServiceId>,
    slug: Option<String>,
) -> Option<ServicePaywallConfig> {
    let methods = read_methods(check, table);
    let path = check.parse(table, "path", |text| {
        CanonicalPath::parse(text).map(|path| path.as_str().to_owned())
    });
    let identity = match (service, slug, methods) {
        (Some(service), Some(slug), Some(methods)) => {
            let id = PaywallId::derived(&service.uuid(), &slug);
            Some(Identity { id, slug, methods })
        }
        _ => None,
    };
    let paywall = read_paywall(check, table, terms, identity);
    let subpaths = check.flag(table, "subpaths");
    Some(ServicePaywallConfig {
        paywall: paywall?,
        path: path?,
        subpaths,
    })
}
