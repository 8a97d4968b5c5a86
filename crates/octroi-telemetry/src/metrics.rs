//! Every metric of the gate, and the functions that record them.
//!
//! The list is closed: a metric that is not declared here cannot be recorded, and its labels are
//! enums, so what a client sends can never add a series. Metrics of a chain or of a settlement
//! wallet belong to handles that are made at start-up, one for each that is configured.

mod instrument;
mod label;
mod process;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use octroi_claim::{PaymentState, WorkState};
use octroi_types::{Address, ChainId};
use parking_lot::Mutex;

use instrument::{Cell, Counter, Durations, Family, Gauge, Sizes, header};
use label::Labels;

pub use label::{
    Direction, Expiry, LabelSpec, Listener, OrderResult, OriginFailure, Outcome, PaymentReason,
    PaymentResult, Refusal, SettlementResult, Surface, Unpaid,
};

/// What Prometheus does with a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values into buckets.
    Histogram,
}

impl MetricKind {
    /// The kind's name in the exposition format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// What one metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricSpec {
    /// Its name.
    pub name: &'static str,
    /// What Prometheus does with it.
    pub kind: MetricKind,
    /// What it counts, for people.
    pub help: &'static str,
    /// Labels whose values come from the configuration.
    pub configured: &'static [&'static str],
    /// Labels whose values are fixed.
    pub labels: &'static [LabelSpec],
}

macro_rules! instruments {
    (
        $(#[$doc:meta])*
        $vis:vis struct $set:ident $scope:tt {
            $($(#[doc = $help:literal])+ $field:ident: $cell:ty [$($label:ty),*] = $name:literal,)*
        }
    ) => {
        $(#[$doc])*
        $vis struct $set {
            $($field: Family<$cell, ($($label,)*), { <($($label,)*) as Labels>::COUNT }>,)*
        }

        impl $set {
            const SPECS: &'static [MetricSpec] = &[$(MetricSpec {
                name: $name,
                kind: <$cell as Cell>::KIND,
                help: concat!($($help),+).trim_ascii(),
                configured: &$scope,
                labels: <($($label,)*) as Labels>::SPECS,
            },)*];

            const fn new() -> Self {
                Self { $($field: Family::new(),)* }
            }

            /// Writes these metrics of every set, each with the label list that the set has.
            fn render<'a>(sets: impl Iterator<Item = (&'a str, &'a Self)> + Clone, out: &mut String) {
                let mut specs = Self::SPECS.iter();
                $(if let Some(spec) = specs.next() {
                    header(spec, out);
                    for (scope, set) in sets.clone() {
                        set.$field.render(spec.name, scope, out);
                    }
                })*
            }
        }
    };
}

instruments! {
    /// What there is one of in a process.
    struct Gate [] {
        /// Requests, when the head of their answer is ready.
        requests: Counter [Surface, Outcome] = "octroi_requests_total",
        /// Time from a request's head to the head of its answer.
        request_seconds: Durations [Surface] = "octroi_request_seconds",
        /// Answers that asked for a payment.
        unpaid: Counter [Unpaid] = "octroi_payment_required_total",
        /// Steps of claims into a payment state.
        claim_payments: Counter [PaymentState] = "octroi_claim_payment_steps_total",
        /// Steps of claims into a work state.
        claim_works: Counter [WorkState] = "octroi_claim_work_steps_total",
        /// Time until an origin's response head.
        origin_seconds: Durations [] = "octroi_origin_seconds",
        /// Origins that gave no answer.
        origin_failures: Counter [OriginFailure] = "octroi_origin_failures_total",
        /// Time of a durable commit.
        store_commit_seconds: Durations [] = "octroi_store_commit_seconds",
        /// Intents in one commit.
        store_batch_size: Sizes [] = "octroi_store_batch_size",
        /// Intents that wait for a commit.
        store_queue: Gauge [] = "octroi_store_queue_length",
        /// Connections that are open.
        connections_open: Gauge [Listener] = "octroi_connections_open",
        /// Connections that were accepted.
        connections: Counter [Listener] = "octroi_connections_total",
        /// Connections that were closed before their first request.
        connections_refused: Counter [Refusal] = "octroi_connections_refused_total",
        /// Connections that the gate ended because of a time limit.
        connections_expired: Counter [Expiry] = "octroi_connections_expired_total",
        /// Times that no connection could be accepted for want of descriptors or memory.
        accept_failures: Counter [] = "octroi_accept_failures_total",
        /// Bytes on clients' connections, without TLS framing.
        bytes: Counter [Direction] = "octroi_bytes_total",
        /// Orders for certificates.
        certificate_orders: Counter [OrderResult] = "octroi_certificate_orders_total",
        /// When the first certificate in use expires, in seconds since 1970; 0 without any.
        certificate_expiry: Gauge [] = "octroi_certificate_expiry_timestamp_seconds",
    }
}

