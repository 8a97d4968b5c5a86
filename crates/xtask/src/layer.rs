//! Which of our crates may use which. ARCHITECTURE.md says why.

use crate::packages::Package;

/// Every crate and its layer. A crate may use crates of lower layers.
const LAYERS: &[(u8, &[&str])] = &[
    // Words.
    (0, &["octroi-types"]),
    // Pure rules: no clock, no randomness, no input or output.
    (
        PURE,
        &[
            "octroi-claim",
            "octroi-ledger",
            "octroi-policy",
            "octroi-prepaid",
            "octroi-x402",
        ],
    ),
    // Ports and what implements them.
    (
        2,
        &[
            "octroi-chain",
            "octroi-config",
            "octroi-devnet",
            "octroi-egress",
            "octroi-store",
            "octroi-store-postgres",
            "octroi-store-sqlite",
            "octroi-telemetry",
        ],
    ),
    // Use cases.
    (3, &["octroi-app"]),
    // Delivery.
    (4, &["octroi-api", "octroi-proxy"]),
    // Composition.
    (5, &["octroi-server", "octroi"]),
];

const PURE: u8 = 1;

/// The crates that use one of their own layer.
const SIDEWAYS: &[(&str, &str)] = &[
    ("octroi", "octroi-server"),
    ("octroi-chain", "octroi-egress"),
    ("octroi-chain", "octroi-store"),
    ("octroi-prepaid", "octroi-ledger"),
    ("octroi-store-postgres", "octroi-store"),
    ("octroi-store-sqlite", "octroi-store"),
];

/// Stand beside the layers: they may use anything, and nothing but tests may use them.
const TOOLS: &[&str] = &["octroi-bench", "octroi-interop", "octroi-testkit", "xtask"];

/// What the words and the pure crates never touch, not even in part.
const IMPURE: &[&str] = &[
    "async-trait",
    "axum",
    "getrandom",
    "hyper",
    "hyper-util",
    "rusqlite",
    "rustls",
    "socket2",
    "tokio",
    "tokio-postgres",
    "tower",
];

/// What is wrong with how `packages` use each other, one sentence each.
pub(crate) fn violations(packages: &[Package]) -> Vec<String> {
    packages.iter().flat_map(of_package).collect()
}

fn of_package(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    if TOOLS.contains(&name) {
        return Vec::new();
    }
    let Some(layer) = layer(name) else {
        return vec![format!(
            "{name} has no layer yet: give it one in xtask's layer.rs"
        )];
    };
    let mut violations = Vec::new();
    for used in package.dependencies.iter().map(String::as_str) {
        if TOOLS.contains(&used) {
            violations.push(format!("{name} uses {used} outside its tests"));
        } else if let Some(used_layer) = self::layer(used) {
            let sideways = used_layer == layer && SIDEWAYS.contains(&(name, used));
            if used_layer >= layer && !sideways {
                violations.push(format!(
                    "{name} (layer {layer}) uses {used} (layer {used_layer})"
                ));
            }
        } else if layer <= PURE && IMPURE.contains(&used) {
            violations.push(format!("{name} is pure and uses {used}"));
        }
    }
    violations
}

fn layer(name: &str) -> Option<u8> {
    let (layer, _) = LAYERS.iter().find(|(_, crates)| crates.contains(&name))?;
    Some(*layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, dependencies: &[&str]) -> Vec<String> {
        violations(&[Package::sample(name, dependencies)])
    }

    #[test]
    fn crates_look_downwards_only() {
        assert_eq!(
            check("octroi-app", &["octroi-store", "octroi-types", "tokio"]),
            [""; 0]
        );
        assert_eq!(check("octroi-store", &["octroi-app"]).len(), 1);
        assert_eq!(check("octroi-proxy", &["octroi-api"]).len(), 1);
        assert_eq!(check("octroi-store-sqlite", &["octroi-store"]), [""; 0]);
        assert_eq!(check("octroi-store", &["octroi-store-sqlite"]).len(), 1);
    }

    #[test]
    fn pure_crates_stay_pure() {
        assert_eq!(
            check("octroi-ledger", &["octroi-types", "thiserror"]),
            [""; 0]
        );
        assert_eq!(check("octroi-ledger", &["tokio"]).len(), 1);
        assert_eq!(check("octroi-types", &["getrandom"]).len(), 1);
    }

    #[test]
    fn the_test_kit_is_for_tests() {
        assert_eq!(check("octroi-app", &["octroi-testkit"]).len(), 1);
        let mut package = Package::sample("octroi-app", &[]);
        package.dev_dependencies.push("octroi-testkit".to_owned());
        assert_eq!(violations(&[package]), [""; 0]);
        assert_eq!(
            check("octroi-testkit", &["octroi-server", "tokio"]),
            [""; 0]
        );
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        assert_eq!(check("octroi-new", &[]).len(), 1);
    }
}
