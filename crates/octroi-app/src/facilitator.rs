//! The facilitator for the operator's other servers: verify, settle, and hand out each success
//! once (money rule 21).

use std::collections::HashMap;
use std::sync::Arc;

use octroi_chain::{Chain, SettleJob, SettleOutcome};
use octroi_claim::{
    Binding, Claim, ClaimKey, NewClaim, PaymentState, RefusedClaim, SettleOrder, Step, WorkState,
};
use octroi_store::{ClaimOutcome, ClaimRequest, NewTransaction, StoreError};
use octroi_telemetry::chain as causes;
use octroi_types::{
    Address, B256, ChainId, ClaimId, Mode, PaywallId, RequestId, TenantId, TransactionId,
    UnixMicros,
};
use octroi_x402::facilitator::{FacilitatorRequest, SupportedResponse};
use octroi_x402::{
    CheckedAuthorization, Reason, SettleResponse, Terms, Token, VerifyResponse, WindowRules,
    verify_payment,
};
use tracing::error;

use crate::payments::Payments;

/// A token for which the facilitator settles. Everything else is refused: its transfers are gas
/// that we pay (money rule 20).
#[derive(Debug, Clone)]
pub struct SupportedAsset {
    /// The token with the domain that was checked on the chain.
    pub token: Arc<Token>,
    /// Play or real money.
    pub mode: Mode,
}

/// The facilitator's desk.
#[derive(Clone)]
pub struct FacilitatorDesk {
    payments: Payments,
    tenant: TenantId,
    paywall: PaywallId,
    assets: Arc<HashMap<(ChainId, Address), SupportedAsset>>,
}

impl FacilitatorDesk {
    /// Opens the desk; what it settles is booked for `tenant`.
    #[must_use]
    pub fn new(payments: Payments, tenant: TenantId, assets: Vec<SupportedAsset>) -> Self {
        let assets = assets
            .into_iter()
            .map(|asset| ((asset.token.chain(), asset.token.address()), asset))
            .collect();
        let paywall = PaywallId::derived(&tenant.uuid(), "facilitator");
        Self {
            payments,
            tenant,
            paywall,
            assets: Arc::new(assets),
        }
    }

    /// `GET /supported`.
    #[must_use]
    pub fn supported(&self) -> SupportedResponse {
        let mut chains: Vec<ChainId> = self.assets.keys().map(|(chain, _)| *chain).collect();
        chains.sort_unstable();
        chains.dedup();
        let mut signers: Vec<Address> = self
            .payments
            .chains()
            .values()
            .flat_map(Chain::signers)
            .collect();
        signers.sort_unstable();
        signers.dedup();
        SupportedResponse::exact(&chains, &signers)
    }

    /// `POST /verify`.
    pub async fn verify(&self, request: &FacilitatorRequest) -> VerifyResponse {
        match self.check(request).await {
            Ok(order) => match self.claimed(order.key()).await {
                Ok(None) => VerifyResponse::valid(order.checked.payer),
                Ok(Some(_)) => {
                    let payer = Some(order.checked.payer);
                    VerifyResponse::invalid(Reason::NonceAlreadyUsed, payer)
                }
                Err(_) => VerifyResponse::invalid(Reason::UnexpectedVerifyError, None),
            },
            Err(reason) => VerifyResponse::invalid(reason, None),
        }
    }

