//! Which third-party crates are fenced into a few of ours, so that each heavy or powerful one has a single
//! place where it is used and understood.

use crate::packages::Package;

/// A third-party crate and those of ours that may be built with it.
const FENCES: &[(&str, &[&str])] = &[
    // Storage.
    ("rusqlite", &["octroi-bench", "octroi-store-sqlite"]),
    ("tokio-postgres", &["octroi-store-postgres"]),
    ("tokio-postgres-rustls", &["octroi-store-postgres"]),
    // The chain. A simulated one is for development alone.
    ("alloy-consensus", &["octroi-chain", "octroi-devnet"]),
    ("alloy-eips", &["octroi-chain", "octroi-devnet"]),
    ("alloy-primitives", &["octroi-chain", "octroi-devnet"]),
    ("alloy-rlp", &["octroi-chain", "octroi-devnet"]),
    ("revm", &["octroi-devnet"]),
    // Signatures.
    (
        "secp256k1",
        &[
            // The buyer's key, and the keys of a development gate.
            "octroi",
            "octroi-bench",
            "octroi-chain",
            "octroi-devnet",
            "octroi-testkit",
            "octroi-x402",
        ],
    ),
    // The network. Only the egress connects to strangers, only the server accepts them.
    // `octroi` mounts the surfaces' routers and has the demo origin.
    ("axum", &["octroi", "octroi-api"]),
    ("instant-acme", &["octroi-server"]),
    ("rcgen", &["octroi-server"]),
    (
        "rustls",
        &["octroi-egress", "octroi-server", "octroi-store-postgres"],
    ),
    ("socket2", &["octroi-egress", "octroi-server"]),
    ("tokio-rustls", &["octroi-egress", "octroi-server"]),
    (
        "webpki-roots",
        &["octroi-egress", "octroi-server", "octroi-store-postgres"],
    ),
    ("x509-parser", &["octroi-server"]),
    // Operations.
    ("mimalloc", &["octroi"]),
    ("tracing-subscriber", &["octroi-telemetry"]),
    // Commands.
    ("age", &["octroi"]),
    (
        "anyhow",
        &["octroi", "octroi-bench", "octroi-interop", "xtask"],
    ),
    ("clap", &["octroi", "octroi-bench", "xtask"]),
];

/// What is wrong with what `packages` are built with and with their lints, one sentence each.
pub(crate) fn violations(packages: &[Package]) -> Vec<String> {
    packages.iter().flat_map(of_package).collect()
}

fn of_package(package: &Package) -> Vec<String> {
    let name = &package.name;
    let mut violations: Vec<_> = FENCES
        .iter()
        .filter(|(_, homes)| !homes.contains(&name.as_str()))
        .filter(|(fenced, _)| package.dependencies.iter().any(|used| used == fenced))
        .map(|(fenced, homes)| format!("{name} uses {fenced}, which is for {}", homes.join(", ")))
        .collect();
    if !inherits_lints(&package.manifest) {
        violations.push(format!("{name} lacks `[lints] workspace = true`"));
    }
    violations
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[lints]");
    lines.nth(1) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_crate_stays_at_home() {
        assert_eq!(
            violations(&[Package::sample("octroi-store-sqlite", &["rusqlite"])]),
            [""; 0]
        );
        assert_eq!(
            violations(&[Package::sample("octroi-app", &["rusqlite", "serde"])]).len(),
            1
        );
    }

    #[test]
    fn tests_may_use_what_the_crate_may_not() {
        let mut package = Package::sample("octroi-egress", &["rustls"]);
        package.dev_dependencies.push("rcgen".to_owned());
        assert_eq!(violations(&[package]), [""; 0]);
    }

    #[test]
    fn lints_are_inherited_by_everyone() {
        let mut package = Package::sample("octroi-types", &[]);
        package.manifest = "[lints.clippy]\nall = \"allow\"\n".to_owned();
        assert_eq!(violations(&[package.clone()]).len(), 1);
        package.manifest =
            "[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n".to_owned();
        assert_eq!(violations(&[package]), [""; 0]);
    }
}
