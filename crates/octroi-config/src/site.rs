//! `[[site]]`: hosts behind the transparent proxy.

use octroi_policy::{Access, Host, Methods, Pattern, Route, RouteTable, Unlisted};
use octroi_types::{PaywallId, ServiceId, TenantId};

use crate::check::{Check, setting};
use crate::network::Networks;
use crate::payment::{Identity, PaywallConfig, Terms, read_paywall};
use crate::server::{ServerConfig, check_encrypted, key_place, parse_host_name};
use crate::service::{parse_slug, read_methods};
use crate::table::Table;
use crate::upstream::{self, UpstreamConfig};
use crate::url::BaseUrl;

/// The longest slug.
const SLUG_BYTES_MAX: usize = 50;

/// Hosts that belong to a site.
#[derive(Debug, Clone)]
pub struct SiteConfig {
    /// Derived from tenant and name.
    pub id: ServiceId,
    /// Its name, unique among services and sites.
    pub name: String,
    /// Host names, without ports; at least one.
    pub hosts: Vec<String>,
    /// Address that visitors use.
    pub public_url: BaseUrl,
    /// Where its requests go.
    pub upstream: UpstreamConfig,
    /// Whether the origin sees the visitor's `Host`.
    pub preserve_host: bool,
    /// What is priced, free or denied; a priced route holds its paywall.
    pub routes: RouteTable<Option<PaywallConfig>>,
}

/// Reads one site.
pub(crate) fn read(
    check: &mut Check<'_>,
    table: &Table,
    tenant: (&Table, TenantId),
    networks: &Networks,
    server: Option<&ServerConfig>,
) -> Option<SiteConfig> {
    let (tenant_table, tenant) = tenant;
    let hosts = check.parse_all(table, "hosts", parse_host_name);
    let named = check.items(table, "hosts");
    if named.is_empty() && setting(table, "hosts").is_some() {
        check.error(
            key_place(table, "hosts"),
            table.key_path("hosts"),
            "`hosts` is empty".to_owned(),
        );
    }
    let name = match setting(table, "name") {
        Some(_) => check.parse(table, "name", parse_slug),
        None => hosts.first().cloned(),
    };
    let id = name
        .as_ref()
        .map(|name| ServiceId::derived(&tenant.uuid(), name));
    let public_url = read_public_url(check, table, hosts.first(), server);
    let upstream = upstream::read(check, table);
    let terms = Terms::read(check, table, tenant_table, networks);
    let routes = read_routes(check, table, &terms, id);
    Some(SiteConfig {
        id: id?,
        name: name?,
        hosts,
        public_url: public_url?,
        upstream: upstream?,
        preserve_host: check.flag(table, "preserve_host"),
        routes: routes?,
    })
}

fn read_public_url(
    check: &mut Check<'_>,
    table: &Table,
    host: Option<&String>,
    server: Option<&ServerConfig>,
) -> Option<BaseUrl> {
    let key = "public_url";
    if setting(table, key).is_none() {
        return default_url(host?, server?);
    }
    let url = check.parse(table, key, str::parse::<BaseUrl>)?;
    let proxies = server.map_or(&[][..], |server| &server.trusted_proxies);
    check_encrypted(
        check,
        key_place(table, key),
        table.key_path(key),
        &url,
        proxies,
    );
    Some(url)
}

/// The site's first host with scheme and port of the gate.
fn default_url(host: &str, server: &ServerConfig) -> Option<BaseUrl> {
    let public = &server.public_url;
    let text = match public.host.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let host = Host::parse(&text).ok()?.into_owned();
    Some(BaseUrl {
        secure: public.secure,
        host,
    })
}

fn read_routes(
    check: &mut Check<'_>,
    table: &Table,
    terms: &Terms<'_>,
    site: Option<ServiceId>,
) -> Option<RouteTable<Option<PaywallConfig>>> {
    let unlisted = match check.item(table, "default").map(|item| item.text.as_str()) {
        Some("pass") => Unlisted::Pass,
        _ => Unlisted::Deny,
    };
    let rows = table.all("route");
    let read: Vec<_> = rows
        .iter()
        .map(|row| read_route(check, row, terms, site))
        .collect();
    check_slugs(check, rows, &read);
    let shapes = rows
        .iter()
        .zip(&read)
        .enumerate()
        .filter_map(|(at, (_, route))| {
            let Route {
                pattern,
                methods,
                access,
                ..
            } = route.as_ref()?.clone();
            Some(Route {
                pattern,
                methods,
                access,
                value: at,
            })
        });
    if let Err(duplicates) = RouteTable::build(shapes.clone().collect(), unlisted) {
        let at: Vec<usize> = shapes.map(|route| route.value).collect();
        for duplicate in duplicates {
            let (first, second) = (&rows[at[duplicate.first]], &rows[at[duplicate.second]]);
            let message = format!("the same requests match {}", first.path);
            check
                .error(
                    key_place(second, "pattern"),
                    second.key_path("pattern"),
                    message,
                )
                .help("give them different patterns or methods");
        }
    }
    RouteTable::build(read.into_iter().collect::<Option<_>>()?, unlisted).ok()
}

