//! The port for settlements: what was signed, sent and seen (money rules 15–18).

use std::fmt;

use async_trait::async_trait;
use octroi_claim::{Claim, ClaimKey};
use octroi_types::{
    Address, B256, ChainId, ClaimId, Redacted, SettlementId, TransactionId, UnixMicros,
};
use serde::Serialize;

use crate::error::StoreError;

/// One signed transaction for a (chain, wallet, nonce). Fee bumps add attempts.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its hash.
    pub tx_hash: B256,
    /// The signed bytes; kept until the settlement is final.
    pub raw_tx: Redacted<Vec<u8>>,
    /// The fee cap, in wei per gas.
    pub max_fee_per_gas: u64,
    /// The tip, in wei per gas.
    pub max_priority_fee_per_gas: u64,
    /// When it was made durable; it is sent after that.
    pub created_at: UnixMicros,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("tx_hash", &self.tx_hash)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// Drops the signed bytes.
    fn forget_raw_tx(&mut self) {
        self.raw_tx = Redacted::default();
    }
}

/// A settlement about to be sent.
#[derive(Debug, Clone)]
pub struct NewSettlement {
    /// Its id, made by the caller.
    pub id: SettlementId,
    /// The chain.
    pub chain: ChainId,
    /// The sending wallet.
    pub wallet: Address,
    /// The wallet's nonce. (chain, wallet, nonce) is unique in the store.
    pub nonce: u64,
    /// The first signed transaction.
    pub attempt: Attempt,
    /// The claims it carries, with the epoch under which each is worked on. Empty for a
    /// transaction that only fills a nonce gap.
    pub claims: Vec<(ClaimKey, u32)>,
}

/// How surely a payment's money has arrived, as far as the store knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It has not, or not any more: its fate is open, it failed, or it was never sent.
    Not,
    /// It was seen in this block, which may still be replaced.
    Seen(Inclusion),
    /// It is in a block that is final.
    Final,
}

/// Whether a settlement may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenOutcome {
    /// It is durable and each claim is `broadcast`: send it.
    Opened,
    /// The nonce is taken by another settlement: take the next one and sign anew.
    NonceTaken,
    /// Nothing was stored: these claims passed to another owner or cannot be sent any more.
    Fenced(Vec<ClaimKey>),
}

/// How far a settlement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettlementState {
    /// Durable; sent, or about to be.
    Open,
    /// Seen in a block.
    Included,
    /// Its block is final; the signed bytes are gone.
    Final,
}

/// Where a transaction was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inclusion {
    /// The transaction.
    pub tx_hash: B256,
    /// Its block's number.
    pub block_number: u64,
    /// Its block's hash; another hash at this number later means that the block was replaced.
    pub block_hash: B256,
}

/// A settlement as stored.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Its id.
    pub id: SettlementId,
    /// The chain.
    pub chain: ChainId,
    /// The sending wallet.
    pub wallet: Address,
    /// The wallet's nonce.
    pub nonce: u64,
    /// How far it is.
    pub state: SettlementState,
    /// Every signed transaction, oldest first.
    pub attempts: Vec<Attempt>,
    /// Where it was seen.
    pub inclusion: Option<Inclusion>,
    /// The claims it carries.
    pub claims: Vec<ClaimKey>,
}

impl Settlement {
    /// The settlement as it is opened.
    #[must_use]
    pub fn open(new: &NewSettlement) -> Self {
        Self {
            id: new.id,
            chain: new.chain,
            wallet: new.wallet,
            nonce: new.nonce,
            state: SettlementState::Open,
            attempts: vec![new.attempt.clone()],
            inclusion: None,
            claims: new.claims.iter().map(|(key, _)| *key).collect(),
        }
    }

    /// What is final is not sent again: its signed bytes are dropped.
    pub fn forget_if_final(&mut self) {
        if self.state == SettlementState::Final {
            self.attempts.iter_mut().for_each(Attempt::forget_raw_tx);
        }
    }
}

/// What the chain (or a remote facilitator) told about one claim. Facts do not belong to an owner:
/// they are applied whatever the claim's epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The payment is on the chain.
    Settled {
        /// Where.
        inclusion: Inclusion,
        /// Index of the `AuthorizationUsed` log in its block. Each log settles one claim only
        /// (money rule 17).
        log_index: u64,
    },
    /// It is not known whether the payment was or will be settled.
    Unknown,
    /// The authorization ended unused in a finalized block.
    Failed,
    /// The block that held the settled payment was replaced.
    Vanished,
}

