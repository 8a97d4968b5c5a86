//! The chain: a local EVM network of play money under the name of Base Sepolia.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use octroi_devnet::{
    BaseFee, BlockTime, Contract, DevNet, DevNetOptions, GenesisAccount, TestAccount, TokenOptions,
    test_account,
};
use octroi_types::{
    Address, Amount, B256, ChainId, KnownNetwork, UnixMicros, UnixSeconds, keccak256,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::buyer::Buyer;

/// Who is paid.
pub const PAYEE: Address = Address([0xbe; 20]);
/// The chain that the network plays.
pub const CHAIN: ChainId = ChainId(84_532);
/// The token, where the USDC of that chain is.
pub const TOKEN: Address = Address([
    0x03, 0x6c, 0xbd, 0x53, 0x84, 0x2c, 0x54, 0x26, 0x63, 0x4e, 0x79, 0x29, 0x54, 0x1e, 0xc2, 0x31,
    0x8f, 0x3d, 0xcf, 0x7e,
]);
/// Settlement wallets that have gas; those after them are strangers with gas.
const WALLETS: u32 = 2;
const STRANGERS: u32 = 2;
const FIRST_BUYER: u32 = 100;
/// A thousand dollars.
const BUYER_UNITS: u64 = 1_000_000_000;
const GAS_WEI: u128 = 1_000_000_000_000_000_000_000;
const BASE_FEE_WEI: u64 = 1_000_000_000;

/// A local chain whose clock the test can move on.
pub struct Net {
    devnet: Arc<DevNet>,
    ahead_seconds: Arc<AtomicU64>,
    buyers: AtomicU32,
    /// Where tokens are.
    tokens: Mutex<Vec<Address>>,
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Net {
    /// A chain that makes a block as soon as a transaction arrives.
    #[must_use]
    pub fn new() -> Self {
        Self::with(CHAIN, BlockTime::Instant)
    }

    /// A chain that makes blocks only when it is told to.
    #[must_use]
    pub fn by_hand() -> Self {
        Self::with(CHAIN, BlockTime::Manual)
    }

    /// As [`Self::new`], under another chain's number.
    #[must_use]
    pub fn of(chain: ChainId) -> Self {
        Self::with(chain, BlockTime::Instant)
    }

    fn with(chain: ChainId, block_time: BlockTime) -> Self {
        let usdc = KnownNetwork::by_name("base-sepolia").unwrap().usdc.unwrap();
        assert_eq!(usdc.address, TOKEN);
        let ahead_seconds = Arc::new(AtomicU64::new(0));
        let ahead = Arc::clone(&ahead_seconds);
        let account = |index| GenesisAccount {
            address: test_account(index).address,
            tokens: Amount::ZERO,
            wei: GAS_WEI,
        };
        let devnet = DevNet::open(DevNetOptions {
            block_time,
            base_fee: BaseFee::Constant(BASE_FEE_WEI),
            token: TokenOptions {
                address: usdc.address,
                name: usdc.name.unwrap().to_owned(),
                version: usdc.version.unwrap().to_owned(),
                owner: test_account(0).address,
            },
            accounts: (0..WALLETS + STRANGERS).map(account).collect(),
            clock: Arc::new(move || now().plus(ahead.load(Ordering::Relaxed))),
            ..DevNetOptions::new(chain)
        });
        let (devnet, buyers) = (Arc::new(devnet.unwrap()), AtomicU32::new(FIRST_BUYER));
        Self {
            devnet,
            ahead_seconds,
            buyers,
            tokens: Mutex::new(vec![TOKEN]),
        }
    }

    /// The network behind it.
    #[must_use]
    pub fn devnet(&self) -> Arc<DevNet> {
        Arc::clone(&self.devnet)
    }

    /// The accounts that settle.
    pub fn wallets(&self) -> impl Iterator<Item = TestAccount> {
        (0..WALLETS).map(test_account)
    }

    /// An account with gas that has nothing to do with the gate.
    #[must_use]
    pub fn stranger(&self) -> TestAccount {
        test_account(WALLETS)
    }

    /// A new buyer with a thousand dollars.
    #[must_use]
    pub fn buyer(&self) -> Buyer {
        self.buyer_with(BUYER_UNITS)
    }

    /// A new buyer with so much, in the token's smallest unit.
    #[must_use]
    pub fn buyer_with(&self, units: u64) -> Buyer {
        let account = test_account(self.buyers.fetch_add(1, Ordering::Relaxed));
        self.devnet.fund(account.address, amount(units), 0).unwrap();
        Buyer::new(&account)
    }

    /// One JSON-RPC call, past every fault.
    pub fn rpc(&self, method: &str, params: &Value) -> Value {
        self.devnet
            .handle(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Puts another token there, of which these have a thousand dollars each. Returns where.
    pub fn add_token(&self, name: &str, version: &str, holders: &[Address]) -> Address {
        let mut tokens = self.tokens.lock();
        let token = TokenOptions {
            address: Address([u8::try_from(tokens.len()).unwrap(); 20]),
            name: name.to_owned(),
            version: version.to_owned(),
            owner: test_account(0).address,
        };
        let holders: Vec<_> = holders
            .iter()
            .map(|holder| (*holder, amount(BUYER_UNITS)))
            .collect();
        self.devnet
            .deploy_token(Contract::TestUsd, &token, &holders)
            .unwrap();
        tokens.push(token.address);
        token.address
    }

    /// What an account has of all tokens, in their smallest units.
    #[must_use]
    pub fn all_tokens(&self, holder: Address) -> u64 {
        let tokens = self.tokens.lock().clone();
        tokens
            .iter()
            .map(|token| self.tokens_of(*token, holder))
            .sum()
    }

    /// What an account has of the token, in its smallest unit.
    #[must_use]
    pub fn tokens(&self, holder: Address) -> u64 {
        self.tokens_of(TOKEN, holder)
    }

    /// What an account has of this token, in its smallest unit.
    #[must_use]
    pub fn tokens_of(&self, token: Address, holder: Address) -> u64 {
        let data = [&keccak256(b"balanceOf(address)").0[..4], &holder.to_word()].concat();
        let call = json!([{ "to": token, "data": format!("0x{}", hex::encode(data)) }, "latest"]);
        number(&self.rpc("eth_call", &call))
    }

    /// Whether an authorization was used.
    #[must_use]
    pub fn is_used(&self, payer: Address, nonce: B256) -> bool {
        let selector = &keccak256(b"authorizationState(address,bytes32)").0[..4];
        let data = [selector, &payer.to_word(), &nonce.0].concat();
        let call = json!([{ "to": TOKEN, "data": format!("0x{}", hex::encode(data)) }, "latest"]);
        number(&self.rpc("eth_call", &call)) == 1
    }

    /// How many transactions an account has sent that are in blocks.
    #[must_use]
    pub fn sent_by(&self, account: Address) -> u64 {
        number(&self.rpc("eth_getTransactionCount", &json!([account, "latest"])))
    }

    /// The newest block's number.
    #[must_use]
    pub fn height(&self) -> u64 {
        number(&self.rpc("eth_blockNumber", &json!([])))
    }

    /// Makes blocks.
    pub fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", &json!([blocks]));
    }

    /// Replaces the newest blocks by empty ones; their transactions are lost.
    pub fn reorg(&self, depth: u64) {
        self.rpc("anvil_reorg", &json!([depth]));
    }

    /// Lets time pass on the chain, and makes blocks until it is final.
    pub fn pass(&self, seconds: u64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
        self.mine(4);
    }
}

/// An amount in the token's smallest unit.
#[must_use]
pub fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

/// Now, by the wall clock.
#[must_use]
pub(crate) fn now() -> UnixSeconds {
    UnixMicros::now().seconds()
}

fn number(quantity: &Value) -> u64 {
    let digits = quantity
        .as_str()
        .unwrap()
        .trim_start_matches("0x")
        .trim_start_matches('0');
    if digits.is_empty() {
        0
    } else {
        u64::from_str_radix(digits, 16).unwrap()
    }
}
