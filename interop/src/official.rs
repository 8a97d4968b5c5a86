//! The x402 project's own clients, sellers and facilitator, as published, each in its own process.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use octroi_types::Address;
use serde::Deserialize;
use serde_json::Value;

use crate::{Account, FACILITATOR, Process, Rpc, Service, installed};

/// The path that every seller here sells.
pub const PAID_PATH: &str = "/exact/evm/eip3009";
/// What it costs, in millionths of a dollar.
pub const PRICE: u128 = 1_000;

/// The official facilitator on the node's chain, settling from [`FACILITATOR`].
///
/// # Errors
/// When it does not start.
pub async fn facilitator(rpc: &Rpc) -> Result<Service> {
    let mut command = installed::node_script("facilitator.mjs")?;
    command
        .env("PORT", "0")
        .env("EVM_PRIVATE_KEY", FACILITATOR.private_key)
        .env("EVM_RPC_URL", rpc.url());
    Service::start("the facilitator", command).await
}

/// What the official packages of both versions, and viem, know of networks and their dollar tokens.
///
/// # Errors
/// When they cannot be asked.
pub async fn known_assets() -> Result<Value> {
    let command = installed::node_script("known-assets.mjs")?;
    let (status, output) = Process::start("the tables", command)?.finish().await?;
    ensure!(status.success(), "the tables cannot be read:\n{output}");
    // Node's own warnings are no JSON.
    let line = output.lines().find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.context("no tables")?)?)
}

/// The official servers: a shop each, which sells [`PAID_PATH`] and counts what its handler did at `/calls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seller {
    /// `@x402/express`
    Express,
    /// PyPI `x402` on FastAPI
    FastApi,
    /// `x402-express`, the middleware of v1
    ExpressV1,
}

impl Seller {
    /// Starts the shop. It settles with the facilitator at this address, to which it shows `token`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        self,
        facilitator_url: &str,
        token: Option<&str>,
        payee: Address,
    ) -> Result<Service> {
        let (name, mut command) = match self {
            Self::Express => (
                "@x402/express",
                installed::node_script("server-express.mjs")?,
            ),
            Self::FastApi => (
                "x402 on FastAPI",
                installed::python_script("server_fastapi.py")?,
            ),
            Self::ExpressV1 => (
                "x402-express v1",
                installed::node_script("server-express-v1.mjs")?,
            ),
        };
        command
            .env("PORT", "0")
            .env("FACILITATOR_URL", facilitator_url)
            .env("FACILITATOR_TOKEN", token.unwrap_or_default())
            .env("EVM_PAYEE_ADDRESS", payee.to_string());
        Service::start(name, command).await
    }
}

/// The Express seller and the facilitator in one process, which is how the official stack is fastest: what
/// measurements compare with. `/free` costs nothing.
///
/// # Errors
/// When it does not start.
pub async fn express_stack(rpc: &Rpc, payee: Address) -> Result<Service> {
    let mut command = installed::node_script("bench-server.mjs")?;
    command
        .env("PORT", "0")
        .env("EVM_PRIVATE_KEY", FACILITATOR.private_key)
        .env("EVM_RPC_URL", rpc.url())
        .env("EVM_PAYEE_ADDRESS", payee.to_string());
    Service::start("the Express stack", command).await
}

/// The official clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buyer {
    /// `@x402/fetch`
    Fetch,
    /// `@x402/axios`
    Axios,
    /// PyPI `x402` on httpx
    Httpx,
    /// PyPI `x402` on requests
    Requests,
    /// `x402-fetch`, the client of v1
    FetchV1,
}

impl Buyer {
    /// Those that speak v2.
    pub const V2: [Self; 4] = [Self::Fetch, Self::Axios, Self::Httpx, Self::Requests];

