//! What the process knows of itself.

use octroi_api::{Operations, Readiness};
use octroi_app::Upkeep;
use octroi_chain::Chain;
use octroi_telemetry::metrics::{self, NetworkMetrics, WalletMetrics};

use super::chains::Chains;

pub(crate) struct GateOperations {
    upkeep: Upkeep,
    chains: Vec<(String, Chain)>,
}

impl GateOperations {
    pub(super) fn new(upkeep: Upkeep, chains: &Chains) -> Self {
        let chains = chains
            .names
            .iter()
            .filter_map(|(name, id)| Some((name.clone(), chains.by_id.get(id)?.clone())))
            .collect();
        Self { upkeep, chains }
    }
}

impl Operations for GateOperations {
    /// Ready while the store takes writes and at least one chain can be asked: a gate that can sell
    /// on one of two networks should go on selling.
    fn readiness(&self) -> Readiness {
        let store = self.upkeep.store_takes_writes();
        let mut parts = vec![("store".to_owned(), store)];
        let mut any_chain = self.chains.is_empty();
        for (name, chain) in &self.chains {
            let ready = chain.is_ready();
            any_chain |= ready;
            parts.push((format!("network:{name}"), ready));
        }
        Readiness {
            ready: store && any_chain,
            parts,
        }
    }

    fn metrics(&self) -> String {
        self.chains.iter().for_each(|(_, chain)| measure(chain));
        metrics::render()
    }
}

/// What a chain and its wallets are like at this moment.
fn measure(chain: &Chain) {
    const WEI_PER_GWEI: u128 = 1_000_000_000;
    let status = chain.status();
    NetworkMetrics::of(chain.id()).settlement_queue(status.waiting as u64);
    for lane in status.lanes {
        let metrics = WalletMetrics::of(chain.id(), lane.wallet);
        if let Some(wei) = lane.balance_wei {
            metrics.balance_gwei(u64::try_from(wei / WEI_PER_GWEI).unwrap_or(u64::MAX));
        }
        if let Some(nonce) = lane.next_nonce {
            metrics.next_nonce(nonce);
        }
    }
}
