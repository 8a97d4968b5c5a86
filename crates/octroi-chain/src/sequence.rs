//! A wallet's nonces: each is signed for and made durable before anything is sent (money rule 15).

use std::sync::Arc;

use octroi_claim::ClaimKey;
use octroi_store::{Attempt, NewSettlement, OpenOutcome};
use octroi_types::{Address, Redacted, SettlementId, UnixMicros};
use tracing::warn;

use crate::engine::Engine;
use crate::fees::FeeQuote;
use crate::follow::InFlight;
use crate::queue::Queued;
use crate::rpc::{BlockTag, RpcError};
use crate::wallet::{Draft, Wallet};

/// What goes into one transaction.
pub(crate) struct Content {
    pub(crate) to: Address,
    pub(crate) data: Redacted<Vec<u8>>,
    pub(crate) gas_limit: u64,
}

/// A settlement that is durable.
pub(crate) struct Opened {
    id: SettlementId,
    wallet: Address,
    nonce: u64,
    attempt: Attempt,
}

impl Opened {
    /// With what it carries, which from now on may have been sent.
    pub(crate) fn with(self, mut queued: Vec<Queued>) -> InFlight {
        for queued in &mut queued {
            queued.sent = true;
        }
        let Self {
            id,
            wallet,
            nonce,
            attempt,
        } = self;
        InFlight {
            id,
            wallet,
            nonce,
            attempts: vec![attempt],
            queued,
            is_new: true,
        }
    }
}

/// Why a settlement is not durable.
pub(crate) enum NotOpened {
    /// These claims passed to another owner, or cannot be sent any more.
    Fenced(Vec<ClaimKey>),
    /// Node or store cannot take it; nothing was stored.
    Unavailable,
    /// The gate stops, and what the store has is not known.
    Stopped,
}

/// The nonces of one wallet on one chain.
pub(crate) struct Sequence {
    engine: Arc<Engine>,
    wallet: Wallet,
    next: Option<u64>,
}

impl Sequence {
    pub(crate) const fn new(engine: Arc<Engine>, wallet: Wallet) -> Self {
        Self {
            engine,
            wallet,
            next: None,
        }
    }

    /// Counts anew, because somebody else used a nonce.
    pub(crate) const fn recount(&mut self) {
        self.next = None;
    }

    /// Tells operators the next nonce before there is a use for it. It is counted again then.
    pub(crate) async fn tell(&self) {
        if let Ok(nonce) = self.count().await {
            self.engine
                .lanes
                .set_next_nonce(self.wallet.address(), nonce);
        }
    }

    fn set_next(&mut self, nonce: u64) {
        self.next = Some(nonce);
        self.engine
            .lanes
            .set_next_nonce(self.wallet.address(), nonce);
    }

    /// Signs and makes durable. The nonce is reserved by the same store call that keeps the signed
    /// bytes: a signature that loses the nonce is never sent, and one flush to disk is saved on
    /// every settlement.
    pub(crate) async fn open(
        &mut self,
        content: &Content,
        fees: FeeQuote,
        batch: &[Queued],
    ) -> Result<Opened, NotOpened> {
        let engine = Arc::clone(&self.engine);
        loop {
            let nonce = self.nonce().await.map_err(|error| {
                warn!(chain = engine.name(), error = %error, "cannot count the wallet's nonces");
                NotOpened::Unavailable
            })?;
            let new = self.sign(content, fees, nonce, batch);
            // A store that failed may have stored it all the same, so nothing else may be done with
            // these claims before it has told.
            let write = || engine.store.settlement_open(new.clone());
            match engine.insist("a settlement", write).await {
                Some(OpenOutcome::Opened) => {
                    self.set_next(nonce.saturating_add(1));
                    let NewSettlement {
                        id,
                        wallet,
                        attempt,
                        ..
                    } = new;
                    return Ok(Opened {
                        id,
                        wallet,
                        nonce,
                        attempt,
                    });
                }
                Some(OpenOutcome::NonceTaken) => self.set_next(nonce.saturating_add(1)),
                Some(OpenOutcome::Fenced(keys)) => return Err(NotOpened::Fenced(keys)),
                None if engine.cancel.is_cancelled() => return Err(NotOpened::Stopped),
                None => return Err(NotOpened::Unavailable),
            }
        }
    }

    fn sign(
        &self,
        content: &Content,
        fees: FeeQuote,
        nonce: u64,
        batch: &[Queued],
    ) -> NewSettlement {
        let FeeQuote {
            max_fee_per_gas,
            max_priority_fee_per_gas,
        } = fees;
        let chain = self.engine.options.chain;
        let (raw_tx, tx_hash) = self.wallet.sign(&Draft {
            chain,
            nonce,
            to: content.to,
            data: content.data.clone(),
            gas_limit: content.gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
        });
        let created_at = UnixMicros::now();
        let claim = |queued: &Queued| (queued.call.transfer.claim, queued.call.transfer.epoch);
        NewSettlement {
            id: SettlementId::generate(),
            chain,
            wallet: self.wallet.address(),
            nonce,
            attempt: Attempt {
                tx_hash,
                raw_tx,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                created_at,
            },
            claims: batch.iter().map(claim).collect(),
        }
    }

    async fn nonce(&mut self) -> Result<u64, RpcError> {
        if let Some(nonce) = self.next {
            return Ok(nonce);
        }
        let nonce = self.count().await?;
        self.set_next(nonce);
        Ok(nonce)
    }

    /// The next nonce: after the store's last for this wallet, and not below the chain's count.
    async fn count(&self) -> Result<u64, RpcError> {
        let engine = &self.engine;
        let (chain, wallet) = (engine.options.chain, self.wallet.address());
        let counted = engine
            .rpc
            .transaction_count(wallet, BlockTag::Pending)
            .await?;
        let read = || engine.store.settlement_nonce_max(chain, wallet);
        let used = engine.insist("nonces", read).await.flatten();
        let after_used = used.and_then(|nonce| nonce.checked_add(1)).unwrap_or(0);
        Ok(after_used.max(counted))
    }
}
