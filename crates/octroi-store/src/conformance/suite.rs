//! One store under test, and the calls that most tests make.

use std::sync::Arc;

use octroi_claim::{Claim, ClaimKey, NodeId, PaymentState, RefusedClaim, Step, WorkState};
use octroi_ledger::{Account, AccountKind, Transfer};
use octroi_types::{
    Address, Amount, B256, ChainId, CreditId, Redacted, SettlementId, TransactionId, UnixMicros,
};

use super::payment::{Payment, START, hash, id_at};
use super::{Backend, check_invariants};
use crate::{
    Attempt, ClaimOutcome, EventKind, Fact, FactOutcome, Inclusion, NewSettlement, OpenOutcome,
    Settlement, Store, refund_credit_id,
};

/// The chain of the payments that [`Payment::new`] makes.
pub const CHAIN: ChainId = ChainId(84_532);

/// A store and the calls of a test. Times are microseconds after [`START`].
pub struct Suite {
    /// The store under test.
    pub store: Arc<dyn Store>,
}

/// The time so many microseconds after the start.
#[must_use]
pub(super) const fn at(micros: i64) -> UnixMicros {
    UnixMicros(START.0 + micros)
}

/// A lease that no test outlives.
const FOREVER: UnixMicros = UnixMicros(i64::MAX);

impl Suite {
    /// Opens the store, with node 1 alive.
    pub async fn open(backend: &dyn Backend) -> Self {
        let suite = Self {
            store: backend.open().await,
        };
        suite
            .store
            .node_beat(NodeId(1), FOREVER, START)
            .await
            .unwrap();
        suite
    }

    pub async fn make(&self, payment: &Payment) -> ClaimOutcome {
        self.store.claim_make(payment.arrive()).await.unwrap()
    }

    pub async fn granted(&self, payment: &Payment) -> Claim {
        match self.make(payment).await {
            ClaimOutcome::Granted(claim) => *claim,
            ClaimOutcome::Refused(refused) => panic!("refused: {refused:?}"),
        }
    }

    pub async fn refused(&self, payment: &Payment) -> RefusedClaim {
        match self.make(payment).await {
            ClaimOutcome::Refused(refused) => refused,
            ClaimOutcome::Granted(claim) => panic!("granted: {claim:?}"),
        }
    }

    pub async fn advance(&self, claim: &Claim, steps: &[Step]) -> Claim {
        let advanced = self
            .store
            .claim_advance(claim.key(), claim.epoch, steps.to_vec(), START)
            .await;
        advanced.unwrap().unwrap()
    }

    /// Opens settlement `number` with the wallet's nonce of the same number.
    pub async fn open_settlement(&self, number: u32, claims: &[&Claim]) -> OpenOutcome {
        self.store
            .settlement_open(settlement(number, claims))
            .await
            .unwrap()
    }

    pub async fn broadcast(&self, number: u32, claims: &[&Claim]) {
        assert_eq!(
            self.open_settlement(number, claims).await,
            OpenOutcome::Opened
        );
    }

    /// Settlement `number` is in block `number`, and all these claims are settled.
    pub async fn include(&self, number: u32, claims: &[&Claim]) -> Vec<FactOutcome> {
        let facts = claims
            .iter()
            .zip(0..)
            .map(|(claim, log)| (claim.key(), settled(number, log)));
        self.store
            .settlement_included(
                settlement_id(number),
                inclusion(number),
                facts.collect(),
                START,
            )
            .await
            .unwrap()
    }

    /// Makes, broadcasts and settles a payment.
    pub async fn settled(&self, payment: &Payment) -> Claim {
        let claim = self.granted(payment).await;
        self.broadcast(payment.number, &[&claim]).await;
        self.include(payment.number, &[&claim]).await;
        self.get(&claim).await
    }

    /// Makes and settles a payment whose answer breaks: a refund credit.
    pub async fn credited(&self, payment: &Payment) -> CreditId {
        let claim = self.settled(payment).await;
        let credit = refund_credit_id(claim.terms.id);
        let claim = self
            .advance(
                &claim,
                &[Step::Break {
                    credit: Some(credit),
                }],
            )
            .await;
        assert_eq!(claim.credit, Some(credit));
        credit
    }

