//! What a network is opened with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use octroi_types::{Address, Amount, ChainId, UnixMicros, UnixSeconds};

use crate::{TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION, test_account};

/// Tells the time. Tests hand in one that they move.
pub type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// The wall clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| UnixMicros::now().seconds())
}

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockTime {
    /// As soon as a transaction arrives; [`crate::DevNet::tick`] adds the idle blocks.
    Instant,
    /// Every so often, by [`crate::DevNet::tick`]. Block times are whole seconds, so the interval
    /// is rounded up to those.
    Interval(Duration),
    /// Only when asked (`evm_mine`).
    Manual,
}

/// The price of gas that is burned, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseFee {
    /// The same in every block, unless `anvil_setNextBlockBaseFeePerGas` changes one.
    Constant(u64),
    /// Follows the use of the blocks (EIP-1559), starting here.
    Eip1559(u64),
}

/// How many blocks a block must lie behind the newest one to be called safe or finalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finality {
    /// Depth of the `safe` block.
    pub safe_depth: u64,
    /// Depth of the `finalized` block.
    pub finalized_depth: u64,
}

/// When a network with instant blocks makes an empty one, so that time goes on and payments
/// become final although nobody pays. Whole seconds, as block times are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleBlocks {
    /// The age of the newest block while some transaction is not final yet.
    pub unfinalized: Duration,
    /// The age of the newest block when everything is final.
    pub quiet: Duration,
}

/// How much of the past is kept. The state is always kept whole; transactions, receipts and logs
/// of older blocks are forgotten. The newest 256 blocks are kept in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// At most so many blocks.
    pub blocks: usize,
    /// At most so many bytes of them, as they are encoded.
    pub bytes: usize,
}

/// An account of a new network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenesisAccount {
    /// The account.
    pub address: Address,
    /// Its test tokens.
    pub tokens: Amount,
    /// Its native coin, wei.
    pub wei: u128,
}

/// The test token of a new network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// Where it is. A client that knows the address of a public token pays unchanged when the
    /// test token is put there, under that token's domain.
    pub address: Address,
    /// EIP-712 domain name, at most 31 bytes.
    pub name: String,
    /// EIP-712 domain version, at most 31 bytes.
    pub version: String,
    /// Who may call `mint`.
    pub owner: Address,
}

/// How to open a network. What concerns its first block (`genesis_time`, `accounts`, `token`) is
/// used when it is created and ignored when an existing one is reopened.
#[derive(Clone)]
pub struct DevNetOptions {
    /// The chain.
    pub chain_id: ChainId,
    /// The time of the first block.
    pub genesis_time: UnixSeconds,
    /// The directory that keeps the network; without one it lives in memory.
    pub persist_path: Option<PathBuf>,
    /// When blocks are made.
    pub block_time: BlockTime,
    /// Empty blocks of an instant network.
    pub idle_blocks: IdleBlocks,
    /// The price of gas.
    pub base_fee: BaseFee,
    /// The most gas that one block uses.
    pub block_gas_limit: u64,
    /// When blocks are final.
    pub finality: Finality,
    /// How much of the past is kept.
    pub retention: Retention,
    /// The test token.
    pub token: TokenOptions,
    /// The accounts that have something from the start.
    pub accounts: Vec<GenesisAccount>,
    /// The time.
    pub clock: Clock,
}

impl DevNetOptions {
    /// An instant network in memory that starts now by the wall clock, with ten funded
    /// [test accounts](test_account).
    #[must_use]
    pub fn new(chain_id: ChainId) -> Self {
        let clock = system_clock();
        Self {
            chain_id,
            genesis_time: clock(),
            persist_path: None,
            block_time: BlockTime::Instant,
            idle_blocks: IdleBlocks {
                unfinalized: Duration::from_secs(1),
                quiet: Duration::from_secs(12),
            },
            base_fee: BaseFee::Constant(1_000_000_000),
            block_gas_limit: 60_000_000,
            finality: Finality {
                safe_depth: 0,
                finalized_depth: 2,
            },
            retention: Retention {
                blocks: 50_000,
                bytes: 256 << 20,
            },
            token: TokenOptions {
                address: TOKEN_ADDRESS,
                name: TOKEN_NAME.to_owned(),
                version: TOKEN_VERSION.to_owned(),
                owner: test_account(0).address,
            },
            accounts: (0..10).map(funded).collect(),
            clock,
        }
    }
}

fn funded(index: u32) -> GenesisAccount {
    GenesisAccount {
        address: test_account(index).address,
        tokens: Amount::new(1_000_000_000_000).unwrap_or(Amount::MAX),
        wei: 10_000_000_000_000_000_000_000,
    }
}

impl fmt::Debug for DevNetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevNetOptions")
            .field("chain_id", &self.chain_id)
            .field("persist_path", &self.persist_path)
            .field("block_time", &self.block_time)
            .finish_non_exhaustive()
    }
}