instruments! {
    /// The metrics of one chain. Made once for each that is configured.
    pub struct NetworkMetrics ["network"] {
        /// Payments that came with requests.
        payments: Counter [PaymentResult, PaymentReason] = "octroi_payments_total",
        /// Payments whose settlement ended; one that is unknown counts again when it is known.
        settlements: Counter [SettlementResult] = "octroi_settlements_total",
        /// Time from when a payment was to be sent first to the end of its settlement.
        settlement_seconds: Durations [SettlementResult] = "octroi_settlement_seconds",
        /// Payments in one transaction of a settlement wallet.
        batch_size: Sizes [] = "octroi_settlement_batch_size",
        /// Payments that wait to be settled.
        queue: Gauge [] = "octroi_settlement_queue_length",
        /// Payments whose settlement is not known.
        unknown: Gauge [] = "octroi_settlements_unknown",
    }
}

instruments! {
    /// The metrics of one settlement wallet. Made once for each that is configured.
    pub struct WalletMetrics ["network", "wallet"] {
        /// The nonce that the wallet's next transaction will have.
        nonce: Gauge [] = "octroi_wallet_nonce",
        /// What the wallet has for gas, in 10^-9 of the chain's coin.
        balance: Gauge [] = "octroi_wallet_balance_gwei",
    }
}

static GATE: Gate = Gate::new();
static NETWORKS: Sets<NetworkMetrics> = Sets::new();
static WALLETS: Sets<WalletMetrics> = Sets::new();

/// The sets of one kind that were made, by the label list that each has.
struct Sets<T>(Mutex<Vec<(String, Arc<T>)>>);

impl<T> Sets<T> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn get(&self, scope: String, new: impl FnOnce() -> T) -> Arc<T> {
        let mut sets = self.0.lock();
        if let Some((_, set)) = sets.iter().find(|(known, _)| *known == scope) {
            return Arc::clone(set);
        }
        let set = Arc::new(new());
        sets.push((scope, Arc::clone(&set)));
        set
    }
}

/// Every metric, for the documentation test.
pub fn all() -> impl Iterator<Item = &'static MetricSpec> {
    [
        Gate::SPECS,
        NetworkMetrics::SPECS,
        WalletMetrics::SPECS,
        process::SPECS,
    ]
    .into_iter()
    .flatten()
}

/// Every metric in the Prometheus text exposition format, version 0.0.4.
#[must_use]
pub fn render() -> String {
    let mut out = String::with_capacity(32 * 1_024);
    Gate::render(std::iter::once(("", &GATE)), &mut out);
    let networks = NETWORKS.0.lock();
    let sets = networks.iter().map(|(scope, set)| (&**scope, &**set));
    NetworkMetrics::render(sets, &mut out);
    drop(networks);
    let wallets = WALLETS.0.lock();
    let sets = wallets.iter().map(|(scope, set)| (&**scope, &**set));
    WalletMetrics::render(sets, &mut out);
    drop(wallets);
    process::render(&mut out);
    out
}

/// The head of a request's answer is ready, `elapsed` after the request's head came.
pub fn request_finished(surface: Surface, outcome: Outcome, elapsed: Duration) {
    GATE.requests.at((surface, outcome)).add(1);
    GATE.request_seconds.at((surface,)).observe(elapsed);
}

/// A 402 was answered.
pub fn payment_required(reason: Unpaid) {
    GATE.unpaid.at((reason,)).add(1);
}

/// A claim's payment came into this state.
pub fn claim_payment_moved(to: PaymentState) {
    GATE.claim_payments.at((to,)).add(1);
}

