//! What a chain is configured with.

use std::sync::Arc;
use std::time::Duration;

use octroi_types::{Address, ChainId};
use octroi_x402::{Terms, Token};

use crate::call::TransferCall;
use crate::event::SettlementHook;
use crate::facilitator::Facilitator;
use crate::wallet::Wallet;

/// The address at which Multicall3 is deployed on nearly every chain.
pub const MULTICALL3: Address = Address([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17,
    0x39, 0x76, 0xca, 0x11,
]);

/// Gas of a transaction beside what its calls use.
pub(crate) const TRANSACTION_GAS: u64 = 60_000;

/// Who sends the settlements of a chain.
#[derive(Debug, Clone)]
pub enum Settler {
    /// Our own wallets.
    Wallets(Vec<Wallet>),
    /// Somebody else's facilitator.
    Facilitator(Arc<Facilitator>),
}

/// A token that is accepted.
#[derive(Debug, Clone)]
pub struct AcceptedToken {
    /// Contract and EIP-712 domain.
    pub token: Arc<Token>,
    /// Decimals of its smallest unit, checked against the contract.
    pub decimals: u8,
}

/// How sure a settlement must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// In a block.
    #[default]
    Included,
    /// In a block that is unlikely to be replaced.
    Safe,
    /// In a block that cannot be replaced.
    Final,
}

/// One chain's settings.
#[derive(Debug, Clone)]
pub struct ChainOptions {
    /// Its name in the configuration, for logs and metrics.
    pub name: String,
    /// The chain.
    pub chain: ChainId,
    /// Tokens that are accepted; everything else is refused (money rule 20).
    pub tokens: Vec<AcceptedToken>,
    /// Who settles.
    pub settler: Settler,
    /// Time between blocks: how old cached facts may be, and how often to look.
    pub block_time: Duration,
    /// Most authorizations in one transaction.
    pub batch_max: usize,
    /// Gas for one authorization of a plain account.
    pub gas_per_authorization: u64,
    /// Gas for one authorization of a wallet contract.
    pub gas_per_wallet_authorization: u64,
    /// Gas for the deployment of a payer's wallet.
    pub gas_per_deployment: u64,
    /// Never pay more than this for gas, in wei.
    pub max_fee_per_gas: u64,
    /// Tip, in wei per gas, where the node suggests none.
    pub priority_fee_per_gas: u64,
    /// Factories that may deploy a payer's wallet (ERC-6492). Empty refuses all.
    pub erc6492_factories: Vec<Address>,
    /// The Multicall3 contract.
    pub multicall: Address,
    /// Whether a batch is simulated before it is sent, so that a payment that cannot succeed is
    /// refused while nothing is public. What is not simulated is sent, reverts, and stays of unknown
    /// fate until its window has ended.
    pub simulate: bool,
    /// The same for a payment that travels alone. Under load few do, so this costs nothing where
    /// calls are cheap.
    pub simulate_single: bool,
    /// Blocks without inclusion before the fee is raised.
    pub bump_after_blocks: u32,
    /// How far apart `validBefore` and now must be when a settlement is sent.
    pub send_margin: Duration,
    /// Most blocks in one log search.
    pub log_blocks_max: u64,
    /// Blocks on top of a block that make it final; half as many, rounded up, make it safe. `None`
    /// leaves both to the node's tags, and where it has none, final takes 256.
    pub final_confirmations: Option<u64>,
    /// Told of every settlement.
    pub on_settlement: SettlementHook,
}

impl ChainOptions {
    /// The defaults for a chain.
    #[must_use]
    pub fn new(name: &str, chain: ChainId, tokens: Vec<AcceptedToken>, settler: Settler) -> Self {
        Self {
            name: name.to_owned(),
            chain,
            tokens,
            settler,
            block_time: Duration::from_secs(2),
            batch_max: 64,
            gas_per_authorization: 120_000,
            gas_per_wallet_authorization: 400_000,
            gas_per_deployment: 1_500_000,
            max_fee_per_gas: 100_000_000_000,
            priority_fee_per_gas: 1_000_000,
            erc6492_factories: Vec::new(),
            multicall: MULTICALL3,
            simulate: true,
            simulate_single: true,
            bump_after_blocks: 3,
            send_margin: Duration::from_secs(4),
            log_blocks_max: 2_000,
            final_confirmations: None,
            on_settlement: SettlementHook::default(),
        }
    }

    /// The token at an address, if it is accepted.
    pub(crate) fn token(&self, address: Address) -> Option<&AcceptedToken> {
        self.tokens
            .iter()
            .find(|accepted| accepted.token.address() == address)
    }

    /// Whether terms are in a token of this chain that is accepted.
    pub(crate) fn accepts(&self, terms: &Terms) -> bool {
        self.token(terms.asset())
            .is_some_and(|accepted| *accepted.token == *terms.token)
    }

    /// The gas limit of a transaction with these calls: what each may use at most, and the
    /// transaction's own cost.
    pub(crate) fn gas_limit(&self, calls: &[&TransferCall]) -> u64 {
        calls.iter().fold(TRANSACTION_GAS, |gas, call| {
            let own = if call.shares() {
                self.gas_per_authorization
            } else {
                self.gas_per_wallet_authorization
            };
            gas.saturating_add(own)
        })
    }
}