    /// Runs a use of the desk to its end, whether or not the caller waits for it. `None` if it
    /// failed inside.
    pub async fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> F,
    ) -> Option<T> {
        self.payments
            .inner
            .tasks
            .spawn(work(self.clone()))
            .await
            .ok()
    }

    /// `POST /settle`. Success is handed out exactly once for one authorization.
    pub async fn settle(&self, request: &FacilitatorRequest) -> SettleResponse {
        let version = request.payment().version();
        let order = match self.known(request).await {
            Ok(Known::Fresh(order)) => order,
            Ok(Known::Claimed { order, claim }) => return self.collect(&order, &claim).await,
            Err(reason) => {
                let chain = request.payment().chain().unwrap_or(ChainId(0));
                return SettleResponse::failed(version, chain, reason, None, None);
            }
        };
        match self.claim(&order).await {
            Ok(ClaimOutcome::Granted(claim)) => self.settle_claim(&order, claim).await,
            Ok(ClaimOutcome::Refused(refused)) => order.refused(refused),
            Err(error) => {
                error!(error = %causes(&error), "the store did not take a claim");
                order.failed(Reason::UnexpectedSettleError, None)
            }
        }
    }

    async fn settle_claim(&self, order: &Order, claim: Box<Claim>) -> SettleResponse {
        let Some(chain) = self.payments.chains().get(&order.terms.chain()) else {
            return order.failed(Reason::InvalidNetwork, None);
        };
        let job = SettleJob {
            claim,
            authorization: order.checked.clone(),
            terms: order.terms.clone(),
        };
        let wait = self.payments.inner.options.settle_wait;
        let epoch = job.claim.epoch;
        match tokio::time::timeout(wait, chain.settle(job)).await {
            Ok(SettleOutcome::Settled { claim, .. }) => self.collect(order, &claim).await,
            Ok(SettleOutcome::Refused { reason }) => order.failed(reason, None),
            Ok(SettleOutcome::Unavailable) => order.failed(Reason::UnexpectedSettleError, None),
            Ok(SettleOutcome::Fenced) => order.failed(Reason::DuplicateSettlement, None),
            Ok(SettleOutcome::Pending { tx_hash }) => {
                order.failed(Reason::SettlementPending, tx_hash)
            }
            // What reverted may still be settled by anybody until its window has ended.
            Ok(SettleOutcome::Reverted { .. }) => self.still_open(order).await,
            Err(_) => self.call_back(order, epoch).await,
        }
    }

    /// The time is up. What was not sent is released, and may come again.
    async fn call_back(&self, order: &Order, epoch: u32) -> SettleResponse {
        let (store, steps) = (self.payments.store(), vec![Step::Release]);
        match store
            .claim_advance(order.key(), epoch, steps, UnixMicros::now())
            .await
        {
            Ok(Ok(_)) => order.failed(Reason::UnexpectedSettleError, None),
            Ok(Err(_)) | Err(_) => self.still_open(order).await,
        }
    }

    /// It was sent, and what becomes of it is not known yet.
    async fn still_open(&self, order: &Order) -> SettleResponse {
        match self.claimed(order.key()).await {
            Ok(Some(claim)) => order.failed(Reason::SettlementPending, claim.tx_hash),
            Ok(None) | Err(_) => order.failed(Reason::SettlementPending, None),
        }
    }

    /// Hands out the success of a settled claim, if nobody has it yet.
    async fn collect(&self, order: &Order, claim: &Claim) -> SettleResponse {
        let reason = match claim.payment {
            PaymentState::Settled if claim.work == WorkState::NotStarted => {
                let steps = vec![Step::Execute, Step::Answer, Step::Deliver];
                let store = self.payments.store();
                match store
                    .claim_advance(claim.key(), claim.epoch, steps, UnixMicros::now())
                    .await
                {
                    Ok(Ok(claim)) => return order.settled(claim.tx_hash.unwrap_or_default()),
                    Ok(Err(_)) => Reason::DuplicateSettlement,
                    Err(error) => {
                        error!(error = %causes(&error), "the store did not record a success");
                        Reason::SettlementPending
                    }
                }
            }
            PaymentState::Broadcast | PaymentState::Unknown => Reason::SettlementPending,
            PaymentState::Failed => Reason::ValidBefore,
            PaymentState::Claimed
            | PaymentState::Settled
            | PaymentState::Covered
            | PaymentState::Released => Reason::DuplicateSettlement,
        };
        order.failed(reason, claim.tx_hash)
    }

    /// The claim that stands for a payment, unless it was released.
    async fn claimed(&self, key: ClaimKey) -> Result<Option<Claim>, StoreError> {
        let claim = self.payments.store().claim_get(key).await?;
        Ok(claim.filter(|claim| claim.payment != PaymentState::Released))
    }

    /// Whether a payment is new here. One that was claimed is not checked again: its balance may
    /// be gone and its nonce used, by us.
    async fn known(&self, request: &FacilitatorRequest) -> Result<Known, Reason> {
        let order = self.check_offline(request)?;
        match self.claimed(order.key()).await {
            Ok(Some(claim)) if claim.terms.binding == self.binding(&order) => Ok(Known::Claimed {
                order,
                claim: Box::new(claim),
            }),
            Ok(Some(_)) => Err(Reason::DuplicateSettlement),
            Ok(None) => self.check_parties(order).await.map(Known::Fresh),
            Err(_) => Err(Reason::UnexpectedSettleError),
        }
    }

    async fn check(&self, request: &FacilitatorRequest) -> Result<Order, Reason> {
        let order = self.check_offline(request)?;
        self.check_parties(order).await
    }

    fn check_offline(&self, request: &FacilitatorRequest) -> Result<Order, Reason> {
        let mut terms = request.terms()?;
        let asset = self
            .assets
            .get(&(terms.chain(), terms.asset()))
            .ok_or(Reason::InvalidRequirements)?;
        if terms.token.domain_name() != asset.token.domain_name() {
            return Err(Reason::TokenNameMismatch);
        }
        if terms.token.domain_version() != asset.token.domain_version() {
            return Err(Reason::TokenVersionMismatch);
        }
        terms.token = Arc::clone(&asset.token);
        let options = &self.payments.inner.options;
        let rules = WindowRules {
            settlement_margin_seconds: options.settlement_margin.as_secs(),
            max_window_seconds: options.window_max.as_secs(),
        };
        let payment = request.payment();
        let now = UnixMicros::now().seconds();
        let (_, checked) = verify_payment(payment, std::slice::from_ref(&terms), now, &rules)?;
        let (version, mode) = (payment.version(), asset.mode);
        Ok(Order {
            version,
            mode,
            terms,
            checked,
        })
    }

    /// Whether both sides are served here, and what the chain knows of the payer. The deny list is for
    /// new claims only: what was claimed before an address came onto it is collected as before, for its
    /// money has moved or may yet move.
    async fn check_parties(&self, order: Order) -> Result<Order, Reason> {
        let deny_list = &self.payments.inner.options.deny_list;
        if deny_list.denies(order.checked.payer) || deny_list.denies(order.terms.pay_to) {
            return Err(Reason::AddressDenied);
        }
        let chain = self
            .payments
            .chains()
            .get(&order.terms.chain())
            .ok_or(Reason::InvalidNetwork)?;
        match chain.check_payer(&order.checked, &order.terms).await {
            Ok(Ok(_)) => Ok(order),
            Ok(Err(reason)) => Err(reason),
            Err(error) => {
                error!(error = %causes(&error), "the chain could not be asked");
                Err(Reason::UnexpectedVerifyError)
            }
        }
    }

    fn binding(&self, order: &Order) -> Binding {
        let asked = format!(
            "{}/{}/{}",
            order.terms.pay_to,
            order.terms.asset(),
            order.terms.amount
        );
        Binding::new(self.paywall.as_bytes(), "SETTLE", &asked, None, None)
    }

    async fn claim(&self, order: &Order) -> Result<ClaimOutcome, StoreError> {
        let now = UnixMicros::now();
        let transaction = NewTransaction {
            id: TransactionId::generate(),
            request: RequestId::generate(),
            service: None,
            method: "POST".to_owned(),
            path: "/facilitator/settle".to_owned(),
            rail: "facilitator",
        };
        let claim = NewClaim {
            id: ClaimId::generate(),
            identity: order.key().identity,
            tenant: self.tenant,
            mode: order.mode,
            paywall: self.paywall,
            transaction: transaction.id,
            binding: self.binding(order),
            secret: None,
            order: SettleOrder::Facilitated,
            chain: order.terms.chain(),
            asset: order.terms.asset(),
            payer: order.checked.payer,
            pay_to: order.terms.pay_to,
            amount: order.checked.value,
            nonce: order.checked.nonce,
            valid_before: order.checked.valid_before,
            owner: self.payments.inner.options.node,
            created_at: now,
        };
        let request = ClaimRequest {
            claim,
            transaction,
            payer_balance: None,
            failed_since: now,
            now,
        };
        self.payments.store().claim_make(request).await
    }
}

