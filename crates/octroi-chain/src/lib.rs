//! The chain: what it tells about payers, and the engine that settles on it.
//!
//! Layer 2. A [`Chain`] is one configured network. It answers whether a payer signed and has the
//! money ([`Chain::check_payer`]), settles claimed payments ([`Chain::settle`]), and waits for
//! finality ([`Chain::wait_level`]). It speaks to nodes through a [`Transport`]; whether our own
//! wallets or somebody else's [`Facilitator`] sends the transactions does not show outside.
//!
//! How a payment is settled by wallets:
//!
//! 1. It waits in a queue (`queue`). A free lane (`lane`: one wallet, one nonce sequence, one
//!    transaction in flight) takes what waits, up to a batch, without waiting for more.
//! 2. The lane checks windows, simulates (`simulate`), signs, and makes the signed transaction and
//!    its claims durable in one store call. Only then is it sent.
//! 3. It is followed (`follow`) until a block has it: sent again when it is lost, with a higher fee
//!    when it is stuck, from the store after a restart.
//! 4. The logs say what it did, claim by claim (`receipt`, `resolve`). A use of the authorization
//!    that was not ours is looked for in the logs (`uses`).
//! 5. Its block is watched until it is final (`finality`), by what counts as final there (`levels`).
//!    What vanishes with its block is sent again.
//! 6. Claims whose fate is unknown are asked about until the chain tells (`reconcile`).
//!
//! Rules 9 to 22 of docs/money.md are kept here. Nothing here decides what a fact means for a
//! claim or for the books: facts go to the store, which decides.

mod abi;
mod assets;
mod call;
mod chain;
mod delegate;
mod domain;
mod engine;
mod event;
mod facilitator;
mod fees;
mod finality;
mod follow;
#[cfg(fuzzing)]
pub mod fuzzing;
mod heads;
mod lane;
mod levels;
mod options;
mod outcome;
mod payer;
mod queue;
mod raise;
mod rebuild;
mod receipt;
mod reconcile;
mod resolve;
mod rpc;
mod send;
mod sequence;
mod simulate;
mod status;
mod token;
mod uses;
mod wallet;

pub use assets::StartError;
pub use chain::{Chain, ChainError};
pub use domain::read_domain;
pub use event::{SettlementEnd, SettlementEvent, SettlementHook};
pub use facilitator::{Facilitator, FacilitatorError, FacilitatorOptions};
pub use options::{AcceptedToken, ChainOptions, Level, MULTICALL3, Settler};
pub use outcome::{Included, SettleJob, SettleOutcome};
pub use rpc::{
    BlockHead, BlockTag, HttpTransport, HttpTransportOptions, Log, LogFilter, Rpc, RpcError,
    TransactionReceipt, Transport,
};
pub use status::{ChainStatus, LaneState, LaneStatus};
pub use wallet::{Wallet, WalletKeyError};
