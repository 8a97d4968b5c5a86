//! From the configuration's networks to running chains.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use octroi_app::SupportedAsset;
use octroi_chain::{
    AcceptedToken, Chain, ChainOptions, Facilitator, FacilitatorOptions, HttpTransport,
    HttpTransportOptions, SettlementEnd, SettlementEvent, SettlementHook, Settler, Transport,
    Wallet,
};
use octroi_config::{AssetConfig, NetworkConfig, Settlement};
use octroi_egress::Client;
use octroi_store::Store;
use octroi_telemetry::metrics::{NetworkMetrics, SettlementResult};
use octroi_types::{Address, ChainId, Mode, Redacted};
use octroi_x402::Token;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::LocalNodes;

/// The chains that payments are taken on.
pub(super) struct Chains {
    pub(super) by_id: HashMap<ChainId, Chain>,
    pub(super) names: Vec<(String, ChainId)>,
    tokens: HashMap<(ChainId, Address), (Arc<Token>, Mode)>,
}

impl Chains {
    pub(super) fn token(&self, chain: ChainId, asset: Address) -> Option<Arc<Token>> {
        self.tokens
            .get(&(chain, asset))
            .map(|(token, _)| Arc::clone(token))
    }

    /// What our own facilitator may settle: the tokens of networks that have wallets of ours.
    pub(super) fn assets(&self) -> Vec<SupportedAsset> {
        let ours = |chain| {
            self.by_id
                .get(chain)
                .is_some_and(|chain| !chain.signers().is_empty())
        };
        self.tokens
            .iter()
            .filter(|((chain, _), _)| ours(chain))
            .map(|(_, (token, mode))| SupportedAsset {
                token: Arc::clone(token),
                mode: *mode,
            })
            .collect()
    }
}

/// Starts every chain.
pub(super) async fn start(
    networks: &[NetworkConfig],
    local_nodes: &LocalNodes,
    egress: &Client,
    store: &Arc<dyn Store>,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> anyhow::Result<Chains> {
    let mut chains = Chains {
        by_id: HashMap::new(),
        names: Vec::new(),
        tokens: HashMap::new(),
    };
    for network in networks {
        let transport = transport(network, local_nodes, egress);
        let mut options = options(network, &transport, egress)
            .await
            .with_context(|| format!("network {}", network.name))?;
        // A node in this process tells as cheaply by the batch itself.
        options.simulate &= !local_nodes.contains_key(&network.chain);
        for accepted in &options.tokens {
            let key = (network.chain, accepted.token.address());
            chains
                .tokens
                .insert(key, (Arc::clone(&accepted.token), network.mode));
        }
        let chain = Chain::start(
            options,
            transport,
            Arc::clone(store),
            tasks.clone(),
            cancel.child_token(),
        )
        .await
        .with_context(|| format!("network {}", network.name))?;
        chains.names.push((network.name.clone(), network.chain));
        chains.by_id.insert(network.chain, chain);
    }
    Ok(chains)
}

fn transport(
    network: &NetworkConfig,
    local_nodes: &LocalNodes,
    egress: &Client,
) -> Arc<dyn Transport> {
    if let Some(node) = local_nodes.get(&network.chain) {
        return Arc::clone(node);
    }
    let urls = network
        .rpc_urls
        .iter()
        .map(|url| Redacted::new(url.expose().to_owned()))
        .collect();
    Arc::new(HttpTransport::new(
        HttpTransportOptions::new(urls),
        egress.clone(),
    ))
}

async fn options(
    network: &NetworkConfig,
    transport: &Arc<dyn Transport>,
    egress: &Client,
) -> anyhow::Result<ChainOptions> {
    let mut tokens = Vec::with_capacity(network.assets.len());
    for asset in &network.assets {
        tokens.push(accepted_token(network.chain, asset, transport).await?);
    }
    let settler = settler(network, egress)?;
    let mut options = ChainOptions::new(&network.name, network.chain, tokens, settler);
    options.block_time = network.block_time;
    options
        .erc6492_factories
        .clone_from(&network.erc6492_factories);
    options.multicall = network.multicall_address;
    options.final_confirmations = network.final_confirmations;
    options.on_settlement = measure_settlements(network.chain);
    if let Settlement::Wallets(wallets) = &network.settlement {
        options.batch_max = wallets.batch_max;
        options.gas_per_authorization = wallets.gas_per_authorization_max;
        options.max_fee_per_gas = wallets
            .max_fee_gwei
            .checked_mul(1_000_000_000)
            .context("max_fee_gwei is too large")?;
    }
    Ok(options)
}

fn measure_settlements(chain: ChainId) -> SettlementHook {
    let metrics = NetworkMetrics::of(chain);
    SettlementHook::new(move |event| match event {
        SettlementEvent::Opened { payments } => metrics.settlement_batch(payments),
        SettlementEvent::Ended { end, elapsed } => {
            let result = match end {
                SettlementEnd::Settled => SettlementResult::Settled,
                SettlementEnd::Failed => SettlementResult::Failed,
                SettlementEnd::Unknown => SettlementResult::Unknown,
            };
            metrics.settlement_finished(result, elapsed);
        }
    })
}

/// A token with its domain: from the file, or read from the contract where the file leaves it out.
async fn accepted_token(
    chain: ChainId,
    asset: &AssetConfig,
    transport: &Arc<dyn Transport>,
) -> anyhow::Result<AcceptedToken> {
    let token = match (&asset.name, &asset.version) {
        (Some(name), Some(version)) => Token::new(chain, asset.address, name, version),
        _ => {
            let (name, version) = octroi_chain::read_domain(transport, asset.address)
                .await
                .with_context(|| {
                    format!(
                        "the EIP-712 name and version of {} are not in the configuration and \
                         cannot be read from the chain",
                        asset.address
                    )
                })?;
            let name = asset.name.clone().unwrap_or(name);
            let version = asset.version.clone().unwrap_or(version);
            Token::new(chain, asset.address, &name, &version)
        }
    };
    Ok(AcceptedToken {
        token: Arc::new(token),
        decimals: asset.decimals,
    })
}

fn settler(network: &NetworkConfig, egress: &Client) -> anyhow::Result<Settler> {
    match &network.settlement {
        Settlement::Wallets(wallets) => {
            let wallets = wallets
                .keys
                .iter()
                .map(|key| Wallet::from_hex(&key.expose().to_string()).context("a wallet key"))
                .collect::<anyhow::Result<Vec<_>>>()?;
            if wallets.is_empty() {
                bail!("no settlement wallet");
            }
            Ok(Settler::Wallets(wallets))
        }
        Settlement::Facilitator(remote) => {
            let mut options = FacilitatorOptions::new(remote.url.expose());
            options.bearer.clone_from(&remote.bearer);
            Ok(Settler::Facilitator(Arc::new(Facilitator::new(
                options,
                egress.clone(),
            ))))
        }
    }
}
