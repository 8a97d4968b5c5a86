//! The tables, and what each call does to them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use octroi_claim::{
    AdvanceError, Claim, ClaimDecision, ClaimKey, NewClaim, NodeId, PayerStanding, PaymentState,
    Recovery, Step,
};
use octroi_ledger::{Batch, Intent, MemoryBooks, Outcome, Subject, Transfer};
use octroi_types::{
    Amount, B256, ChainId, ClaimId, CreditId, SettlementId, TenantId, TransactionId, UnixMicros,
    UnixSeconds,
};

use crate::claim::{ClaimOutcome, ClaimRequest};
use crate::credit::Credit;
use crate::error::StoreError;
use crate::event::{Event, EventKind};
use crate::plan::{self, Carried, Change, CreditChange, Known, Learned, Watch};
use crate::settlement::{
    Arrival, Attempt, Fact, FactOutcome, Inclusion, NewSettlement, OpenOutcome, Settlement,
    SettlementState,
};
use crate::transaction::Transaction;

/// The tables. Claims are kept under their identity, because there is one claim for each.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) nodes: HashMap<NodeId, UnixMicros>,
    pub(super) claims: HashMap<B256, Claim>,
    pub(super) transactions: BTreeMap<TransactionId, Transaction>,
    /// The claim that each transaction was made for; it outlives the claim.
    claim_of: HashMap<TransactionId, ClaimId>,
    pub(super) events: HashMap<TransactionId, Vec<Event>>,
    pub(super) credits: BTreeMap<CreditId, Credit>,
    pub(super) settlements: BTreeMap<SettlementId, Settlement>,
    /// Which claim each log settled: (chain, block, index of the log in the block).
    proofs: HashMap<(ChainId, B256, u64), ClaimId>,
    /// Where claims were seen that are watched on their own.
    watched: BTreeMap<(ChainId, ClaimKey), Inclusion>,
    pub(super) books: MemoryBooks,
    transfers: Vec<Transfer>,
    pub(super) offers: HashMap<TenantId, plan::Offers>,
}

impl State {
    pub(super) fn claim(&self, key: ClaimKey) -> Option<&Claim> {
        self.claims
            .get(&key.identity)
            .filter(|claim| claim.key() == key)
    }

    fn is_alive(&self, node: NodeId, caller: NodeId, now: UnixMicros) -> bool {
        node == caller
            || self
                .nodes
                .get(&node)
                .is_some_and(|lease_until| *lease_until > now)
    }

    pub(super) fn claim_make(
        &mut self,
        request: &ClaimRequest,
    ) -> Result<ClaimOutcome, StoreError> {
        let (new, now) = (&request.claim, request.now);
        plan::check(request)?;
        let mut existing = self.claims.get(&new.identity).cloned();
        let mut alive = true;
        if let Some(claim) = &existing {
            if plan::is_repeat(claim, new) {
                return Ok(ClaimOutcome::Granted(Box::new(claim.clone())));
            }
            alive = self.is_alive(claim.terms.owner, new.owner, now);
            if let Some(change) = plan::abandon(claim, alive) {
                self.apply(&change, now)?;
                existing = Some(change.claim);
            }
        }
        let standing = self.standing(request);
        let existing = existing.as_ref().map(|claim| (claim, alive));
        let claim = match octroi_claim::decide_claim(existing, new.clone(), &standing) {
            ClaimDecision::Grant(claim) => claim,
            ClaimDecision::Refuse(refused) => return Ok(ClaimOutcome::Refused(refused)),
        };
        if self.transactions.contains_key(&new.transaction) {
            return Err(plan::TRANSACTION_TAKEN);
        }
        let transaction = Transaction::new(&claim, &request.transaction);
        self.claim_of.insert(transaction.id, new.id);
        self.transactions.insert(transaction.id, transaction);
        self.apply(&plan::grant(*claim.clone()), now)?;
        Ok(ClaimOutcome::Granted(claim))
    }

    fn standing(&self, request: &ClaimRequest) -> PayerStanding {
        let new = &request.claim;
        PayerStanding {
            balance: request.payer_balance,
            open: self.open_sum(new),
            failed_lately: self.transactions.values().any(|row| {
                (row.tenant, row.mode, row.payer) == (new.tenant, new.mode, new.payer)
                    && row.payment == PaymentState::Failed
                    && row.updated_at >= request.failed_since
            }),
            credit: self
                .credits
                .values()
                .find(|credit| {
                    credit.covers(new)
                        && credit.available >= new.amount
                        && self.has_arrived(credit.transaction)
                })
                .map(|credit| credit.id),
            unknown_earlier: self.unknown_earlier(new, request.now),
        }
    }

