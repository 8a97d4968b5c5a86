//! Putting the gate together from its configuration, top to bottom.

mod acme;
mod catalogue;
mod chains;
mod handler;
mod offers;
mod operations;
mod server;
mod surfaces;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use octroi_app::{
    CountedStore, DenyList, FacilitatorDesk, Payments, PaymentsOptions, Upkeep, UpkeepOptions,
};
use octroi_chain::Transport;
use octroi_claim::NodeId;
use octroi_config::{Config, Settlement};
use octroi_egress::{AddressPolicy, Client, ClientOptions, Target, TrustRoots};
use octroi_proxy::{Gate, GateOptions};
use octroi_server::Server;
use octroi_store::Store;
use octroi_store_sqlite::{Commit, SqliteOptions, SqliteStore};
use octroi_telemetry::metrics;
use octroi_types::ChainId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// Nodes in this process, by the chain that they serve; asked in place of the configured URLs.
pub type LocalNodes = HashMap<ChainId, Arc<dyn Transport>>;

/// What a gate is put together with beside its configuration.
pub struct WireOptions {
    /// Nodes in this process.
    pub local_nodes: LocalNodes,
    /// Keeps claims, books and events in place of the configured file. Its owner closes it.
    pub store: Option<Arc<dyn Store>>,
    /// Whose certificates are believed on the way out.
    pub trust_roots: TrustRoots,
    /// Times of payments; their deny list is the configured one.
    pub payments: PaymentsOptions,
    /// Times of upkeep.
    pub upkeep: UpkeepOptions,
}

impl WireOptions {
    /// As `octroi serve` has them, for a process of its own.
    ///
    /// # Errors
    /// If the system has no randomness for the process's number.
    pub fn new() -> anyhow::Result<Self> {
        let node = node_id()?;
        Ok(Self {
            local_nodes: LocalNodes::new(),
            store: None,
            trust_roots: TrustRoots::public(),
            payments: PaymentsOptions::new(node),
            upkeep: UpkeepOptions::new(node),
        })
    }
}

/// A gate that is bound and recovered, and takes requests once [`Wired::run`] is called.
pub struct Wired {
    server: Server,
    handler: handler::GateHandler,
    /// The configured store; none if the store is somebody else's to close.
    own_store: Option<Arc<SqliteStore>>,
    upkeep: Upkeep,
    /// What requests began: it goes on when their clients have left.
    exchanges: TaskTracker,
    /// Ends connections that were upgraded.
    joined: CancellationToken,
    /// What runs without requests.
    tasks: TaskTracker,
    /// Ends it, after the last exchange.
    background: CancellationToken,
    drain_timeout: Duration,
}

/// Builds everything and binds the listeners. Nothing is bound before the configuration is known
/// to be good and the store is open.
///
/// # Errors
/// What of the configuration does not fit the machine: the store, a chain, an origin, a listener.
pub async fn wire(config: Config, options: WireOptions) -> anyhow::Result<Wired> {
    let WireOptions {
        local_nodes,
        store,
        trust_roots,
        payments,
        upkeep,
    } = options;
    let (exchanges, tasks) = (TaskTracker::new(), TaskTracker::new());
    let (joined, background) = (CancellationToken::new(), CancellationToken::new());
    let (store, own_store) = match store {
        Some(store) => (store, None),
        None => {
            let own = Arc::new(open_store(&config)?);
            (Arc::clone(&own) as Arc<dyn Store>, Some(own))
        }
    };
    let store: Arc<dyn Store> = Arc::new(CountedStore::new(store));
    let upkeep = Upkeep::new(upkeep, Arc::clone(&store));
    upkeep
        .start()
        .await
        .context("cannot recover what an earlier run left open")?;

    let egress = egress(&config, trust_roots)?;
    let chains = chains::start(
        &config.networks,
        &local_nodes,
        &egress,
        &store,
        &tasks,
        &background,
    )
    .await?;
    let payments = PaymentsOptions {
        deny_list: DenyList::from(config.screening.addresses.clone()),
        ..payments
    };
    let payments = Payments::new(
        payments,
        Arc::clone(&store),
        chains.by_id.clone(),
        exchanges.clone(),
    );
    // An offer is written down when nothing can keep it from being made any more, and before a
    // request is answered with it.
    let server = server::bind(&config, &egress)?;
    let honoured = offers::publish(&config, &chains, &store).await?;
    let catalogue = catalogue::build(&config, &chains, &honoured, &egress)?;
    let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
    let operations = Arc::new(operations::GateOperations::new(upkeep.clone(), &chains));
    let desk = FacilitatorDesk::new(payments.clone(), config.tenant.id, chains.assets());
    let surfaces = surfaces::GateSurfaces::new(&config, operations, desk);
    let limits = GateOptions {
        body_buffer_bytes: config.server.limits.body_buffer_bytes,
        body_bytes_max: config.server.limits.body_bytes_max,
        body_pause_max: config.server.limits.body_read_timeout,
    };
    let gate = Gate::new(
        &limits,
        catalogue,
        Arc::new(surfaces.clone()),
        payments,
        exchanges.clone(),
        joined.clone(),
    );
    let handler = handler::GateHandler::new(gate, surfaces, &config.server);
    let drain_timeout = config.server.drain_timeout;
    Ok(Wired {
        server,
        handler,
        own_store,
        upkeep,
        exchanges,
        joined,
        tasks,
        background,
        drain_timeout,
    })
}

