//! What keeps the books straight without a request: heartbeat, recovery, pruning.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use octroi_claim::NodeId;
use octroi_store::{Store, StoreError};
use octroi_telemetry::chain;
use octroi_telemetry::metrics::NetworkMetrics;
use octroi_types::{ChainId, UnixMicros, UnixSeconds};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How often things are looked after.
#[derive(Debug, Clone)]
pub struct UpkeepOptions {
    /// This process.
    pub node: NodeId,
    /// How long this node is believed alive after a beat.
    pub lease: Duration,
    /// Time between beats, well below the lease.
    pub beat: Duration,
    /// Time between looks for claims of dead nodes.
    pub recovery: Duration,
    /// Time between drops of old claims.
    pub prune: Duration,
    /// How long a claim is kept after its authorization ended (money rule 32).
    pub keep: Duration,
}

impl UpkeepOptions {
    /// The defaults for one process.
    #[must_use]
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            lease: Duration::from_secs(30),
            beat: Duration::from_secs(5),
            recovery: Duration::from_secs(10),
            prune: Duration::from_secs(60 * 60),
            keep: Duration::from_secs(48 * 60 * 60),
        }
    }
}

/// The upkeep of one node.
#[derive(Clone)]
pub struct Upkeep {
    options: UpkeepOptions,
    store: Arc<dyn Store>,
    store_takes_writes: Arc<AtomicBool>,
}

impl Upkeep {
    /// Prepares the upkeep.
    #[must_use]
    pub fn new(options: UpkeepOptions, store: Arc<dyn Store>) -> Self {
        Self {
            options,
            store,
            store_takes_writes: Arc::default(),
        }
    }

    /// Announces this node and finishes what earlier ones left open. Comes before the first
    /// request.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(&self) -> Result<usize, StoreError> {
        self.beat().await?;
        self.recover_all().await
    }

    /// Runs until cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        let mut beat = tokio::time::interval(self.options.beat);
        let mut recovery = tokio::time::interval(self.options.recovery);
        let mut prune = tokio::time::interval(self.options.prune);
        let mut unknown = HashMap::new();
        loop {
            let done = tokio::select! {
                () = cancel.cancelled() => return,
                _ = beat.tick() => self.beat().await,
                _ = recovery.tick() => self.look(&mut unknown).await,
                _ = prune.tick() => self.prune().await,
            };
            if let Err(error) = done {
                error!(error = %chain(&error), "upkeep failed and is tried again");
            }
        }
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let now = UnixMicros::now();
        let beaten = self
            .store
            .node_beat(self.options.node, now.plus(self.options.lease), now)
            .await;
        self.store_takes_writes
            .store(beaten.is_ok(), Ordering::Relaxed);
        beaten
    }

    /// Whether the last heartbeat, which is a durable write, went through.
    #[must_use]
    pub fn store_takes_writes(&self) -> bool {
        self.store_takes_writes.load(Ordering::Relaxed)
    }

    async fn look(&self, unknown: &mut HashMap<ChainId, u64>) -> Result<(), StoreError> {
        self.recover_all().await?;
        self.count_unknown(unknown).await
    }

    /// Counts the payments whose fate is not known, for the metrics. `counts` holds every chain that
    /// had any.
    async fn count_unknown(&self, counts: &mut HashMap<ChainId, u64>) -> Result<(), StoreError> {
        const COUNTED_MAX: usize = 4_096;
        let claims = self.store.claims_unknown(COUNTED_MAX).await?;
        counts.values_mut().for_each(|count| *count = 0);
        for claim in &claims {
            *counts.entry(claim.terms.chain).or_default() += 1;
        }
        for (chain, count) in counts {
            NetworkMetrics::of(*chain).settlements_unknown(*count);
        }
        Ok(())
    }

    async fn recover_all(&self) -> Result<usize, StoreError> {
        const BATCH: usize = 256;
        let mut recovered = 0;
        loop {
            let claims = self
                .store
                .claims_recover(self.options.node, BATCH, UnixMicros::now())
                .await?;
            recovered += claims.len();
            if claims.len() < BATCH {
                break;
            }
        }
        if recovered > 0 {
            info!(claims = recovered, "recovered claims of nodes that died");
        }
        Ok(recovered)
    }

    async fn prune(&self) -> Result<(), StoreError> {
        let before = UnixMicros::now()
            .seconds()
            .0
            .saturating_sub(self.options.keep.as_secs());
        let dropped = self.store.claims_prune(UnixSeconds(before)).await?;
        if dropped > 0 {
            info!(claims = dropped, "dropped claims that ended long ago");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use octroi_claim::{PaymentState, WorkState};
    use octroi_store::Fact;
    use octroi_store::conformance::{CHAIN, MemoryBackend, Payment, Suite};
    use octroi_telemetry::metrics;

    use super::*;

    #[tokio::test]
    async fn payments_of_unknown_fate_are_counted_until_it_is_known() {
        let suite = Suite::open(&MemoryBackend::default()).await;
        let upkeep = Upkeep::new(UpkeepOptions::new(NodeId(1)), Arc::clone(&suite.store));
        let mut counts = HashMap::new();
        let shown = |count| format!("octroi_settlements_unknown{{network=\"{CHAIN}\"}} {count}\n");

        let claim = suite
            .bring(&Payment::new(1), PaymentState::Unknown, WorkState::Answered)
            .await
            .unwrap();
        upkeep.count_unknown(&mut counts).await.unwrap();
        assert!(metrics::render().contains(&shown(1)));

        suite.fact(&claim, Fact::Failed).await;
        upkeep.count_unknown(&mut counts).await.unwrap();
        assert!(metrics::render().contains(&shown(0)));
    }
}
