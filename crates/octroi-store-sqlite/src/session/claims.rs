//! Calls about claims.

use octroi_claim::{AdvanceError, Claim, ClaimDecision, NewClaim, PayerStanding};
use octroi_store::plan;
use octroi_store::{ClaimOutcome, ClaimRequest};
use octroi_types::UnixSeconds;
use rusqlite::ErrorCode;

use super::Session;
use crate::claims::StoredClaim;
use crate::fault::Fault;
use octroi_store::call::{Advance, Recover};

impl Session<'_, '_> {
    pub(super) fn claim_make(&mut self, request: &ClaimRequest) -> Result<ClaimOutcome, Fault> {
        let (new, now) = (&request.claim, request.now);
        plan::check(request)?;
        let mut alive = true;
        let mut existing = None;
        if let Some(stored) = self.find(new)? {
            if plan::is_repeat(&stored.claim, new) {
                return Ok(ClaimOutcome::Granted(Box::new(stored.claim)));
            }
            alive = self.is_alive(stored.claim.terms.owner, new.owner, now);
            existing = match plan::abandon(&stored.claim, alive) {
                Some(change) => {
                    self.write(&stored, &change, now)?;
                    Some(change.claim)
                }
                None => Some(stored.claim),
            };
        }
        let standing = self.standing(request)?;
        let decided = existing.as_ref().map(|claim| (claim, alive));
        match octroi_claim::decide_claim(decided, new.clone(), &standing) {
            ClaimDecision::Grant(claim) => {
                self.grant(existing.as_ref(), request, &claim)?;
                Ok(ClaimOutcome::Granted(claim))
            }
            ClaimDecision::Refuse(refused) => Ok(ClaimOutcome::Refused(refused)),
        }
    }

    fn find(&mut self, new: &NewClaim) -> Result<Option<StoredClaim>, Fault> {
        match self.tables.open.get(new.identity) {
            Some(stored) => Ok(Some(stored.clone())),
            None => Ok(self.tables.claims.find(new.identity)?),
        }
    }

    fn standing(&mut self, request: &ClaimRequest) -> Result<PayerStanding, Fault> {
        let (new, now) = (&request.claim, request.now);
        let transactions = &mut self.tables.transactions;
        let failed_lately = transactions.failed_since(new, request.failed_since)?;
        let credit = self.tables.credits.find(new)?;
        let open = &self.tables.open;
        Ok(PayerStanding {
            balance: request.payer_balance,
            open: open.owed(new),
            failed_lately,
            credit,
            unknown_earlier: open.unknown_earlier(new, |node| self.is_alive(node, new.owner, now)),
        })
    }

    /// Inserts a granted claim with its transaction, in the place of a released one.
    fn grant(
        &mut self,
        existing: Option<&Claim>,
        request: &ClaimRequest,
        claim: &Claim,
    ) -> Result<(), Fault> {
        let now = request.now;
        let change = plan::grant(claim.clone());
        if let Some(released) = existing {
            self.tables.claims.delete(released)?;
        }
        let transaction = &request.transaction;
        let history = self
            .tables
            .events
            .append(&claim.terms, None, &change.events, now)?;
        let transactions = &mut self.tables.transactions;
        transactions
            .insert(claim, transaction, history.last, now)
            .map_err(taken)?;
        self.tables.claims.insert(claim)?;
        self.write_money(&change, now)?;
        self.tables.open.put(StoredClaim {
            claim: change.claim,
            history,
        });
        Ok(())
    }

    pub(super) fn claim_advance(
        &mut self,
        advance: &Advance,
    ) -> Result<Result<Claim, AdvanceError>, Fault> {
        let Advance {
            key,
            epoch,
            steps,
            now,
        } = advance;
        let stored = self.claim(*key)?.ok_or(plan::NO_SUCH_CLAIM)?;
        match plan::advance(&stored.claim, *epoch, steps, *now) {
            Ok(change) => {
                self.write(&stored, &change, *now)?;
                Ok(Ok(change.claim))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub(super) fn claims_recover(&mut self, recover: &Recover) -> Result<Vec<Claim>, Fault> {
        let Recover { owner, limit, now } = *recover;
        let is_alive = |node| self.is_alive(node, owner, now);
        let mut recovered = Vec::new();
        for stored in self.tables.open.of_dead(is_alive, limit) {
            if let Some(change) = plan::recover(&stored.claim, owner, now) {
                self.write(&stored, &change, now)?;
                recovered.push(change.claim);
            }
        }
        Ok(recovered)
    }

    pub(super) fn claims_prune(&mut self, before: UnixSeconds) -> Result<u64, Fault> {
        let mut kept = self.tables.open.days();
        let watched = self.tables.settlements.unfinished_claims()?;
        kept.extend(watched.iter().map(octroi_claim::ClaimKey::day));
        kept.extend(self.tables.watched.days()?);
        let mut dropped: u64 = 0;
        for day in self.tables.claims.days_before(plan::prune_end(before)) {
            if !kept.contains(&day) {
                dropped = dropped.saturating_add(self.tables.claims.drop_day(day)?);
            }
        }
        Ok(dropped)
    }
}

/// Ids of transactions are made by callers, and nobody looks for them before they are used.
fn taken(error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Fault::Broken(plan::TRANSACTION_TAKEN),
        _ => Fault::Database(error),
    }
}
