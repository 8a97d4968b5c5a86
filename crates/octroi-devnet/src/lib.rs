//! A local EVM network of play money, inside the process.
//!
//! [`DevNet`] takes real signed transactions and executes them with revm in real blocks, under
//! the rules that a node applies to nonces, fees and balances. Its chain starts with a token that
//! speaks EIP-3009 ([`TOKEN_ADDRESS`]) and the batching contract that wallets expect
//! ([`MULTICALL_ADDRESS`]). It is spoken to in JSON-RPC: [`DevNet::handle`] for one call,
//! [`DevNet::handle_body`] for what arrives over HTTP.
//!
//! What it is not: a consensus client. Headers carry no Merkle roots (`stateRoot` is zero,
//! `transactionsRoot` and `receiptsRoot` are plain Keccak hashes of the lists), so nothing can be
//! proven to a light client; and no gas price, balance or key in it means anything elsewhere.
//!
//! With a directory ([`DevNetOptions::persist_path`]) everything survives a restart, also a kill,
//! but for the transactions that wait in the pool: like a node's, it lives in memory.
//!
//! Layer 2. Everything here is synchronous and holds no thread of its own: the owner calls
//! [`DevNet::tick`] a few times a second, and a call that executes transactions keeps its thread
//! busy for the milliseconds that they take.

mod account;
mod artifact;
mod block;
mod chain;
mod execution;
mod fee;
mod frame;
mod history;
mod log_index;
mod mining;
mod node;
mod options;
mod overlay;
mod pool;
mod record;
mod recovery;
mod rpc;
mod snapshot;
mod state;
mod store;
mod token;
mod transaction;

use octroi_types::Address;

pub use account::{TestAccount, test_account};
pub use artifact::Contract;
pub use node::{DevNet, DevNetError};
pub use options::{
    BaseFee, BlockTime, Clock, DevNetOptions, Finality, GenesisAccount, IdleBlocks, Retention,
    TokenOptions, system_clock,
};
pub use rpc::RpcErrorObject;
pub use store::StoreError;

/// Where the test token is, unless the options say otherwise.
pub const TOKEN_ADDRESS: Address = Address([
    0x7e, 0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
]);
/// The test token's EIP-712 domain name, unless the options say otherwise.
pub const TOKEN_NAME: &str = "TestUSD";
/// The test token's EIP-712 domain version, unless the options say otherwise.
pub const TOKEN_VERSION: &str = "1";
/// The decimals of the test token.
pub const TOKEN_DECIMALS: u8 = 6;
/// Where Multicall3 is on almost every EVM chain, and here.
pub const MULTICALL_ADDRESS: Address = Address([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17,
    0x39, 0x76, 0xca, 0x11,
]);
