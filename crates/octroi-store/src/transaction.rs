//! Transactions: what a seller sees of each payment attempt.

use async_trait::async_trait;
use octroi_claim::{Claim, PaymentState, WorkState};
use octroi_types::{
    Address, Amount, B256, ChainId, CreditId, Mode, PaywallId, RequestId, ServiceId, TenantId,
    TransactionId, UnixMicros,
};
use serde::Serialize;

use crate::error::StoreError;
use crate::event::Event;
use crate::listing::{Page, TransactionFilter};

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
    /// Its id, made by the caller when the request came: the time in it is the time by which
    /// transactions are listed.
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

impl Transaction {
    /// The transaction of a claim that was just granted.
    #[must_use]
    pub fn new(claim: &Claim, new: &NewTransaction) -> Self {
        let terms = &claim.terms;
        Self {
            id: new.id,
            tenant: terms.tenant,
            mode: terms.mode,
            state: TransactionState::of(claim.payment, claim.work),
            payment: claim.payment,
            work: claim.work,
            service: new.service,
            paywall: terms.paywall,
            request: new.request,
            method: new.method.clone(),
            path: new.path.clone(),
            rail: new.rail.to_owned(),
            network: terms.chain,
            asset: terms.asset,
            amount: terms.amount,
            payer: terms.payer,
            pay_to: terms.pay_to,
            tx_hash: claim.tx_hash,
            covered_by: claim.covered_by,
            refund_credit: claim.credit,
            created_at: terms.created_at,
            updated_at: terms.created_at,
        }
    }

    /// Follows its claim.
    pub fn follow(&mut self, claim: &Claim, now: UnixMicros) {
        self.state = TransactionState::of(claim.payment, claim.work);
        self.payment = claim.payment;
        self.work = claim.work;
        self.tx_hash = claim.tx_hash;
        self.covered_by = claim.covered_by;
        self.refund_credit = claim.credit;
        self.updated_at = now;
    }
}

/// Reading what happened.
#[async_trait]
pub trait TransactionStore: Send + Sync + 'static {
    /// A page of transactions, newest first by the time in their ids, `after` exclusive; at most
    /// `limit`, which counts as 1 to [`Page::ROWS_MAX`].
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

    /// The ledger transfers that a transaction caused, oldest first.
    async fn transaction_transfers(
        &self,
        id: TransactionId,
    ) -> Result<Vec<octroi_ledger::Transfer>, StoreError>;

    /// Every ledger account, for the trial balance.
    async fn accounts_list(&self) -> Result<Vec<octroi_ledger::Account>, StoreError>;
}
