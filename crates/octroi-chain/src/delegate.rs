//! Settling through somebody else's facilitator, with our own eyes on the chain.

use std::sync::Arc;
use std::time::Duration;

use octroi_claim::Step;
use octroi_store::{Fact, FactOutcome, Inclusion};
use octroi_types::{B256, UnixMicros};
use octroi_x402::facilitator::FacilitatorRequest;
use octroi_x402::{
    Authorization, Counterfactual, ExactPayload, Payment, Reason, SettleResponse, SignatureBytes,
    Terms, VersionTag, v2,
};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::call::{CallSignature, TransferCall};
use crate::engine::Engine;
use crate::event::SettlementEnd;
use crate::facilitator::{Facilitator, FacilitatorError};
use crate::finality::{Subject, Watched};
use crate::outcome::{Included, SettleOutcome};
use crate::queue::Queued;
use crate::receipt::proof;
use crate::resolve::{end_of, settled_or};
use crate::rpc::BlockTag;
use crate::token::authorization_used;

/// Settlements that are asked for at once.
pub(crate) const WORKERS: usize = 64;
/// How often a facilitator is asked that cannot be reached.
const ATTEMPTS: u32 = 3;
/// How long our node may be behind the facilitator's.
const CONFIRM_WAIT: Duration = Duration::from_secs(30);

/// Hands payments to a facilitator, one at a time.
pub(crate) struct Worker {
    engine: Arc<Engine>,
    facilitator: Arc<Facilitator>,
}

/// How a settlement by a facilitator ended, as far as it told.
enum Told {
    /// It says that the payee has the money.
    Settled { tx_hash: Option<B256> },
    /// It says that it does not know yet.
    Pending { tx_hash: Option<B256> },
    /// It says that it will not settle.
    Refused { reason: Reason },
    /// It says nothing.
    Nothing,
    /// It was not asked: no connection to it came about.
    NotAsked,
}

/// What the caller is told, and how the settlement ended if that is news.
type Concluded = (SettleOutcome, Option<SettlementEnd>);

impl Worker {
    pub(crate) const fn new(engine: Arc<Engine>, facilitator: Arc<Facilitator>) -> Self {
        Self {
            engine,
            facilitator,
        }
    }

    /// Settles what comes until the gate stops.
    pub(crate) async fn run(self) {
        loop {
            let batch = tokio::select! {
                () = self.engine.cancel.cancelled() => return,
                batch = self.engine.queue.next(1) => batch,
            };
            for queued in batch {
                self.settle(queued).await;
            }
        }
    }

    async fn settle(&self, queued: Queued) {
        let engine = &self.engine;
        let transfer = queued.call.transfer;
        let soonest = UnixMicros::now().plus(engine.options.send_margin).seconds();
        let Some(request) = request(engine, &queued.call) else {
            return engine
                .refuse(vec![(queued, Reason::InvalidRequirements)])
                .await;
        };
        if transfer.valid_before <= soonest {
            return engine.refuse(vec![(queued, Reason::ValidBefore)]).await;
        }
        let used = || authorization_used(engine, &transfer, BlockTag::Latest);
        match engine.patiently(used).await {
            Ok(false) => engine.saw_unused(transfer.claim),
            Ok(true) => {
                return engine
                    .refuse(vec![(queued, Reason::NonceAlreadyUsed)])
                    .await;
            }
            Err(error) => {
                warn!(chain = engine.name(), error = %error, "cannot ask before delegating");
                return engine
                    .not_sent(vec![queued], || SettleOutcome::Unavailable)
                    .await;
            }
        }
        if let Some(mut queued) = self.delegate(queued).await {
            let since = UnixMicros::now();
            let told = self.ask(&request).await;
            let outcome = match told {
                Told::NotAsked if self.withdraw(&queued).await => SettleOutcome::Unavailable,
                told => {
                    let (outcome, end) = self.conclude(&queued, told).await;
                    if let Some(end) = end {
                        engine.tell_ended(end, since);
                    }
                    outcome
                }
            };
            queued.answer(outcome);
        }
    }