    fn has_arrived(&self, transaction: TransactionId) -> bool {
        let row = self.transactions.get(&transaction);
        row.is_some_and(|row| row.payment == PaymentState::Settled)
    }

    pub(super) fn arrival(&self, transaction: TransactionId) -> Arrival {
        if !self.has_arrived(transaction) {
            return Arrival::Not;
        }
        let mut claims = self.claims.values();
        let Some(claim) = claims.find(|claim| claim.terms.transaction == transaction) else {
            return Arrival::Final;
        };
        let by_itself = self.watched.get(&(claim.terms.chain, claim.key()));
        let by_settlement = self
            .settlements
            .values()
            .filter(|row| row.chain == claim.terms.chain && row.state != SettlementState::Final)
            .filter_map(|row| row.inclusion.as_ref())
            .find(|inclusion| Some(inclusion.tx_hash) == claim.tx_hash);
        match by_itself.or(by_settlement) {
            Some(inclusion) => Arrival::Seen(*inclusion),
            None => Arrival::Final,
        }
    }

    fn open_sum(&self, new: &NewClaim) -> Amount {
        self.claims
            .values()
            .filter(|claim| {
                let terms = &claim.terms;
                matches!(
                    claim.payment,
                    PaymentState::Claimed | PaymentState::Broadcast
                ) && (terms.chain, terms.asset, terms.payer) == (new.chain, new.asset, new.payer)
            })
            .try_fold(Amount::ZERO, |sum, claim| {
                sum.checked_add(claim.terms.amount)
            })
            .unwrap_or(Amount::MAX)
    }

    /// The oldest. What a dead node broadcast is of unknown fate before anybody has noticed.
    fn unknown_earlier(&self, new: &NewClaim, now: UnixMicros) -> Option<ClaimKey> {
        self.claims
            .values()
            .filter(|claim| {
                let terms = &claim.terms;
                let unknown = match claim.payment {
                    PaymentState::Unknown => true,
                    PaymentState::Broadcast => !self.is_alive(terms.owner, new.owner, now),
                    PaymentState::Claimed
                    | PaymentState::Settled
                    | PaymentState::Failed
                    | PaymentState::Covered
                    | PaymentState::Released => false,
                };
                unknown
                    && (terms.payer, terms.binding) == (new.payer, new.binding)
                    && terms.identity != new.identity
            })
            .min_by_key(|claim| claim.terms.transaction)
            .map(Claim::key)
    }