fn open_store(config: &Config) -> anyhow::Result<SqliteStore> {
    let path = &config.store.path;
    let options = SqliteOptions {
        on_commit: Some(Arc::new(measure_commit)),
        ..SqliteOptions::default()
    };
    SqliteStore::open(path, options)
        .with_context(|| format!("cannot open the store {}", path.display()))
}

fn measure_commit(commit: &Commit) {
    metrics::store_committed(commit.calls, commit.elapsed);
    metrics::store_queue(commit.waiting as u64);
}

impl Wired {
    /// Where the gate listens; the first is where buyers come.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<SocketAddr> {
        self.server
            .local_addresses()
            .into_iter()
            .map(|(_, address)| address)
            .collect()
    }

    /// Answers requests until `shutdown`, then ends in order: no new connections, requests
    /// finish, exchanges and settlements that were begun are seen through, the store closes last.
    /// What takes longer than the drain time-out is left to the recovery of the next start.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            server,
            handler,
            exchanges,
            tasks,
            background,
            ..
        } = self;
        tasks.spawn(self.upkeep.run(background.clone()));
        let drained = server.serve(handler, shutdown).await;
        if drained.requests_aborted > 0 {
            warn!(
                requests = drained.requests_aborted,
                "the drain time-out cut requests off"
            );
        }
        self.joined.cancel();
        exchanges.close();
        if tokio::time::timeout(self.drain_timeout, exchanges.wait())
            .await
            .is_err()
        {
            warn!(
                exchanges = exchanges.len(),
                "the drain time-out cut exchanges off"
            );
        }
        background.cancel();
        tasks.close();
        tasks.wait().await;
        if let Some(store) = self.own_store {
            store.close().await;
        }
        info!("stopped");
    }
}

/// The way out. What the operator's own file names is allowed exactly as declared, a node or a
/// facilitator on this machine too; everything else must be public.
fn egress(config: &Config, roots: TrustRoots) -> anyhow::Result<Client> {
    let mut policy = AddressPolicy::public_only();
    for network in &config.networks {
        let facilitator = match &network.settlement {
            Settlement::Facilitator(remote) => Some(&remote.url),
            Settlement::Wallets(_) => None,
        };
        for url in network.rpc_urls.iter().chain(facilitator) {
            let target = Target::parse(&url.base().to_string())
                .with_context(|| format!("network {}: {url}", network.name))?;
            policy = policy.allow_target(target.host().clone(), target.port());
        }
    }
    Client::new(ClientOptions {
        policy,
        roots,
        ..ClientOptions::default()
    })
    .context("cannot set up outgoing TLS")
}

/// A number that no other process of this installation has.
fn node_id() -> anyhow::Result<NodeId> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    // Columns are signed.
    Ok(NodeId(u64::from_le_bytes(bytes) >> 1))
}