    /// Buys what `order` names, with the client's own default settings, and returns its account of it.
    ///
    /// # Errors
    /// When the client ends without a report. A purchase that failed is not an error.
    pub async fn buy(self, order: &Order<'_>) -> Result<Purchase> {
        let (name, mut command) = match self {
            Self::Fetch => ("@x402/fetch", installed::node_script("client-fetch.mjs")?),
            Self::Axios => ("@x402/axios", installed::node_script("client-axios.mjs")?),
            Self::Httpx => (
                "x402 on httpx",
                installed::python_script("client_httpx.py")?,
            ),
            Self::Requests => (
                "x402 on requests",
                installed::python_script("client_requests.py")?,
            ),
            Self::FetchV1 => (
                "x402-fetch v1",
                installed::node_script("client-fetch-v1.mjs")?,
            ),
        };
        order.describe_in(&mut command);
        let (_, output) = Process::start(name, command)?.finish().await?;
        let line = output
            .lines()
            .rev()
            .find(|line| line.starts_with("{\"success\""));
        let line = line.with_context(|| format!("{name} made no report:\n{output}"))?;
        serde_json::from_str(line).with_context(|| format!("the report of {name}: {line}"))
    }
}

/// Starts the official client for `fetch` on a paid event stream. It prints `event` and the data of each
/// event when it has read it.
///
/// # Errors
/// When it does not start.
pub fn streaming_buyer(account: Account, server_url: &str, path: &str) -> Result<Process> {
    let mut command = installed::node_script("client-fetch-events.mjs")?;
    Order::get(account, server_url, path).describe_in(&mut command);
    Process::start("@x402/fetch on events", command)
}

/// Something to buy.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// Who pays.
    pub account: Account,
    /// The seller's address, without a path.
    pub server_url: &'a str,
    /// The path, with a query if any.
    pub path: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// A JSON body, if any.
    pub body: Option<&'a str>,
    /// The length of a made-up JSON body, sent with its digest in place of `body`; 0 for none.
    pub body_bytes: usize,
    /// The only network to pay on (CAIP-2), for buyers of v2; any where unsaid.
    pub network: Option<&'a str>,
}

impl<'a> Order<'a> {
    /// A GET request.
    #[must_use]
    pub fn get(account: Account, server_url: &'a str, path: &'a str) -> Self {
        Self {
            account,
            server_url,
            path,
            method: "GET",
            body: None,
            body_bytes: 0,
            network: None,
        }
    }

    fn describe_in(&self, command: &mut Command) {
        command
            .env("EVM_PRIVATE_KEY", self.account.private_key)
            .env("RESOURCE_SERVER_URL", self.server_url)
            .env("ENDPOINT_PATH", self.path)
            .env("REQUEST_METHOD", self.method)
            .env("REQUEST_BODY", self.body.unwrap_or_default())
            .env("REQUEST_BODY_BYTES", self.body_bytes.to_string())
            .env("EVM_NETWORK", self.network.unwrap_or_default());
    }
}

/// What a client reported of its purchase.
#[derive(Debug, Clone, Deserialize)]
pub struct Purchase {
    /// Answered with a 2xx status, and not told that settlement failed.
    pub success: bool,
    /// The last status; none where the client gave up by itself.
    pub status_code: Option<u16>,
    /// The body: JSON as it is, text as a string, anything else as `{bytes, sha256}`.
    pub data: Value,
    /// The decoded receipt header.
    pub payment_response: Option<Value>,
    /// Why the client gave up.
    pub error: Option<String>,
}

/// Has the official client sign `count` payments for what `order` names and returns the values for the
/// `PAYMENT-SIGNATURE` header, none of them sent.
///
/// # Errors
/// When the seller asks for no payment or the client refuses its terms.
pub async fn sign_payments(order: &Order<'_>, count: usize) -> Result<Vec<String>> {
    let mut command = installed::node_script("sign-payments.mjs")?;
    order.describe_in(&mut command);
    command.env("COUNT", count.to_string());
    let (status, output) = Process::start("the signer", command)?.finish().await?;
    ensure!(status.success(), "the signer failed:\n{output}");
    // Base64 of a JSON object; Node's own warnings are not.
    let payments: Vec<_> = output
        .lines()
        .filter(|line| line.starts_with("eyJ"))
        .map(str::to_owned)
        .collect();
    ensure!(
        payments.len() == count,
        "expected {count} payments:\n{output}"
    );
    Ok(payments)
}
