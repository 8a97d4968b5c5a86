//! Prices that were in force until this start, and that clients may still pay (money rule 11).

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use octroi_config::{Config, PaywallConfig};
use octroi_store::{OfferedTerms, Store};
use octroi_types::{PaywallId, UnixMicros};
use octroi_x402::{EarlierTerms, Terms};
use tracing::info;

use super::chains::Chains;

/// What each paywall has to honour beside what it asks now.
pub(super) type Honoured = HashMap<PaywallId, Vec<EarlierTerms>>;

/// Writes down what every paywall asks from now on, before it asks it, and reads what it asked before.
pub(super) async fn publish(
    config: &Config,
    chains: &Chains,
    store: &Arc<dyn Store>,
) -> anyhow::Result<Honoured> {
    let in_force = config.paywalls().flat_map(offered).collect();
    let now = UnixMicros::now().seconds();
    let earlier = store
        .offers_publish(config.tenant.id, in_force, now)
        .await
        .context("cannot write down what the paywalls ask")?;
    let modes: HashMap<_, _> = config
        .paywalls()
        .map(|paywall| (paywall.id, paywall.mode))
        .collect();
    let mut honoured = Honoured::new();
    for earlier in earlier {
        let terms = earlier.terms;
        // What is sold for real money now was never offered for play money (money rule 2).
        if modes.get(&terms.paywall) != Some(&terms.mode) {
            continue;
        }
        // Without its token nothing can be settled: the operator took the asset away on purpose.
        let Some(token) = chains.token(terms.chain, terms.asset) else {
            continue;
        };
        honoured
            .entry(terms.paywall)
            .or_default()
            .push(EarlierTerms {
                terms: Terms {
                    token,
                    pay_to: terms.pay_to,
                    amount: terms.amount,
                    max_timeout_seconds: terms.max_timeout_seconds,
                },
                honoured_until: earlier.honoured_until,
            });
    }
    let changed = config
        .paywalls()
        .filter(|paywall| honoured.contains_key(&paywall.id));
    for paywall in changed {
        info!(
            paywall = paywall.slug,
            "the terms have changed; payments for earlier ones are taken until those run out"
        );
    }
    Ok(honoured)
}

fn offered(paywall: &PaywallConfig) -> impl Iterator<Item = OfferedTerms> {
    paywall.accepts.iter().map(|accepted| OfferedTerms {
        paywall: paywall.id,
        mode: paywall.mode,
        chain: accepted.chain,
        asset: accepted.asset,
        pay_to: accepted.pay_to,
        amount: accepted.amount,
        max_timeout_seconds: paywall.max_timeout_seconds,
    })
}