enum Known {
    Fresh(Order),
    Claimed { order: Order, claim: Box<Claim> },
}

/// A payment that may be settled here, with our own view of its token.
struct Order {
    version: octroi_x402::Version,
    mode: Mode,
    terms: Terms,
    checked: CheckedAuthorization,
}

impl Order {
    fn key(&self) -> ClaimKey {
        ClaimKey {
            valid_before: self.checked.valid_before,
            identity: self.checked.identity(&self.terms.token),
        }
    }

    fn settled(&self, tx_hash: B256) -> SettleResponse {
        let (payer, amount) = (self.checked.payer, Some(self.checked.value));
        SettleResponse::settled(self.version, self.terms.chain(), tx_hash, payer, amount)
    }

    fn failed(&self, reason: Reason, tx_hash: Option<B256>) -> SettleResponse {
        let payer = Some(self.checked.payer);
        SettleResponse::failed(self.version, self.terms.chain(), reason, tx_hash, payer)
    }

    fn refused(&self, refused: RefusedClaim) -> SettleResponse {
        match refused {
            RefusedClaim::Pending { tx_hash, .. } => {
                self.failed(Reason::SettlementPending, tx_hash)
            }
            RefusedClaim::AlreadyUsed { tx_hash, .. } => {
                self.failed(Reason::DuplicateSettlement, tx_hash)
            }
            RefusedClaim::Expired => self.failed(Reason::ValidBefore, None),
            RefusedClaim::Unfunded => self.failed(Reason::InsufficientBalance, None),
            RefusedClaim::BoundElsewhere
            | RefusedClaim::InUse { .. }
            | RefusedClaim::AwaitEarlier { .. } => self.failed(Reason::DuplicateSettlement, None),
        }
    }
}
