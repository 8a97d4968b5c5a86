//! Transactions and their events: what a seller sees of each payment attempt.

use async_trait::async_trait;
use octroi_claim::{PaymentState, WorkState};
use octroi_types::{
    Address, Amount, B256, ChainId, CreditId, EventId, Mode, PaywallId, RequestId, ServiceId,
    TenantId, TransactionId, UnixMicros,
};
use serde::Serialize;

use crate::error::StoreError;

/// The state of a payment attempt as a seller reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum TransactionState {
    /// Under way.
    Pending,
    /// Paid and served.
    Completed,
    /// Not charged, or charged and turned into a refund credit.
    Failed,
    /// Sent, and the chain has not told yet.
    Unknown,
}

impl TransactionState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Pending, Self::Completed, Self::Failed, Self::Unknown];

    /// The state as text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }

    /// What a claim in these states looks like to the seller. A payment that is settled counts as
    /// completed as soon as its answer is on the way.
    #[must_use]
    pub const fn of(payment: PaymentState, work: WorkState) -> Self {
        match (payment, work) {
            (PaymentState::Released | PaymentState::Failed, _)
            | (PaymentState::Settled | PaymentState::Covered, WorkState::Broken) => Self::Failed,
            (PaymentState::Unknown, _) => Self::Unknown,
            (PaymentState::Settled, WorkState::Answered | WorkState::Delivered)
            | (PaymentState::Covered, WorkState::Delivered) => Self::Completed,
            (PaymentState::Claimed | PaymentState::Broadcast, _)
            | (PaymentState::Settled, WorkState::NotStarted | WorkState::Executing)
            | (
                PaymentState::Covered,
                WorkState::NotStarted | WorkState::Executing | WorkState::Answered,
            ) => Self::Pending,
        }
    }
}

/// What is written of a request when its payment is claimed. No query, header or body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransaction {
    /// Its id.
    pub id: TransactionId,
    /// The request.
    pub request: RequestId,
    /// The service that was called; none for a site.
    pub service: Option<ServiceId>,
    /// Method of the request.
    pub method: String,
    /// Canonical path of the request.
    pub path: String,
    /// How it was paid: `x402-v1`, `x402-v2`, `facilitator`.
    pub rail: &'static str,
}

/// A payment attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// Its id.
    pub id: TransactionId,
    /// The seller.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// Its state.
    pub state: TransactionState,
    /// What happened to the money.
    pub payment: PaymentState,
    /// What happened to the work.
    pub work: WorkState,
    /// The service that was called.
    pub service: Option<ServiceId>,
    /// What was sold.
    pub paywall: PaywallId,
    /// The request.
    pub request: RequestId,
    /// Method of the request.
    pub method: String,
    /// Canonical path of the request.
    pub path: String,
    /// How it was paid.
    pub rail: String,
    /// The chain.
    pub network: ChainId,
    /// The token.
    pub asset: Address,
    /// The price, in the token's smallest unit.
    pub amount: Amount,
    /// Who paid.
    pub payer: Address,
    /// Who was paid.
    pub pay_to: Address,
    /// The chain transaction.
    pub tx_hash: Option<B256>,
    /// The credit that paid for it.
    pub covered_by: Option<CreditId>,
    /// The credit it led to.
    pub refund_credit: Option<CreditId>,
    /// When the payment was claimed.
    pub created_at: UnixMicros,
    /// When it last changed.
    pub updated_at: UnixMicros,
}

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The payment was claimed.
    Claimed,
    /// The origin is being called after settlement.
    Executing,
    /// The origin's response head arrived.
    Answered,
    /// A transaction that carries the payment is durable.
    Broadcast,
    /// The payment is on the chain.
    Settled,
    /// Its fate became unknown.
    Unknown,
    /// It can never be settled.
    Failed,
    /// It was given up before it was sent.
    Released,
    /// Its block was replaced.
    Vanished,
    /// The answer was given.
    Delivered,
    /// The work failed or its answer could not be given.
    Broken,
    /// A refund credit was opened.
    Credited,
    /// Another node took the claim over.
    Recovered,
}

/// Something that happened to a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The transaction.
    pub transaction: TransactionId,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: UnixMicros,
}

/// Which transactions to list.
#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    /// Only of this tenant.
    pub tenant: Option<TenantId>,
    /// Only in this state.
    pub state: Option<TransactionState>,
    /// Only for this paywall.
    pub paywall: Option<PaywallId>,
    /// Only by this payer.
    pub payer: Option<Address>,
    /// Only at or after.
    pub from: Option<UnixMicros>,
    /// Only before.
    pub until: Option<UnixMicros>,
}

/// One page, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Pass this to get the next page; `None` on the last.
    pub next: Option<TransactionId>,
}

/// Reading what happened.
#[async_trait]
pub trait TransactionStore: Send + Sync + 'static {
    /// A page of transactions, newest first, `after` exclusive.
    async fn transactions_list(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Page<Transaction>, StoreError>;

    /// One transaction.
    async fn transaction_get(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError>;

    /// Its events, oldest first.
    async fn transaction_events(&self, id: TransactionId) -> Result<Vec<Event>, StoreError>;

    /// The ledger transfers that a transaction caused.
    async fn transaction_transfers(
        &self,
        id: TransactionId,
    ) -> Result<Vec<octroi_ledger::Transfer>, StoreError>;

    /// Every ledger account, for the trial balance.
    async fn accounts_list(&self) -> Result<Vec<octroi_ledger::Account>, StoreError>;
}