    /// Makes durable that the facilitator is about to be asked.
    async fn delegate(&self, mut queued: Queued) -> Option<Queued> {
        let engine = &self.engine;
        let transfer = &queued.call.transfer;
        let (key, epoch) = (transfer.claim, transfer.epoch);
        match engine
            .store
            .claim_advance(key, epoch, vec![Step::Delegate], UnixMicros::now())
            .await
        {
            Ok(Ok(_)) => {
                queued.sent = true;
                Some(queued)
            }
            Ok(Err(_)) => {
                queued.answer(SettleOutcome::Fenced);
                None
            }
            Err(error) => {
                error!(chain = engine.name(), error = %error, "the store takes no delegation");
                // It may have taken it all the same. Then the fate is unknown until the chain tells,
                // else the caller finds that it can release its claim.
                engine.learn(vec![(key, Fact::Unknown)]).await;
                queued.answer(SettleOutcome::Pending { tx_hash: None });
                None
            }
        }
    }

    async fn ask(&self, request: &FacilitatorRequest) -> Told {
        let mut attempt = 1;
        let mut silence = Told::NotAsked;
        loop {
            let error = match self.facilitator.settle(request).await {
                Ok(response) => return told(&response),
                Err(error) => error,
            };
            if !error.is_before_sending() {
                silence = Told::Nothing;
            }
            let may_repeat = matches!(error, FacilitatorError::Unreachable(_));
            if !may_repeat || attempt == ATTEMPTS {
                warn!(chain = self.engine.name(), error = %error, "no word of a settlement");
                return silence;
            }
            attempt += 1;
            if !self.engine.pause(Duration::from_millis(200)).await {
                return silence;
            }
        }
    }

    /// Gives a payment back of which nothing left the gate. `false` if its fate is not ours to tell
    /// any more: it passed to another owner, or somebody else settled it.
    async fn withdraw(&self, queued: &Queued) -> bool {
        let engine = &self.engine;
        let (key, epoch) = (queued.call.transfer.claim, queued.call.transfer.epoch);
        let step = || vec![Step::Withdraw];
        let write = || {
            engine
                .store
                .claim_advance(key, epoch, step(), UnixMicros::now())
        };
        engine
            .insist("a withdrawal", write)
            .await
            .is_some_and(|withdrawn| withdrawn.is_ok())
    }

    /// Believes the chain and not the facilitator: nothing is settled that our own node does not
    /// show, and nothing has failed that could still be sent.
    async fn conclude(&self, queued: &Queued, told: Told) -> Concluded {
        let (tx_hash, otherwise) = match told {
            Told::Settled {
                tx_hash: Some(tx_hash),
            } => {
                if let Some(concluded) = self.confirm(queued, tx_hash).await {
                    return concluded;
                }
                (Some(tx_hash), None)
            }
            Told::Settled { tx_hash: None } | Told::Nothing | Told::NotAsked => (None, None),
            Told::Pending { tx_hash } => (tx_hash, None),
            Told::Refused { reason } => (None, Some(SettleOutcome::Reverted { reason })),
        };
        let transfer = &queued.call.transfer;
        let learned = self
            .engine
            .learn(vec![(transfer.claim, Fact::Unknown)])
            .await;
        let outcome = otherwise.unwrap_or(SettleOutcome::Pending { tx_hash });
        (
            outcome,
            learned.unwrap_or_default().first().and_then(end_of),
        )
    }

