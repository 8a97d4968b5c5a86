//! Octroi among other people's software: a real EVM node with Circle's token on it, the official x402
//! clients, sellers and facilitator as they are published, and misbehaving origins behind the gate.
//!
//! Everything runs as separate processes on loopback, takes any free port, and ends with the value that
//! started it. `cargo xtask fetch` installs what is not ours.
//!
//! Every wait is for a condition, and gives up after [`PATIENCE`] with what it waited for.

mod abi;
mod accounts;
mod anvil;
mod base_sepolia;
mod gate;
mod http;
mod installed;
mod listener;
mod market;
mod official;
mod origin;
mod payment;
mod process;
mod relay;
mod rpc;
mod service;
mod usdc;
mod wait;

use std::time::Duration;

pub use abi::{Arg, calldata};
pub use accounts::{Account, BUYERS, FACILITATOR, GATE_WALLET, OWNER, PAYEE};
pub use anvil::Anvil;
pub use base_sepolia::{BaseSepolia, MULTICALL3, PERMIT2};
pub use gate::{FACILITATOR_TOKEN, Gate, Transaction};
pub use http::{Http, Reply};
pub use market::{AFTER, FIRST, Market, SITE_HOST, Settler, Setup};
pub use official::{
    Buyer, Order, PAID_PATH, PRICE, Purchase, Seller, express_stack, facilitator, known_assets,
    sign_payments, streaming_buyer,
};
pub use origin::{EventStream, Origin, Seen, pattern_sha256};
pub use payment::{Draft, Payment, Terms, base64, encoded, unix_seconds};
pub use process::Process;
pub use relay::{ANY, Fault, Relay};
pub use rpc::{Receipt, Rpc};
pub use service::Service;
pub use usdc::{BASE_SEPOLIA_USDC, Usdc};
pub use wait::eventually;

/// How long a wait lasts before it counts as a failure: far longer than anything takes on a loaded
/// two-core machine, because a wait that ends early tells nothing.
pub const PATIENCE: Duration = Duration::from_secs(90);