/// A claim's work came into this state.
pub fn claim_work_moved(to: WorkState) {
    GATE.claim_works.at((to,)).add(1);
}

/// An origin's response head came, `elapsed` after the request was sent.
pub fn origin_answered(elapsed: Duration) {
    GATE.origin_seconds.at(()).observe(elapsed);
}

/// An origin gave no answer.
pub fn origin_failed(reason: OriginFailure) {
    GATE.origin_failures.at((reason,)).add(1);
}

/// A batch of `intents` was committed in `elapsed`.
pub fn store_committed(intents: usize, elapsed: Duration) {
    GATE.store_batch_size.at(()).observe(intents);
    GATE.store_commit_seconds.at(()).observe(elapsed);
}

/// So many intents wait for a commit.
pub fn store_queue(length: u64) {
    GATE.store_queue.at(()).set(length);
}

/// A connection was accepted.
pub fn connection_opened(listener: Listener) {
    GATE.connections.at((listener,)).add(1);
    GATE.connections_open.at((listener,)).add(1);
}

/// A connection that was accepted is gone.
pub fn connection_closed(listener: Listener) {
    GATE.connections_open.at((listener,)).add(-1);
}

/// A connection was closed before its first request.
pub fn connection_refused(reason: Refusal) {
    GATE.connections_refused.at((reason,)).add(1);
}

/// A connection met a time limit.
pub fn connection_expired(reason: Expiry) {
    GATE.connections_expired.at((reason,)).add(1);
}

/// No connection could be accepted for want of descriptors or memory.
pub fn accept_failed() {
    GATE.accept_failures.at(()).add(1);
}

/// Bytes were moved on a client's connection.
pub fn bytes_moved(direction: Direction, count: u64) {
    GATE.bytes.at((direction,)).add(count);
}

/// An order for a certificate ended.
pub fn certificate_ordered(result: OrderResult) {
    GATE.certificate_orders.at((result,)).add(1);
}

/// When the first certificate in use expires, in seconds since 1970; 0 without any.
pub fn certificate_expiry(unix_seconds: u64) {
    GATE.certificate_expiry.at(()).set(unix_seconds);
}

impl NetworkMetrics {
    /// The metrics of this chain, the same ones every time. Ask once, at start-up.
    #[must_use]
    pub fn of(chain: ChainId) -> Arc<Self> {
        NETWORKS.get(format!("network=\"{chain}\""), Self::new)
    }

    /// A payment was accepted.
    pub fn payment_accepted(&self) {
        self.payments
            .at((PaymentResult::Accepted, PaymentReason::None))
            .add(1);
    }

    /// A payment was refused.
    pub fn payment_refused(&self, reason: PaymentReason) {
        self.payments.at((PaymentResult::Refused, reason)).add(1);
    }

    /// The settlement of a payment ended, `elapsed` after it was to be sent first.
    pub fn settlement_finished(&self, result: SettlementResult, elapsed: Duration) {
        self.settlements.at((result,)).add(1);
        self.settlement_seconds.at((result,)).observe(elapsed);
    }

    /// So many payments went into one chain transaction.
    pub fn settlement_batch(&self, payments: usize) {
        self.batch_size.at(()).observe(payments);
    }

    /// So many payments wait to be settled.
    pub fn settlement_queue(&self, length: u64) {
        self.queue.at(()).set(length);
    }

    /// The settlement of so many payments is not known.
    pub fn settlements_unknown(&self, count: u64) {
        self.unknown.at(()).set(count);
    }
}

impl WalletMetrics {
    /// The metrics of this wallet, the same ones every time. Ask once, at start-up.
    #[must_use]
    pub fn of(chain: ChainId, wallet: Address) -> Arc<Self> {
        let scope = format!("network=\"{chain}\",wallet=\"{wallet}\"");
        WALLETS.get(scope, Self::new)
    }

    /// The nonce that the next transaction will have.
    pub fn next_nonce(&self, nonce: u64) {
        self.nonce.at(()).set(nonce);
    }

    /// What the wallet has for gas, in 10⁻⁹ of the chain's coin.
    pub fn balance_gwei(&self, gwei: u64) {
        self.balance.at(()).set(gwei);
    }
}