    /// Waits until our node shows the transaction, and looks what it did. `None` if it does not show
    /// it in time.
    async fn confirm(&self, queued: &Queued, tx_hash: B256) -> Option<Concluded> {
        let engine = &self.engine;
        let transfer = &queued.call.transfer;
        let deadline = Instant::now() + CONFIRM_WAIT;
        let mut heads = engine.heads.clone();
        let receipt = loop {
            if let Ok(Some(receipt)) = engine.rpc.receipt(tx_hash).await
                && receipt.tx_hash == tx_hash
            {
                break receipt;
            }
            tokio::select! {
                () = engine.cancel.cancelled() => return None,
                () = tokio::time::sleep_until(deadline) => return None,
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
                Ok(()) = heads.changed() => {}
            }
        };
        let (block_number, block_hash) = (receipt.block_number, receipt.block_hash);
        let included = Included {
            tx_hash,
            block_number,
            block_hash,
        };
        let inclusion: Inclusion = included.into();
        let fact = match proof(&receipt.logs, transfer) {
            Some(log_index) => Fact::Settled {
                inclusion,
                log_index,
            },
            None => Fact::Unknown,
        };
        let mut outcomes = engine
            .learn(vec![(transfer.claim, fact)])
            .await?
            .into_iter();
        let reverted = SettleOutcome::Reverted {
            reason: Reason::TransferEventMismatch,
        };
        if let Fact::Settled { .. } = fact {
            engine.watch(Watched::new(Subject::Claim(*transfer), included));
        }
        let outcome = outcomes.next()?;
        let end = end_of(&outcome);
        let outcome = match outcome {
            FactOutcome::Applied(claim)
            | FactOutcome::Unchanged(claim)
            | FactOutcome::Refused(claim) => {
                settled_or(transfer, claim, &fact, included).unwrap_or(reverted)
            }
            FactOutcome::LogTaken { .. } => SettleOutcome::Reverted {
                reason: Reason::DuplicateSettlement,
            },
            FactOutcome::NoSuchClaim => SettleOutcome::Fenced,
        };
        Some((outcome, end))
    }
}

fn told(response: &SettleResponse) -> Told {
    let tx_hash = response.transaction_hash();
    if response.success {
        return Told::Settled { tx_hash };
    }
    let reason = response.reason();
    if let Some(reason) = &reason {
        warn!(%reason, "the facilitator did not settle");
    }
    match reason
        .and_then(|reason| reason.known())
        .unwrap_or(Reason::UnexpectedSettleError)
    {
        reason if reason.is_pending() => Told::Pending { tx_hash },
        reason => Told::Refused { reason },
    }
}

/// The payment in the words of version 2, whichever the buyer spoke: what is signed is the same.
fn request(engine: &Engine, call: &TransferCall) -> Option<FacilitatorRequest> {
    let transfer = &call.transfer;
    let accepted = engine.options.token(transfer.token)?;
    let left = transfer
        .valid_before
        .0
        .saturating_sub(UnixMicros::now().seconds().0);
    let terms = Terms {
        token: Arc::clone(&accepted.token),
        pay_to: transfer.to,
        amount: transfer.value,
        max_timeout_seconds: u32::try_from(left).unwrap_or(u32::MAX).max(1),
    };
    let authorization = Authorization {
        from: transfer.from,
        to: transfer.to,
        value: transfer.value.units().into(),
        valid_after: call.valid_after.0.into(),
        valid_before: transfer.valid_before.0.into(),
        nonce: transfer.nonce,
    };
    let signature = SignatureBytes::from(signature_bytes(call));
    let payment = Payment::V2(v2::PaymentPayload {
        x402_version: VersionTag,
        resource: None,
        accepted: terms.to_v2(),
        payload: ExactPayload::Eip3009 {
            authorization,
            signature,
        },
        extensions: None,
    });
    FacilitatorRequest::new(payment, &terms, &v2::ResourceInfo::default()).ok()
}

/// The signature as the payer sent it.
fn signature_bytes(call: &TransferCall) -> Vec<u8> {
    let signature = match call.signature.expose() {
        CallSignature::Ecdsa { r, s, v } => return [&r.0[..], &s.0[..], &[*v]].concat(),
        CallSignature::Wallet(signature) => signature.clone(),
    };
    match &call.deployment {
        None => signature,
        Some(deployment) => {
            let calldata = deployment.calldata.expose().clone();
            Counterfactual {
                factory: deployment.factory,
                calldata,
                signature,
            }
            .wrap()
        }
    }
}