    /// Brings a payment into a pair of states; `None` if no order of calls leads there.
    pub async fn bring(
        &self,
        payment: &Payment,
        money: PaymentState,
        work: WorkState,
    ) -> Option<Claim> {
        use {PaymentState as P, WorkState as W};
        let lost = |claim: Claim| async move { self.fact(&claim, Fact::Unknown).await };
        let broken = Step::Break { credit: None };
        Some(match (money, work) {
            (P::Claimed, W::Executing) => self.granted(payment).await,
            (P::Claimed, W::Answered) => {
                let claim = self.granted(payment).await;
                self.advance(&claim, &[Step::Answer]).await
            }
            (P::Broadcast, W::Answered) => {
                let claim = self.granted(payment).await;
                self.broadcast(payment.number, &[&claim]).await;
                self.get(&claim).await
            }
            (P::Broadcast | P::Unknown, W::Broken) => {
                let claim = Box::pin(self.bring(payment, P::Broadcast, W::Answered)).await?;
                let claim = self.advance(&claim, &[broken]).await;
                if money == P::Unknown {
                    lost(claim).await
                } else {
                    claim
                }
            }
            (P::Unknown, W::Answered) => {
                lost(Box::pin(self.bring(payment, P::Broadcast, W::Answered)).await?).await
            }
            (P::Unknown, W::Delivered) => {
                let claim = Box::pin(self.bring(payment, P::Settled, W::Delivered)).await?;
                self.fact(&claim, Fact::Vanished).await
            }
            (P::Settled, W::Answered) => self.settled(payment).await,
            (P::Settled, W::Delivered) => {
                let claim = self.settled(payment).await;
                self.advance(&claim, &[Step::Deliver]).await
            }
            (P::Settled, W::Broken) => {
                self.credited(payment).await;
                self.store.claim_get(payment.key()).await.unwrap()?
            }
            (P::Failed, W::Broken) => {
                let claim = Box::pin(self.bring(payment, P::Unknown, W::Answered)).await?;
                self.fact(&claim, Fact::Failed).await
            }
            (P::Failed, W::Delivered) => {
                let claim = Box::pin(self.bring(payment, P::Unknown, W::Delivered)).await?;
                self.fact(&claim, Fact::Failed).await
            }
            (P::Released, W::Broken) => {
                let claim = self.granted(payment).await;
                self.advance(&claim, &[Step::Release]).await
            }
            (P::Covered, W::Executing | W::Answered | W::Delivered) => {
                let credited = Payment {
                    number: payment.number + 1_000_000,
                    ..payment.clone()
                };
                self.credited(&credited.again(payment.arrival + 1_000_000))
                    .await;
                let claim = self.granted(payment).await;
                let steps: &[Step] = match work {
                    W::Answered => &[Step::Answer],
                    W::Delivered => &[Step::Answer, Step::Deliver],
                    W::NotStarted | W::Executing | W::Broken => &[],
                };
                self.advance(&claim, steps).await
            }
            _ => return None,
        })
    }

    /// Applies a fact that the claim must take, or has taken.
    pub async fn fact(&self, claim: &Claim, fact: Fact) -> Claim {
        match self.try_fact(claim, fact).await {
            FactOutcome::Applied(claim) | FactOutcome::Unchanged(claim) => *claim,
            other => panic!("{other:?}"),
        }
    }

    pub async fn try_fact(&self, claim: &Claim, fact: Fact) -> FactOutcome {
        self.store
            .facts_apply(vec![(claim.key(), fact)], START)
            .await
            .unwrap()
            .remove(0)
    }

    pub async fn get(&self, claim: &Claim) -> Claim {
        self.store.claim_get(claim.key()).await.unwrap().unwrap()
    }

    pub async fn state(&self, claim: &Claim) -> (PaymentState, WorkState) {
        let claim = self.get(claim).await;
        (claim.payment, claim.work)
    }

    pub async fn available(&self, credit: CreditId) -> u64 {
        self.store
            .credit_get(credit)
            .await
            .unwrap()
            .unwrap()
            .available
            .units()
    }

    pub async fn events(&self, transaction: TransactionId) -> Vec<EventKind> {
        let events = self.store.transaction_events(transaction).await.unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }

    pub async fn transfers(&self, transaction: TransactionId) -> Vec<Transfer> {
        self.store.transaction_transfers(transaction).await.unwrap()
    }

    /// What is posted to the accounts of a kind: debits, credits.
    pub async fn posted(&self, kind: AccountKind) -> (u64, u64) {
        let accounts = self.store.accounts_list().await.unwrap();
        let of_kind = |account: &&Account| account.kind == kind;
        let sum = |side: fn(&Account) -> Amount| {
            accounts
                .iter()
                .filter(of_kind)
                .map(|account| side(account).units())
                .sum()
        };
        (
            sum(|account| account.debits.posted),
            sum(|account| account.credits.posted),
        )
    }

    /// The claims that are watched by themselves.
    pub async fn watched(&self) -> Vec<(Claim, Inclusion)> {
        self.store.claims_watched(CHAIN).await.unwrap()
    }

    /// These blocks are final, for these claims.
    pub async fn finish(&self, claims: &[(ClaimKey, B256)]) {
        let finished = self.store.claims_final(CHAIN, claims.to_vec()).await;
        finished.unwrap();
    }

    /// The settlement of a number that is not final.
    pub async fn unfinished(&self, number: u32) -> Option<Settlement> {
        let unfinished = self.store.settlements_unfinished(CHAIN).await.unwrap();
        unfinished
            .into_iter()
            .find(|row| row.id == settlement_id(number))
    }

    /// Ends a test.
    pub async fn check(&self) {
        check_invariants(&*self.store).await;
    }
}

/// Settlement `number` of wallet 1 by its nonce of the same number.
pub fn settlement(number: u32, claims: &[&Claim]) -> NewSettlement {
    NewSettlement {
        id: settlement_id(number),
        chain: CHAIN,
        wallet: wallet(1),
        nonce: u64::from(number),
        attempt: attempt(number),
        claims: claims
            .iter()
            .map(|claim| (claim.key(), claim.epoch))
            .collect(),
    }
}

pub(super) fn wallet(number: u8) -> Address {
    Address([number; 20])
}

pub fn settlement_id(number: u32) -> SettlementId {
    SettlementId::from_bytes(id_at(START, 4, number))
}

/// A signed transaction.
pub fn attempt(number: u32) -> Attempt {
    Attempt {
        tx_hash: hash(b't', number),
        raw_tx: Redacted::new(number.to_be_bytes().to_vec()),
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        created_at: START,
    }
}

/// The transaction of settlement `number`, in the block of that number.
pub fn inclusion(number: u32) -> Inclusion {
    Inclusion {
        tx_hash: hash(b't', number),
        block_number: u64::from(number),
        block_hash: hash(b'b', number),
    }
}

/// Settled by a log of the transaction of settlement `number`.
pub fn settled(number: u32, log_index: u64) -> Fact {
    Fact::Settled {
        inclusion: inclusion(number),
        log_index,
    }
}
