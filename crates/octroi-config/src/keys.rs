//! Every section and key of the file, in the order of the reference page.

mod network;
mod selling;
mod server;

use crate::schema::Kind::{Choice, Flag, List, Text};
use crate::schema::{Section, Shape, default, optional};

/// The document.
pub(crate) static ROOT: Section = Section {
    name: "",
    shape: Shape::Table,
    doc: "",
    keys: &[],
    inner: &[
        server::SERVER,
        STORE,
        LOG,
        METRICS,
        TENANT,
        network::NETWORK,
        selling::SERVICE,
        selling::SITE,
        FACILITATOR,
        SCREENING,
    ],
};

const STORE: Section = Section {
    name: "store",
    shape: Shape::Table,
    doc: "Where claims, books and events are kept.",
    keys: &[&[default(
        "path",
        Text("a file name"),
        "\"octroi.db\"",
        "The database file; its directory must exist.",
    )]],
    inner: &[],
};

const LOG: Section = Section {
    name: "log",
    shape: Shape::Table,
    doc: "What is written to standard error. Payloads and secrets never are.",
    keys: &[&[
        default(
            "format",
            Choice(&["text", "json"]),
            "\"text\"",
            "Lines for people or for programs.",
        ),
        default(
            "level",
            Choice(&["error", "warn", "info", "debug", "trace"]),
            "\"info\"",
            "The least important lines that are written.",
        ),
    ]],
    inner: &[],
};

const METRICS: Section = Section {
    name: "metrics",
    shape: Shape::Table,
    doc: "Prometheus metrics under `/metrics`.",
    keys: &[&[default("enabled", Flag, "true", "Whether they are served.")]],
    inner: &[],
};

const TENANT: Section = Section {
    name: "tenant",
    shape: Shape::Table,
    doc: "The seller.",
    keys: &[&[
        default(
            "name",
            Text("a slug"),
            "\"default\"",
            "Name of the seller. Ids of services and paywalls derive from it, so keep it.",
        ),
        optional(
            "pay_to",
            Text("an EVM address"),
            "each service or route names its own",
            "Wallet that is paid unless a service or route names another.",
        ),
    ]],
    inner: &[],
};

const FACILITATOR: Section = Section {
    name: "facilitator",
    shape: Shape::Table,
    doc: "An x402 facilitator for your other servers under `/facilitator`, on every network that \
          settles with own wallets.",
    keys: &[&[
        default("enabled", Flag, "false", "Whether it is served."),
        default(
            "token_files",
            List("a file name"),
            "[]",
            "Files with bearer tokens, one of which a caller must show.",
        ),
        default(
            "token_sha256",
            List("a SHA-256 of 64 hex digits"),
            "[]",
            "Hashes of such tokens, when the gate should not know them.",
        ),
    ]],
    inner: &[],
};

const SCREENING: Section = Section {
    name: "screening",
    shape: Shape::Table,
    doc: "Who neither pays nor is paid here, on any network: addresses of both keys together. They \
          change with a restart.",
    keys: &[&[
        default("addresses", List("an EVM address"), "[]", "Addresses."),
        optional(
            "file",
            Text("a file name"),
            "none",
            "A file with one address on each line; what follows a `#` is a comment.",
        ),
    ]],
    inner: &[],
};