    pub(super) fn claim_advance(
        &mut self,
        key: ClaimKey,
        epoch: u32,
        steps: &[Step],
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError> {
        let claim = self.claim(key).ok_or(plan::NO_SUCH_CLAIM)?;
        match plan::advance(claim, epoch, steps, now) {
            Ok(change) => {
                self.apply(&change, now)?;
                Ok(Ok(change.claim))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub(super) fn claims_recover(
        &mut self,
        owner: NodeId,
        limit: usize,
        now: UnixMicros,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut left: Vec<_> = self
            .claims
            .values()
            .filter(|claim| {
                octroi_claim::recover(claim) != Recovery::Nothing
                    && !self.is_alive(claim.terms.owner, owner, now)
            })
            .cloned()
            .collect();
        left.sort_by_key(|claim| claim.terms.transaction);
        let changes = left
            .iter()
            .take(limit)
            .filter_map(|claim| plan::recover(claim, owner, now));
        changes
            .map(|change| self.apply(&change, now).map(|()| change.claim))
            .collect()
    }

    pub(super) fn claims_prune(&mut self, before: UnixSeconds) -> u64 {
        let watched = self
            .settlements
            .values()
            .filter(|row| row.state != SettlementState::Final);
        let kept: Vec<u64> = self
            .claims
            .values()
            .filter(|claim| octroi_claim::recover(claim) != Recovery::Nothing)
            .map(|claim| claim.key().day())
            .chain(watched.flat_map(|row| row.claims.iter().map(ClaimKey::day)))
            .chain(self.watched.keys().map(|(_, key)| key.day()))
            .collect();
        let count = self.claims.len();
        self.claims.retain(|_, claim| {
            let day = claim.key().day();
            day >= plan::prune_end(before) || kept.contains(&day)
        });
        (count - self.claims.len()) as u64
    }

    pub(super) fn settlement_open(
        &mut self,
        new: &NewSettlement,
    ) -> Result<OpenOutcome, StoreError> {
        if let Some(existing) = self.settlements.get(&new.id) {
            return Ok(plan::reopen(existing, new));
        }
        let nonce = (new.chain, new.wallet, new.nonce);
        if self
            .settlements
            .values()
            .any(|row| (row.chain, row.wallet, row.nonce) == nonce)
        {
            return Ok(OpenOutcome::NonceTaken);
        }
        let claims = new
            .claims
            .iter()
            .map(|(key, _)| self.claim(*key).cloned())
            .collect();
        match plan::carry(new, claims) {
            Carried::Fenced(keys) => Ok(OpenOutcome::Fenced(keys)),
            Carried::Broadcast(changes) => {
                plan::mode_carried(&changes)?;
                self.settlements.insert(new.id, Settlement::open(new));
                for change in changes {
                    self.apply(&change, new.attempt.created_at)?;
                }
                Ok(OpenOutcome::Opened)
            }
        }
    }

    fn settlement(&mut self, id: SettlementId) -> Result<&mut Settlement, StoreError> {
        self.settlements
            .get_mut(&id)
            .ok_or(plan::NO_SUCH_SETTLEMENT)
    }

    pub(super) fn settlement_attempt(
        &mut self,
        id: SettlementId,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        let settlement = self.settlement(id)?;
        if settlement
            .attempts
            .iter()
            .all(|earlier| earlier.tx_hash != attempt.tx_hash)
        {
            settlement.attempts.push(attempt);
        }
        settlement.forget_if_final();
        Ok(())
    }

    pub(super) fn settlement_included(
        &mut self,
        id: SettlementId,
        inclusion: Inclusion,
        facts: &[(ClaimKey, Fact)],
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        let settlement = self.settlement(id)?;
        let is_watched = settlement.state != SettlementState::Final;
        if is_watched {
            settlement.state = SettlementState::Included;
            settlement.inclusion = Some(inclusion);
        }
        let tx_hash = is_watched.then_some(inclusion.tx_hash);
        facts
            .iter()
            .map(|(key, fact)| self.fact_apply(*key, fact, tx_hash, now))
            .collect()
    }

    pub(super) fn facts_apply(
        &mut self,
        facts: &[(ClaimKey, Fact)],
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        facts
            .iter()
            .map(|(key, fact)| self.fact_apply(*key, fact, None, now))
            .collect()
    }

    /// `settlement` is the transaction of the settlement that the fact came with.
    fn fact_apply(
        &mut self,
        key: ClaimKey,
        fact: &Fact,
        settlement: Option<B256>,
        now: UnixMicros,
    ) -> Result<FactOutcome, StoreError> {
        let Some(claim) = self.claim(key).cloned() else {
            return Ok(FactOutcome::NoSuchClaim);
        };
        let log = fact.log(claim.terms.chain);
        let known = Known {
            log_settled: log.and_then(|log| self.proofs.get(&log).copied()),
            was_settled: match plan::was_settled(&self.books, &claim) {
                Ok(was_settled) => was_settled,
                Err(never) => match never {},
            },
            refund: claim.credit.and_then(|id| self.credits.get(&id).cloned()),
        };
        let learned = plan::learn(&claim, fact, &known, now);
        match &learned {
            Learned::Applied(change) => {
                self.apply(change, now)?;
                if let Some(log) = log {
                    self.proofs.insert(log, claim.terms.id);
                }
                let watched = (claim.terms.chain, key);
                match plan::watch(fact, settlement) {
                    Some(Watch::Begin(inclusion)) => {
                        self.watched.insert(watched, inclusion);
                    }
                    Some(Watch::End) => {
                        self.watched.remove(&watched);
                    }
                    None => {}
                }
            }
            Learned::LogTaken { change, .. } => self.apply(change, now)?,
            Learned::Refused => {}
        }
        Ok(learned.outcome(&claim))
    }

    pub(super) fn settlements_final(&mut self, ids: &[SettlementId]) -> Result<(), StoreError> {
        for id in ids {
            self.settlement(*id)?;
        }
        for id in ids {
            let settlement = self.settlement(*id)?;
            settlement.state = SettlementState::Final;
            settlement.forget_if_final();
        }
        Ok(())
    }

    pub(super) fn settlement_vanished(
        &mut self,
        id: SettlementId,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        let settlement = self.settlement(id)?;
        if settlement.state == SettlementState::Final {
            return Err(plan::NO_SUCH_SETTLEMENT);
        }
        settlement.state = SettlementState::Open;
        settlement.inclusion = None;
        let settlement = settlement.clone();
        for key in &settlement.claims {
            if self
                .claim(*key)
                .is_some_and(|claim| plan::is_settled_by(claim, &settlement))
            {
                self.fact_apply(*key, &Fact::Vanished, None, now)?;
            }
        }
        Ok(())
    }

    pub(super) fn claims_watched(&self, chain: ChainId) -> Vec<(Claim, Inclusion)> {
        let of_chain = self.watched.iter().filter(|((of, _), _)| *of == chain);
        of_chain
            .filter_map(|((_, key), inclusion)| Some((self.claim(*key)?.clone(), *inclusion)))
            .collect()
    }

    pub(super) fn claims_final(&mut self, chain: ChainId, claims: &[(ClaimKey, B256)]) {
        for (key, block_hash) in claims {
            if let Entry::Occupied(watched) = self.watched.entry((chain, *key))
                && watched.get().block_hash == *block_hash
            {
                watched.remove();
            }
        }
    }

    pub(super) fn transfers_of(&self, id: TransactionId) -> Vec<Transfer> {
        let claim = self.claim_of.get(&id).map(|claim| Subject::Claim(*claim));
        let caused = |transfer: &&Transfer| Some(transfer.cause.subject) == claim;
        let mut transfers: Vec<_> = self.transfers.iter().filter(caused).copied().collect();
        transfers.sort_by_key(|transfer| (transfer.created_at, transfer.id));
        transfers
    }

    pub(super) fn ledger_submit(
        &mut self,
        intent: &Intent,
        now: UnixMicros,
    ) -> Result<Outcome, StoreError> {
        let decided = octroi_ledger::decide(&self.books, intent, now);
        let decision = decided.map_err(|error| StoreError::Inconsistent {
            reason: error.to_string(),
        })?;
        self.books.apply(&decision.effects);
        self.transfers.extend(decision.effects.transfers);
        Ok(decision.outcome)
    }

    /// Writes a change: the books first, because only they can refuse.
    fn apply(&mut self, change: &Change, now: UnixMicros) -> Result<(), StoreError> {
        if change.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new(&self.books);
        for intent in &change.intents {
            match batch.submit(intent, now) {
                Ok(Outcome::Applied | Outcome::Exists) => {}
                Ok(Outcome::Refused(refused)) => return Err(plan::books_refuse(refused)),
                Err(error) => {
                    return Err(StoreError::Inconsistent {
                        reason: error.to_string(),
                    });
                }
            }
        }
        let effects = batch.into_effects();
        self.books.apply(&effects);
        self.transfers.extend(effects.transfers);

        if let Some(credit) = &change.credit {
            self.apply_credit(credit)?;
        }
        self.append(change.claim.terms.transaction, &change.events, now);
        if let Some(transaction) = self.transactions.get_mut(&change.claim.terms.transaction) {
            transaction.follow(&change.claim, now);
        }
        self.claims
            .insert(change.claim.terms.identity, change.claim.clone());
        Ok(())
    }

    fn apply_credit(&mut self, change: &CreditChange) -> Result<(), StoreError> {
        if let CreditChange::Open(credit) = change {
            self.credits.insert(credit.id, credit.clone());
            return Ok(());
        }
        let credit = self
            .credits
            .get_mut(&change.id())
            .ok_or_else(plan::credit_missing)?;
        credit.available = change
            .available_after(credit)
            .ok_or_else(plan::credit_missing)?;
        Ok(())
    }

    fn append(&mut self, transaction: TransactionId, kinds: &[EventKind], now: UnixMicros) {
        let events = self.events.entry(transaction).or_default();
        for kind in kinds {
            let ordinal = u32::try_from(events.len()).unwrap_or(u32::MAX);
            events.push(Event::new(transaction, ordinal, *kind, now));
        }
    }
}
