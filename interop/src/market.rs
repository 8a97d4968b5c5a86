//! A whole market: chain, origin, and a gate between them and the buyers.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use serde_json::Value;

use crate::{
    Account, BaseSepolia, Gate, Http, Origin, PAYEE, Payment, Relay, Reply, Terms, Transaction,
};

/// Sells every path of the origin for [`crate::PRICE`], settled once the origin has answered.
pub const AFTER: &str = "/api/x402/pay/shop/after";
/// The same, settled before the origin is called.
pub const FIRST: &str = "/api/x402/pay/shop/first";
/// The host name of the site behind the gate. `/json`, `/upload`, `/events` and `/files/…` cost
/// [`crate::PRICE`] there; the rest is free.
pub const SITE_HOST: &str = "localhost";

/// Who settles.
#[derive(Debug, Clone)]
pub enum Settler {
    /// The gate, from [`crate::GATE_WALLET`]; it is a facilitator for others too.
    Wallet,
    /// The facilitator at this address.
    Facilitator(String),
}

/// What a test wants differently.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Who settles.
    pub settler: Settler,
    /// Time between blocks, as the gate is told, in milliseconds: how fast it looks and sends again.
    pub block_time_ms: u32,
    /// The most that a unit of gas may cost, in gwei.
    pub max_fee_gwei: u32,
    /// Options of the node.
    pub node_options: &'static [&'static str],
    /// More paywalls of the configuration's service `shop`, or whole services. `{origin}` stands for the
    /// origin's address.
    pub paywalls: String,
    /// More networks, on which everything is sold too.
    pub networks: String,
}

/// The market, open.
#[derive(Debug)]
pub struct Market {
    /// The chain that is paid on.
    pub chain: BaseSepolia,
    /// The gate's line to the chain's node.
    pub line: Relay,
    /// What is sold.
    pub origin: Origin,
    /// Who sells it.
    pub gate: Gate,
    /// The buyers' connections.
    pub http: Http,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            settler: Settler::Wallet,
            block_time_ms: 200,
            max_fee_gwei: 100,
            node_options: &[],
            paywalls: String::new(),
            networks: String::new(),
        }
    }
}

impl Setup {
    /// Settled by the facilitator at `url`.
    #[must_use]
    pub fn settled_by(url: &str) -> Self {
        Self {
            settler: Settler::Facilitator(url.to_owned()),
            ..Self::default()
        }
    }

    /// The gate's configuration.
    #[must_use]
    pub fn config(&self, origin_url: &str, rpc_url: &str) -> String {
        let Self {
            settler,
            block_time_ms,
            max_fee_gwei,
            paywalls,
            networks,
            ..
        } = self;
        let settler = match settler {
            Settler::Wallet => format!(
                r#"
max_fee_gwei = {max_fee_gwei}
wallet_key_files = ["wallet.key"]

[facilitator]
enabled = true
token_files = ["facilitator.token"]
"#
            ),
            Settler::Facilitator(url) => {
                format!("[network.base-sepolia.facilitator]\nurl = \"{url}\"")
            }
        };
        let paywalls = paywalls.replace("{origin}", origin_url);
        let pay_to = PAYEE.address;
        format!(
            r#"
[server]
listen = ["127.0.0.1:0"]
public_url = "http://127.0.0.1:8402"

[store]
path = "octroi.db"

[tenant]
name = "interop"
pay_to = "{pay_to}"

[network.base-sepolia]
rpc_urls = ["{rpc_url}"]
block_time_ms = {block_time_ms}
{settler}

{networks}

[[service]]
name = "shop"
origin = "{origin_url}"

[[service.paywall]]
slug = "after"
price = "0.001"
path = "/"
subpaths = true

[[service.paywall]]
slug = "first"
price = "0.001"
path = "/"
subpaths = true
settle = "before_origin"

{paywalls}

[[site]]
hosts = ["{SITE_HOST}"]
origin = "{origin_url}"
default = "pass"

[[site.route]]
pattern = "/json"
price = "0.001"

[[site.route]]
pattern = "/upload"
price = "0.001"

[[site.route]]
pattern = "/events"
price = "0.001"

[[site.route]]
pattern = "/files/*"
price = "0.001"
"#
        )
    }
}

