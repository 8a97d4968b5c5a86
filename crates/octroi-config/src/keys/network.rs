//! `[network.NAME]` and what is in it.

use crate::schema::Kind::{Choice, Integer, List, Text};
use crate::schema::{Section, Shape, default, optional, required, sensitive};

pub(super) const NETWORK: Section = Section {
    name: "network",
    shape: Shape::Labelled,
    doc: "A chain on which payments are taken. The label is the name of a known network (table \
          below) or your own, which then needs `chain_id` and `mode`. Payments are settled either \
          by wallets of your own (`wallet_key_files`, `wallet_key_variables`) or by a facilitator.",
    keys: &[&[
        optional(
            "chain_id",
            Integer {
                min: 1,
                max: 9_007_199_254_740_991,
            },
            "that of the known network",
            "Chain id (EIP-155).",
        ),
        optional(
            "mode",
            Choice(&["test", "live"]),
            "that of the known network",
            "Play or real money.",
        ),
        sensitive(required(
            "rpc_urls",
            List("an http or https URL"),
            "JSON-RPC endpoints, the preferred one first. Needed with a facilitator too: the chain is the truth.",
        )),
        optional(
            "block_time_ms",
            Integer {
                min: 50,
                max: 600_000,
            },
            "that of the known network, else 2000",
            "Time between blocks.",
        ),
        default(
            "settle_level",
            Choice(&["included", "safe", "final"]),
            "\"included\"",
            "How sure a settlement must be before an answer goes out, unless a route says otherwise.",
        ),
        default(
            "safe_from",
            Text("a price"),
            "\"$100\"",
            "Price from which an answer waits for `safe` at least, unless a route says otherwise.",
        ),
        optional(
            "final_confirmations",
            Integer {
                min: 1,
                max: 100_000,
            },
            "the node's `finalized` and `safe` tags; 256 where it does not know them",
            "Blocks on top of a block that make it final, whatever the node's tags say; half as many, rounded up, make it safe.",
        ),
        default(
            "wallet_key_files",
            List("a file name"),
            "[]",
            "Files with the private keys (hex) of settlement wallets. They pay gas and hold nothing else.",
        ),
        sensitive(default(
            "wallet_key_variables",
            List("the name of an environment variable"),
            "[]",
            "Environment variables with such keys.",
        )),
        optional(
            "max_fee_gwei",
            Integer {
                min: 1,
                max: 1_000_000,
            },
            "that of the known network, else 100",
            "Most that is paid for one unit of gas.",
        ),
        default(
            "gas_per_authorization_max",
            Integer {
                min: 60_000,
                max: 5_000_000,
            },
            "200000",
            "Most gas that one payment may use.",
        ),
        default(
            "batch_max",
            Integer { min: 1, max: 500 },
            "50",
            "Most payments that one transaction settles.",
        ),
        default(
            "erc6492_factories",
            List("an EVM address"),
            "[]",
            "Wallet factories that a payment may call to create the payer's wallet.",
        ),
        default(
            "multicall_address",
            Text("an EVM address"),
            "\"0xcA11bde05977b3631167028862bE2a173976CA11\"",
            "The Multicall3 contract, for batches.",
        ),
    ]],
    inner: &[REMOTE_FACILITATOR, ASSET],
};

const REMOTE_FACILITATOR: Section = Section {
    name: "facilitator",
    shape: Shape::Table,
    doc: "Who settles payments on this network instead of own wallets. Present means on.",
    keys: &[&[
        sensitive(required(
            "url",
            Text("an http or https URL"),
            "Its address, before `/verify` and `/settle`.",
        )),
        optional(
            "bearer_file",
            Text("a file name"),
            "no token is sent",
            "File with the bearer token it wants.",
        ),
    ]],
    inner: &[],
};

const ASSET: Section = Section {
    name: "asset",
    shape: Shape::List,
    doc: "A dollar-pegged EIP-3009 token that is accepted. Without any, the network's known USDC is. \
          What is said here is compared with the contract at start-up.",
    keys: &[&[
        required("address", Text("an EVM address"), "The contract."),
        optional(
            "name",
            Text("a name"),
            "read from the contract",
            "EIP-712 domain name.",
        ),
        optional(
            "version",
            Text("a version"),
            "read from the contract",
            "EIP-712 domain version.",
        ),
        default(
            "decimals",
            Integer { min: 0, max: 18 },
            "6",
            "Decimals of the smallest unit.",
        ),
        default(
            "symbol",
            Text("a symbol"),
            "\"USDC\"",
            "What people call it.",
        ),
    ]],
    inner: &[],
};
