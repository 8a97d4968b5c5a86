//! Calls about settlements and facts.

use octroi_claim::{Claim, ClaimKey};
use octroi_store::plan::{self, Carried, Known, Learned, Watch};
use octroi_store::{Fact, FactOutcome, NewSettlement, OpenOutcome, Settlement, SettlementState};
use octroi_types::{B256, SettlementId, UnixMicros};

use super::Session;
use crate::claims::StoredClaim;
use crate::fault::Fault;
use octroi_store::call::{AddAttempt, Facts, Finish, Include, Vanish};

impl Session<'_, '_> {
    pub(super) fn settlement_open(&mut self, new: &NewSettlement) -> Result<OpenOutcome, Fault> {
        if let Some(existing) = self.tables.settlements.get(new.id)? {
            return Ok(plan::reopen(&existing, new));
        }
        if self.tables.settlements.is_nonce_taken(new)? {
            return Ok(OpenOutcome::NonceTaken);
        }
        let mut stored = Vec::with_capacity(new.claims.len());
        for (key, _) in &new.claims {
            stored.push(self.claim(*key)?);
        }
        let claims = stored
            .iter()
            .map(|stored| stored.as_ref().map(|stored| stored.claim.clone()));
        let changes = match plan::carry(new, claims.collect()) {
            Carried::Fenced(keys) => return Ok(OpenOutcome::Fenced(keys)),
            Carried::Broadcast(changes) => changes,
        };
        let mode = plan::mode_carried(&changes)?;
        self.tables.settlements.insert(new, mode)?;
        for (before, change) in stored.iter().flatten().zip(&changes) {
            self.write(before, change, new.attempt.created_at)?;
        }
        Ok(OpenOutcome::Opened)
    }

    fn settlement(&mut self, id: SettlementId) -> Result<Settlement, Fault> {
        Ok(self
            .tables
            .settlements
            .get(id)?
            .ok_or(plan::NO_SUCH_SETTLEMENT)?)
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
        let mode = self.tables.settlements.mode(*id)?;
        self.tables
            .settlements
            .insert_attempt(*id, mode, settlement.attempts.len(), attempt)?;
        if settlement.state == SettlementState::Final {
            self.tables.settlements.forget_raw(*id)?;
        }
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
            self.tables
                .settlements
                .update(*id, state, Some(inclusion))?;
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
        let Some(stored) = self.claim(key)? else {
            return Ok(FactOutcome::NoSuchClaim);
        };
        let claim = &stored.claim;
        let known = self.known(claim, fact)?;
        let learned = plan::learn(claim, fact, &known, now);
        match &learned {
            Learned::Applied(change) => {
                if let Fact::Settled {
                    inclusion,
                    log_index,
                } = fact
                    && known.log_settled.is_none()
                {
                    self.tables
                        .proofs
                        .insert(&claim.terms, inclusion, *log_index)?;
                }
                match plan::watch(fact, settlement) {
                    Some(Watch::Begin(inclusion)) => {
                        self.tables.watched.put(&claim.terms, &inclusion)?;
                    }
                    Some(Watch::End) => self.tables.watched.remove(claim.terms.chain, key)?,
                    None => {}
                }
                self.write(&stored, change, now)?;
            }
            Learned::LogTaken { change, .. } => self.write(&stored, change, now)?,
            Learned::Refused => {}
        }
        Ok(learned.outcome(&stored.claim))
    }

    /// What a fact's decision depends on beside the claim.
    fn known(&mut self, claim: &Claim, fact: &Fact) -> Result<Known, Fault> {
        let mut known = Known::default();
        match fact {
            Fact::Settled {
                inclusion,
                log_index,
            } => {
                let chain = claim.terms.chain;
                known.log_settled = self.tables.proofs.find(chain, inclusion, *log_index)?;
            }
            Fact::Failed => {
                known.was_settled = plan::was_settled(&self.ledger, claim)?;
                if let Some(id) = claim.credit {
                    known.refund = self.tables.credits.get(id)?;
                }
            }
            Fact::Unknown | Fact::Vanished => {}
        }
        Ok(known)
    }

    pub(super) fn settlements_final(&mut self, ids: &[SettlementId]) -> Result<(), Fault> {
        let mut settlements = Vec::with_capacity(ids.len());
        for id in ids {
            settlements.push(self.settlement(*id)?);
        }
        for settlement in settlements {
            let (id, inclusion) = (settlement.id, settlement.inclusion);
            self.tables
                .settlements
                .update(id, SettlementState::Final, inclusion.as_ref())?;
            self.tables.settlements.forget_raw(id)?;
        }
        Ok(())
    }

    pub(super) fn claims_final(&mut self, finish: &Finish) -> Result<(), Fault> {
        let Finish { chain, claims } = finish;
        for (key, block_hash) in claims {
            self.tables.watched.finish(*chain, *key, *block_hash)?;
        }
        Ok(())
    }

    pub(super) fn settlement_vanished(&mut self, vanish: &Vanish) -> Result<(), Fault> {
        let Vanish { id, now } = *vanish;
        let settlement = self.settlement(id)?;
        if settlement.state == SettlementState::Final {
            return Err(plan::NO_SUCH_SETTLEMENT.into());
        }
        self.tables
            .settlements
            .update(id, SettlementState::Open, None)?;
        for key in &settlement.claims {
            let settled = |stored: &StoredClaim| plan::is_settled_by(&stored.claim, &settlement);
            if self.claim(*key)?.is_some_and(|stored| settled(&stored)) {
                self.fact_apply(*key, &Fact::Vanished, None, now)?;
            }
        }
        Ok(())
    }
}
