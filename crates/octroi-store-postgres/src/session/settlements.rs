//! Calls about settlements and facts.

use octroi_claim::{Claim, ClaimKey};
use octroi_store::plan::{self, Carried, Known, Learned, Watch};
use octroi_store::{Fact, FactOutcome, NewSettlement, OpenOutcome, Settlement, SettlementState};
use octroi_types::{B256, SettlementId, UnixMicros};

use super::Session;
use crate::claims::StoredClaim;
use crate::fault::Fault;
use octroi_store::call::{AddAttempt, Facts, Finish, Include, Vanish};

impl Session {
    pub(super) fn settlement_open(&mut self, new: &NewSettlement) -> Result<OpenOutcome, Fault> {
        if let Some(existing) = self.settlements.get(new.id) {
            return Ok(plan::reopen(existing, new));
        }
        if self.settlements.is_nonce_taken(new) {
            return Ok(OpenOutcome::NonceTaken);
        }
        let stored: Vec<Option<StoredClaim>> = new
            .claims
            .iter()
            .map(|(key, _)| self.claims.get(*key).cloned())
            .collect();
        let claims = stored
            .iter()
            .map(|stored| stored.as_ref().map(|stored| stored.claim.clone()));
        let changes = match plan::carry(new, claims.collect()) {
            Carried::Fenced(keys) => return Ok(OpenOutcome::Fenced(keys)),
            Carried::Broadcast(changes) => changes,
        };
        let mode = plan::mode_carried(&changes)?;
        self.settlements.insert(new, mode);
        for (before, change) in stored.iter().flatten().zip(&changes) {
            self.put(before, change, new.attempt.created_at)?;
        }
        Ok(OpenOutcome::Opened)
    }

    fn settlement(&self, id: SettlementId) -> Result<&Settlement, Fault> {
        let settlement = self.settlements.get(id);
        Ok(settlement.ok_or(plan::NO_SUCH_SETTLEMENT)?)
    }

    pub(super) fn settlement_attempt(&mut self, add: &AddAttempt) -> Result<(), Fault> {
        let AddAttempt { id, attempt } = add;
        let settlement = self.settlement(*id)?;
        if settlement
            .attempts
            .iter()
            .any(|earlier| earlier.tx_hash == attempt.tx_hash)
        {
            return Ok(());
        }
        self.settlements.insert_attempt(*id, attempt);
        Ok(())
    }

    pub(super) fn settlement_included(
        &mut self,
        include: &Include,
    ) -> Result<Vec<FactOutcome>, Fault> {
        let Include {
            id,
            inclusion,
            facts,
        } = include;
        let is_watched = self.settlement(*id)?.state != SettlementState::Final;
        if is_watched {
            let state = SettlementState::Included;
            self.settlements.update(*id, state, Some(*inclusion));
        }
        self.facts_of(is_watched.then_some(inclusion.tx_hash), facts)
    }

    pub(super) fn facts_apply(&mut self, facts: &Facts) -> Result<Vec<FactOutcome>, Fault> {
        self.facts_of(None, facts)
    }

    /// Applies facts that came with the settlement that has this transaction.
    fn facts_of(
        &mut self,
        settlement: Option<B256>,
        facts: &Facts,
    ) -> Result<Vec<FactOutcome>, Fault> {
        let Facts { facts, now } = facts;
        let apply = |(key, fact): &(ClaimKey, Fact)| self.fact_apply(*key, fact, settlement, *now);
        facts.iter().map(apply).collect()
    }

    fn fact_apply(
        &mut self,
        key: ClaimKey,
        fact: &Fact,
        settlement: Option<B256>,
        now: UnixMicros,
    ) -> Result<FactOutcome, Fault> {
        let Some(stored) = self.claims.get(key).cloned() else {
            return Ok(FactOutcome::NoSuchClaim);
        };
        let claim = &stored.claim;
        let known = self.known(claim, fact);
        let learned = plan::learn(claim, fact, &known, now);
        match &learned {
            Learned::Applied(change) => {
                if let Fact::Settled {
                    inclusion,
                    log_index,
                } = fact
                    && known.log_settled.is_none()
                {
                    self.proofs.insert(&claim.terms, inclusion, *log_index);
                }
                match plan::watch(fact, settlement) {
                    Some(Watch::Begin(inclusion)) => {
                        self.watched.put(&claim.terms, &inclusion);
                    }
                    Some(Watch::End) => self.watched.remove(claim.terms.chain, key),
                    None => {}
                }
                self.put(&stored, change, now)?;
            }
            Learned::LogTaken { change, .. } => self.put(&stored, change, now)?,
            Learned::Refused => {}
        }
        Ok(learned.outcome(&stored.claim))
    }

    /// What a fact's decision depends on beside the claim.
    fn known(&self, claim: &Claim, fact: &Fact) -> Known {
        let mut known = Known::default();
        match fact {
            Fact::Settled {
                inclusion,
                log_index,
            } => {
                let chain = claim.terms.chain;
                known.log_settled = self.proofs.find(chain, inclusion, *log_index);
            }
            Fact::Failed => {
                known.was_settled = self.postings.was_settled(claim);
                known.refund = claim.credit.and_then(|id| self.credits.get(id).cloned());
            }
            Fact::Unknown | Fact::Vanished => {}
        }
        known
    }

    pub(super) fn settlements_final(&mut self, ids: &[SettlementId]) -> Result<(), Fault> {
        let mut seen = Vec::with_capacity(ids.len());
        for id in ids {
            seen.push((*id, self.settlement(*id)?.inclusion));
        }
        for (id, inclusion) in seen {
            self.settlements
                .update(id, SettlementState::Final, inclusion);
        }
        Ok(())
    }

    pub(super) fn claims_final(&mut self, finish: &Finish) -> Result<(), Fault> {
        let Finish { chain, claims } = finish;
        for (key, block_hash) in claims {
            self.watched.finish(*chain, *key, *block_hash);
        }
        Ok(())
    }

    pub(super) fn settlement_vanished(&mut self, vanish: &Vanish) -> Result<(), Fault> {
        let Vanish { id, now } = *vanish;
        let settlement = self.settlement(id)?.clone();
        if settlement.state == SettlementState::Final {
            return Err(plan::NO_SUCH_SETTLEMENT.into());
        }
        self.settlements.update(id, SettlementState::Open, None);
        for key in &settlement.claims {
            let settled = |stored: &StoredClaim| plan::is_settled_by(&stored.claim, &settlement);
            if self.claims.get(*key).is_some_and(settled) {
                self.fact_apply(*key, &Fact::Vanished, None, now)?;
            }
        }
        Ok(())
    }
}
