//! Admitting payments: offline checks, cached chain facts, then the claim (money rule 12).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use octroi_chain::{Chain, ChainError};
use octroi_claim::{Binding, ClaimKey, NewClaim, NodeId, PaymentState, RefusedClaim, SecretHash};
use octroi_store::{ClaimOutcome, ClaimRequest, NewTransaction, Store, StoreError};
use octroi_telemetry::chain as causes;
use octroi_telemetry::metrics::NetworkMetrics;
use octroi_types::{
    Address, Amount, ChainId, ClaimId, ErrorCode, RequestId, TransactionId, UnixMicros,
};
use octroi_x402::{CheckedAuthorization, Payment, Reason, Terms, Version, WindowRules};
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::deal::Deal;
use crate::grant::Grant;
use crate::measure::label;
use crate::refusal::Refusal;
use crate::screening::DenyList;
use crate::underway::{LeftRequests, Underway, Waiting};

/// How often the fate of an earlier payment is looked at.
const FATE_POLL: Duration = Duration::from_millis(100);

/// What every admission goes by.
#[derive(Debug, Clone)]
pub struct PaymentsOptions {
    /// This process.
    pub node: NodeId,
    /// How long an answer waits for its settlement before it becomes 503 `settlement_pending`.
    /// Common clients give up after 5 s, so it is shorter than that.
    pub settle_wait: Duration,
    /// How much longer than the origin's time-out a payment must be valid (money rule 13).
    pub settlement_margin: Duration,
    /// The longest validity that is accepted (money rule 13).
    pub window_max: Duration,
    /// How long a payer whose settlement failed has to settle first (money rule 12).
    pub distrust: Duration,
    /// How long a new payment waits for the fate of an earlier one for the same request
    /// (money rule 14).
    pub earlier_wait: Duration,
    /// Who neither pays nor is paid (money rule 20).
    pub deny_list: DenyList,
}

impl PaymentsOptions {
    /// The defaults for one process; nobody is screened out.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            settle_wait: Duration::from_millis(4_000),
            settlement_margin: Duration::from_secs(6),
            window_max: Duration::from_secs(24 * 60 * 60),
            distrust: Duration::from_secs(10 * 60),
            earlier_wait: Duration::from_millis(2_500),
            deny_list: DenyList::default(),
        }
    }
}

/// A payment that passed every check that needs no claim.
#[derive(Debug, Clone)]
pub struct Checked {
    pub(crate) version: Version,
    pub(crate) terms: Terms,
    pub(crate) authorization: CheckedAuthorization,
    balance: Amount,
}

impl Checked {
    /// The claim that the payment makes.
    fn key(&self) -> ClaimKey {
        ClaimKey {
            identity: self.authorization.identity(&self.terms.token),
            valid_before: self.authorization.valid_before,
        }
    }

    /// Who pays.
    #[must_use]
    pub const fn payer(&self) -> Address {
        self.authorization.payer
    }
}

/// The request that a payment is to buy.
#[derive(Debug, Clone)]
pub struct Purchase {
    /// What the payment is bound to.
    pub binding: Binding,
    /// A secret of the buyer that lets it fetch the answer again.
    pub secret: Option<SecretHash>,
    /// The request's id.
    pub request: RequestId,
    /// Its method.
    pub method: String,
    /// Its canonical path.
    pub path: String,
}

/// The desk where payments become grants.
#[derive(Clone)]
pub struct Payments {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: PaymentsOptions,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) chains: HashMap<ChainId, Chain>,
    metrics: HashMap<ChainId, Arc<NetworkMetrics>>,
    left: Arc<LeftRequests>,
    /// Runs what must be finished after a grant was dropped; shutdown waits for it.
    pub(crate) tasks: TaskTracker,
}

impl Payments {
    /// Opens the desk.
    #[must_use]
    pub fn new(
        options: PaymentsOptions,
        store: Arc<dyn Store>,
        chains: HashMap<ChainId, Chain>,
        tasks: TaskTracker,
    ) -> Self {
        let metrics = chains
            .keys()
            .map(|chain| (*chain, NetworkMetrics::of(*chain)))
            .collect();
        Self {
            inner: Arc::new(Inner {
                options,
                store,
                chains,
                metrics,
                left: Arc::default(),
                tasks,
            }),
        }
    }