type SiteRoute = Route<Option<PaywallConfig>>;

fn read_route(
    check: &mut Check<'_>,
    table: &Table,
    terms: &Terms<'_>,
    site: Option<ServiceId>,
) -> Option<SiteRoute> {
    let pattern = check.parse(table, "pattern", str::parse::<Pattern>);
    let methods = read_methods(check, table);
    let priced = setting(table, "price").is_some() || table.refused.contains("price");
    let (free, deny) = (check.flag(table, "free"), check.flag(table, "deny"));
    match [priced, free, deny].iter().filter(|set| **set).count() {
        1 => {}
        0 => {
            let message = "this route does not say what it costs".to_owned();
            check
                .error(&table.place, table.path.clone(), message)
                .help("set price = \"$0.01\", free = true or deny = true");
        }
        _ => {
            let message = "a route is priced, free or denied, and only one of them".to_owned();
            check.error(&table.place, table.path.clone(), message);
        }
    }
    if !priced {
        let access = if free { Access::Free } else { Access::Denied };
        return Some(Route {
            pattern: pattern?,
            methods: methods?,
            access,
            value: None,
        });
    }
    let slug = match setting(table, "slug") {
        Some(_) => check.parse(table, "slug", parse_slug),
        None => pattern
            .as_ref()
            .zip(methods.as_ref())
            .map(|(pattern, methods)| derived_slug(pattern, methods)),
    };
    let identity = match (site, slug, methods.clone()) {
        (Some(site), Some(slug), Some(methods)) => Some(Identity {
            id: PaywallId::derived(&site.uuid(), &slug),
            slug,
            methods,
        }),
        _ => None,
    };
    let paywall = read_paywall(check, table, terms, identity)?;
    Some(Route {
        pattern: pattern?,
        methods: methods?,
        access: Access::Priced(paywall.price),
        value: Some(paywall),
    })
}

/// Two routes of a site cannot share a slug, for their ids derive from it.
fn check_slugs(check: &mut Check<'_>, rows: &[Table], routes: &[Option<SiteRoute>]) {
    let mut seen: Vec<&str> = Vec::new();
    for (row, route) in rows.iter().zip(routes) {
        let Some(paywall) = route.as_ref().and_then(|route| route.value.as_ref()) else {
            continue;
        };
        if seen.contains(&paywall.slug.as_str()) {
            let message = format!("this site has two routes called \"{}\"", paywall.slug);
            let key = if setting(row, "slug").is_some() {
                "slug"
            } else {
                "pattern"
            };
            check
                .error(key_place(row, key), row.key_path("slug"), message)
                .help("give one of them another slug");
        }
        seen.push(&paywall.slug);
    }
}

/// A slug from methods and pattern: `GET /Reports/:id/*` is `get-reports-id`.
fn derived_slug(pattern: &Pattern, methods: &Methods) -> String {
    let text = format!("{} {}", methods.names().join(" "), pattern.as_str()).to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
    let words: Vec<_> = text
        .split(|c| !allowed(c))
        .filter(|word| !word.is_empty())
        .collect();
    let slug = match words.join("-") {
        slug if slug.trim_matches('.').is_empty() => "root".to_owned(),
        slug => slug,
    };
    slug.chars().take(SLUG_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_come_from_methods_and_pattern() {
        let slug = |methods: &[&str], pattern: &str| {
            derived_slug(
                &pattern.parse().unwrap(),
                &Methods::listed(methods.iter().copied()).unwrap(),
            )
        };
        assert_eq!(slug(&["GET"], "/Reports/:id/*"), "get-reports-id");
        assert_eq!(slug(&[], "/a_b/c.pdf"), "a_b-c.pdf");
        assert_eq!(slug(&[], "/**"), "root");
        assert_eq!(slug(&["POST", "PUT"], "/x"), "post-put-x");
        let long = slug(&[], &"/abcdefgh".repeat(10));
        assert_eq!(parse_slug(&long), Ok(long.clone()));
    }
}
