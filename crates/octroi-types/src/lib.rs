//! The words every other crate speaks: typed ids, money, networks, error codes.
//!
//! Layer 0. Nothing here does I/O, reads a clock or draws randomness; a crate above may depend on
//! this one and this one depends on none of ours.

mod amount;
mod asset;
mod error_code;
mod evm;
mod id;
mod mode;
mod network;
mod price;
mod redacted;
mod time;

pub use amount::{Amount, AmountError};
pub use asset::Asset;
pub use error_code::ErrorCode;
pub use evm::{Address, B256, EvmParseError, WrittenAddressError, keccak256};
pub use id::{
    AccountId, BalanceId, ClaimId, CreditId, EventId, GrantId, IdError, KeyId, PaywallId,
    RequestId, ServiceId, SettlementId, TenantId, TransactionId, TransferId,
};
pub use mode::Mode;
pub use network::{ChainId, ChainIdError, KNOWN_NETWORKS, KnownNetwork, KnownToken};
pub use price::{Price, PriceError};
pub use redacted::Redacted;
pub use time::{UnixMicros, UnixSeconds};