impl Market {
    /// Opens a market as most tests want it.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn open() -> Result<Self> {
        Self::open_with(&Setup::default()).await
    }

    /// Opens a market.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn open_with(setup: &Setup) -> Result<Self> {
        let chain = BaseSepolia::start_with(setup.node_options).await?;
        Self::open_on(chain, setup).await
    }

    /// Opens a market on a chain that runs already.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn open_on(chain: BaseSepolia, setup: &Setup) -> Result<Self> {
        let line = Relay::start(chain.url()).await?;
        let origin = Origin::start().await?;
        let gate = Gate::start(&setup.config(origin.url(), &line.url())).await?;
        Ok(Self {
            chain,
            line,
            origin,
            gate,
            http: Http::new(),
        })
    }

    /// Where the gate answers for the site.
    ///
    /// # Errors
    /// When the gate is not running.
    pub fn site_url(&self) -> Result<String> {
        Ok(self.gate.url()?.replace("127.0.0.1", SITE_HOST))
    }

    /// Asks for `path` at the gate without paying.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.http.get(&self.url(path)?).await
    }

    /// The terms on which `path` is sold.
    ///
    /// # Errors
    /// When it is not answered with 402.
    pub async fn terms(&self, path: &str) -> Result<Terms> {
        let reply = self.get(path).await?;
        ensure!(
            reply.status == StatusCode::PAYMENT_REQUIRED,
            "{path} was answered with {}: {:?}",
            reply.status,
            reply.body
        );
        Terms::of(&reply)
    }

    /// A fresh payment of `account` for `path`, not sent yet.
    ///
    /// # Errors
    /// When it is not sold.
    pub async fn payment(&self, account: Account, path: &str) -> Result<Payment> {
        self.terms(path).await?.sign(&self.chain, account).await
    }

    /// Asks for `path` with a payment.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn pay(&self, path: &str, payment: &Payment) -> Result<Reply> {
        self.http
            .send(self.paid(Method::GET, path, payment, "")?)
            .await
    }

    /// A request with a payment.
    ///
    /// # Errors
    /// When the gate is not running.
    pub fn paid(
        &self,
        method: Method,
        path: &str,
        payment: &Payment,
        body: impl Into<Bytes>,
    ) -> Result<Request<Full<Bytes>>> {
        Ok(Request::builder()
            .method(method)
            .uri(self.url(path)?)
            .header("payment-signature", payment.header())
            .body(Full::from(body.into()))?)
    }

    /// Waits until `count` transactions are recorded, none of them under way, and returns them, oldest
    /// first.
    ///
    /// # Errors
    /// When patience runs out or the records cannot be read.
    pub async fn concluded(&self, count: usize) -> Result<Vec<Transaction>> {
        let what = format!("{count} transactions to be concluded");
        crate::eventually(&what, async || {
            let transactions = self.gate.transactions().await?;
            let open = |one: &Transaction| one.state == "Pending" || one.work == "answered";
            let done = transactions.len() >= count && !transactions.iter().any(open);
            Ok(done.then_some(transactions))
        })
        .await
    }

    /// Compares the gate's books with the chain: they balance, every row is as it was written, and what
    /// they say was settled is what the payee has, to the unit.
    ///
    /// # Errors
    /// When one of that is not so.
    pub async fn reconcile(&self) -> Result<()> {
        let books = self.gate.books().await?;
        let mut settled = 0;
        for transaction in self.gate.transactions().await? {
            if transaction.payment != "settled" {
                continue;
            }
            let hash = transaction.tx_hash.context("settled without a hash")?;
            let receipt = self.chain.receipt(hash).await?;
            ensure!(
                receipt.is_some_and(|receipt| receipt.succeeded),
                "{hash} is not on the chain"
            );
            settled += transaction.amount.parse::<u128>()?;
        }
        let earned = self.earned().await?;
        ensure!(settled == earned, "{settled} recorded, {earned} earned");
        let cleared = cleared(&books).unwrap_or_default();
        ensure!(
            cleared == earned,
            "{cleared} booked, {earned} earned: {books}"
        );
        Ok(())
    }

    /// What the payee has been paid, in millionths of a dollar.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn earned(&self) -> Result<u128> {
        self.chain.usdc.balance(PAYEE.address).await
    }

    /// What a test calls a path: one of the gate's own host, unless it is a whole URL.
    fn url(&self, path: &str) -> Result<String> {
        if path.starts_with("http://") {
            return Ok(path.to_owned());
        }
        Ok(format!("{}{path}", self.gate.url()?))
    }
}

/// What came in by the chain, as the books have it.
fn cleared(books: &Value) -> Option<u128> {
    let accounts = books["books"].get(0)?["accounts"].as_array()?;
    let rail = accounts
        .iter()
        .find(|account| account["kind"] == "rail_clearing")?;
    let sum = |key: &str| rail[key].as_u64().map(u128::from);
    sum("debitsPosted")?.checked_sub(sum("creditsPosted")?)
}