    /// Checks a payment against a deal: shape, terms, window and signature offline, then what only
    /// the chain knows of the payer. Nothing is written.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was charged.
    pub async fn check(&self, deal: &Deal, payment: &Payment) -> Result<Checked, Refusal> {
        let checked = self.check_payment(deal, payment).await;
        if let (Err(refusal), Some(chain)) = (&checked, payment.chain()) {
            self.count_refused(chain, refusal);
        }
        checked
    }

    async fn check_payment(&self, deal: &Deal, payment: &Payment) -> Result<Checked, Refusal> {
        let now = UnixMicros::now().seconds();
        let (terms, authorization) = deal
            .offer
            .verify(payment, now, &self.window(deal))
            .map_err(Refusal::Invalid)?;
        let terms = terms.clone();
        self.screen(&terms, &authorization).await?;
        let chain = self
            .inner
            .chains
            .get(&terms.chain())
            .ok_or(Refusal::Invalid(Reason::InvalidNetwork))?;
        let facts = chain.check_payer(&authorization, &terms).await;
        let balance = match facts.map_err(unavailable)? {
            Ok(balance) => balance,
            // The money may have gone into this very payment, or into an earlier one that covers
            // it: the claim decides, and a purse that is merely empty is refused there.
            Err(Reason::InsufficientBalance) => Amount::ZERO,
            Err(reason) => return Err(Refusal::Invalid(reason)),
        };
        Ok(Checked {
            version: payment.version(),
            terms,
            authorization,
            balance,
        })
    }

    /// Turns a denied payer or payee away before the chain is asked or anything is written. A payment
    /// that was claimed before the address was denied goes on: it may have been charged, and only its
    /// claim knows what the buyer has to be told. It is not granted again.
    async fn screen(&self, terms: &Terms, paid: &CheckedAuthorization) -> Result<(), Refusal> {
        let deny_list = &self.inner.options.deny_list;
        let refusal = if deny_list.denies(paid.payer) {
            Refusal::Denied
        } else if deny_list.denies(terms.pay_to) {
            // The payee was replaced, and these are terms of before: those of now can be paid.
            Refusal::Invalid(Reason::InvalidRequirements)
        } else {
            return Ok(());
        };
        let key = ClaimKey {
            identity: paid.identity(&terms.token),
            valid_before: paid.valid_before,
        };
        let store = self.store();
        match store.claim_get(key).await.map_err(store_unavailable)? {
            Some(claim) if claim.payment != PaymentState::Released => Ok(()),
            Some(_) | None => Err(refusal),
        }
    }

    /// Begins to work for a request. A client that leaves before its answer and comes again with a new
    /// payment waits for what becomes of this one.
    pub fn begin(&self, checked: &Checked, purchase: &Purchase) -> (Waiting, Underway) {
        let asked = (checked.payer(), purchase.binding);
        self.inner.left.begin(asked, checked.key())
    }

    /// Claims a checked payment for one request. After `Ok` the claim is durable and the origin
    /// may be called; if the grant [settles first](Grant::settles_first), that comes before.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was charged.
    pub async fn claim(
        &self,
        deal: &Deal,
        checked: Checked,
        purchase: Purchase,
    ) -> Result<Grant, Refusal> {
        let now = UnixMicros::now();
        let payer_balance = Some(checked.balance);
        let (claim, transaction) = self.new_claim(deal, &checked, purchase, now);
        let failed_since = UnixMicros(now.0.saturating_sub(micros(self.inner.options.distrust)));
        let request = ClaimRequest {
            claim,
            transaction,
            payer_balance,
            failed_since,
            now,
        };
        let chain = request.claim.chain;
        let claim = match self.claim_or_wait(request).await {
            Ok(claim) => claim,
            Err(refusal) => {
                self.count_refused(chain, &refusal);
                return Err(refusal);
            }
        };
        if let Some(metrics) = self.inner.metrics.get(&chain) {
            metrics.payment_accepted();
        }
        Ok(Grant::new(Arc::clone(&self.inner), deal, claim, checked))
    }

    fn count_refused(&self, chain: ChainId, refusal: &Refusal) {
        if let Some(metrics) = self.inner.metrics.get(&chain) {
            metrics.payment_refused(label(refusal));
        }
    }

