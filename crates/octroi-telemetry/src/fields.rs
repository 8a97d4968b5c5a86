//! The names of log fields. A line that carries one of these things uses this name for it:
//! `info!({ fields::NETWORK } = %chain, "…")`.
//!
//! What is not here on purpose: bodies, payment headers, signatures, keys, prompts and client
//! addresses are never logged.

/// The request's id, as in `X-Request-ID`.
pub const REQUEST_ID: &str = "request_id";
/// The seller.
pub const TENANT: &str = "tenant";
/// The service whose origin was called.
pub const SERVICE: &str = "service";
/// The priced route.
pub const PAYWALL: &str = "paywall";
/// The payment attempt.
pub const TRANSACTION: &str = "transaction";
/// The durable right to one delivery.
pub const CLAIM: &str = "claim";
/// The settlement of one or many claims.
pub const SETTLEMENT: &str = "settlement";
/// The chain, as CAIP-2.
pub const NETWORK: &str = "network";
/// One of the operator's settlement wallets (an address, not a buyer's).
pub const WALLET: &str = "wallet";
/// The hash of a chain transaction.
pub const TX_HASH: &str = "tx_hash";
/// An error with its causes, through [`crate::chain()`].
pub const ERROR: &str = "error";
/// The HTTP status that was answered.
pub const STATUS: &str = "status";
/// How long something took, in milliseconds.
pub const ELAPSED_MS: &str = "elapsed_ms";
/// One of the gate's own listening addresses.
pub const LISTENER: &str = "listener";
/// A host name that the gate serves.
pub const HOST: &str = "host";
/// How many things a line is about.
pub const COUNT: &str = "count";

/// Every field name, for the documentation test.
pub const ALL: &[&str] = &[
    REQUEST_ID,
    TENANT,
    SERVICE,
    PAYWALL,
    TRANSACTION,
    CLAIM,
    SETTLEMENT,
    NETWORK,
    WALLET,
    TX_HASH,
    ERROR,
    STATUS,
    ELAPSED_MS,
    LISTENER,
    HOST,
    COUNT,
];