impl Fact {
    /// The log that it names: chain, block and index in the block. A log belongs to its block: the
    /// same transaction in another block has another log.
    #[must_use]
    pub const fn log(&self, chain: ChainId) -> Option<(ChainId, B256, u64)> {
        match self {
            Self::Settled {
                inclusion,
                log_index,
            } => Some((chain, inclusion.block_hash, *log_index)),
            Self::Unknown | Self::Failed | Self::Vanished => None,
        }
    }
}

/// What became of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactOutcome {
    /// Applied. If the work had been given up, `credit` of the claim names the refund credit that
    /// was opened in the same store transaction.
    Applied(Box<Claim>),
    /// It was known: the claim is as it was.
    Unchanged(Box<Claim>),
    /// The log settled another claim already; this claim is now of unknown fate.
    LogTaken {
        /// The claim that it settled.
        by: ClaimId,
    },
    /// The claim cannot take this fact from its present state.
    Refused(Box<Claim>),
    /// There is no such claim (any more).
    NoSuchClaim,
}

/// Settlements: durable before broadcast, watched until final.
#[async_trait]
pub trait SettlementStore: Send + Sync + 'static {
    /// Makes a signed settlement durable and moves all its claims to `broadcast`, or stores
    /// nothing. The same settlement again is [`OpenOutcome::Opened`]; another one under the same id
    /// finds its nonce taken.
    ///
    /// # Errors
    /// [`StoreError::Inconsistent`] if it would carry claims of both modes.
    async fn settlement_open(&self, new: NewSettlement) -> Result<OpenOutcome, StoreError>;

    /// Adds a fee bump under the same nonce. The same attempt again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such settlement.
    async fn settlement_attempt(
        &self,
        id: SettlementId,
        attempt: Attempt,
    ) -> Result<(), StoreError>;

    /// Records where a settlement was seen, and what became of its claims: each fact as in
    /// [`SettlementStore::facts_apply`]. A settlement that is final stays final.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such settlement.
    async fn settlement_included(
        &self,
        id: SettlementId,
        inclusion: Inclusion,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError>;

    /// Applies facts, in order, each whatever the claim's epoch ([`crate::plan::learn`]). A payment
    /// that settles is posted once; while one that vanished is of unknown fate it stays posted, and
    /// when it failed for good it is reversed to `settlement_loss` (money rule 18).
    async fn facts_apply(
        &self,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError>;

    /// The block of these settlements is final, or they can never be in one: they are watched no
    /// longer, and their signed bytes are dropped.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if one of them does not exist; then none is changed.
    async fn settlements_final(&self, ids: Vec<SettlementId>) -> Result<(), StoreError>;

    /// The block of a settlement was replaced: it is open again, and the claims that it settled are
    /// of unknown fate.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is no such settlement, or it is final.
    async fn settlement_vanished(
        &self,
        id: SettlementId,
        now: UnixMicros,
    ) -> Result<(), StoreError>;

    /// Claims of a chain that a transaction of somebody else settled, in a block that is not known to
    /// be final, and where each was seen; ordered by their keys. A claim is among them from the fact
    /// that it was settled until it vanishes or [`SettlementStore::claims_final`] ends it. Those that
    /// a settlement settled are watched with it.
    async fn claims_watched(&self, chain: ChainId) -> Result<Vec<(Claim, Inclusion)>, StoreError>;

    /// The blocks of these hashes, in which these claims were settled, are final: the claims are
    /// watched no longer. One that is not watched, or was seen in another block since, is passed
    /// over.
    async fn claims_final(
        &self,
        chain: ChainId,
        claims: Vec<(ClaimKey, B256)>,
    ) -> Result<(), StoreError>;

    /// Settlements of a chain that are not final, oldest nonce first.
    async fn settlements_unfinished(&self, chain: ChainId) -> Result<Vec<Settlement>, StoreError>;

    /// The highest nonce used by a wallet on a chain, if any.
    async fn settlement_nonce_max(
        &self,
        chain: ChainId,
        wallet: Address,
    ) -> Result<Option<u64>, StoreError>;

    /// How surely the money of a transaction has arrived. What is watched no longer is final: claims
    /// are kept for as long as they are watched, and forgotten some time after.
    async fn arrival(&self, transaction: TransactionId) -> Result<Arrival, StoreError>;
}