    fn window(&self, deal: &Deal) -> WindowRules {
        let options = &self.inner.options;
        WindowRules {
            settlement_margin_seconds: (deal.origin_timeout + options.settlement_margin).as_secs(),
            max_window_seconds: options.window_max.as_secs(),
        }
    }

    fn new_claim(
        &self,
        deal: &Deal,
        checked: &Checked,
        purchase: Purchase,
        now: UnixMicros,
    ) -> (NewClaim, NewTransaction) {
        let Checked {
            terms,
            authorization,
            ..
        } = checked;
        let transaction = NewTransaction {
            id: TransactionId::generate(),
            request: purchase.request,
            service: deal.service,
            method: purchase.method,
            path: purchase.path,
            rail: match checked.version {
                Version::V1 => "x402-v1",
                Version::V2 => "x402-v2",
            },
        };
        let claim = NewClaim {
            id: ClaimId::generate(),
            identity: authorization.identity(&terms.token),
            tenant: deal.tenant,
            mode: deal.mode,
            paywall: deal.paywall,
            transaction: transaction.id,
            binding: purchase.binding,
            secret: purchase.secret,
            order: deal.order,
            chain: terms.chain(),
            asset: terms.asset(),
            payer: authorization.payer,
            pay_to: terms.pay_to,
            amount: authorization.value,
            nonce: authorization.nonce,
            valid_before: authorization.valid_before,
            owner: self.inner.options.node,
            created_at: now,
        };
        (claim, transaction)
    }

    /// Claims, and if an earlier payment for the same request is of unknown fate, waits a little
    /// for that fate: it may have become a credit that covers this one.
    async fn claim_or_wait(
        &self,
        request: ClaimRequest,
    ) -> Result<Box<octroi_claim::Claim>, Refusal> {
        self.wait_for_left(&request.claim).await?;
        let mut waited_for = None;
        loop {
            match self
                .inner
                .store
                .claim_make(request.clone())
                .await
                .map_err(store_unavailable)?
            {
                ClaimOutcome::Granted(claim) => return Ok(claim),
                ClaimOutcome::Refused(RefusedClaim::AwaitEarlier { earlier })
                    if waited_for != Some(earlier) =>
                {
                    waited_for = Some(earlier);
                    self.wait_for_fate(earlier).await?;
                }
                ClaimOutcome::Refused(refused) => return Err(Refusal::Claim(refused)),
            }
        }
    }

    /// The client may have left an earlier request of the same kind, which is still worked for.
    async fn wait_for_left(&self, new: &NewClaim) -> Result<(), Refusal> {
        let asked = (new.payer, new.binding);
        let deadline = tokio::time::Instant::now() + self.inner.options.earlier_wait;
        while let Some(earlier) = self.inner.left.earlier(asked) {
            if tokio::time::Instant::now() >= deadline {
                let refused = RefusedClaim::AwaitEarlier { earlier };
                return Err(Refusal::Claim(refused));
            }
            tokio::time::sleep(FATE_POLL).await;
        }
        Ok(())
    }

    async fn wait_for_fate(&self, earlier: ClaimKey) -> Result<(), Refusal> {
        let deadline = tokio::time::Instant::now() + self.inner.options.earlier_wait;
        while tokio::time::Instant::now() < deadline {
            let claim = self
                .inner
                .store
                .claim_get(earlier)
                .await
                .map_err(store_unavailable)?;
            let open = claim.is_some_and(|claim| matches!(claim.payment, PaymentState::Unknown));
            if !open {
                return Ok(());
            }
            tokio::time::sleep(FATE_POLL).await;
        }
        Ok(())
    }

    /// The chains this gate settles on.
    #[must_use]
    pub fn chains(&self) -> &HashMap<ChainId, Chain> {
        &self.inner.chains
    }

    /// The store behind the desk.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err's function")]
pub(crate) fn store_unavailable(error: StoreError) -> Refusal {
    error!(error = %causes(&error), "the store did not take a claim");
    Refusal::Unavailable(ErrorCode::StoreUnavailable)
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err's function")]
fn unavailable(error: ChainError) -> Refusal {
    error!(error = %causes(&error), "the chain could not be asked");
    Refusal::Unavailable(ErrorCode::SettlementUnavailable)
}
