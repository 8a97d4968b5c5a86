//! Calls about claims.

use std::collections::BTreeMap;

use octroi_claim::{AdvanceError, Claim, ClaimDecision, NewClaim, PayerStanding};
use octroi_store::{ClaimOutcome, ClaimRequest, plan};

use super::Session;
use crate::claims::StoredClaim;
use crate::fault::Fault;
use crate::wallets::WalletId;
use octroi_store::call::{Advance, Recover};

impl Session {
    pub(super) fn claim_make(&mut self, request: &ClaimRequest) -> Result<ClaimOutcome, Fault> {
        let (new, now) = (&request.claim, request.now);
        plan::check(request)?;
        let mut alive = true;
        let mut existing = None;
        if let Some(stored) = self.claims.find(new.identity).cloned() {
            if plan::is_repeat(&stored.claim, new) {
                return Ok(ClaimOutcome::Granted(Box::new(stored.claim)));
            }
            alive = self
                .nodes
                .is_alive(stored.claim.terms.owner, new.owner, now);
            existing = match plan::abandon(&stored.claim, alive) {
                Some(change) => {
                    self.put(&stored, &change, now)?;
                    Some(change.claim)
                }
                None => Some(stored.claim),
            };
        }
        let standing = self.standing(request);
        let decided = existing.as_ref().map(|claim| (claim, alive));
        match octroi_claim::decide_claim(decided, new.clone(), &standing) {
            ClaimDecision::Grant(claim) => {
                self.grant(request, &claim)?;
                Ok(ClaimOutcome::Granted(claim))
            }
            ClaimDecision::Refuse(refused) => Ok(ClaimOutcome::Refused(refused)),
        }
    }

    fn standing(&self, request: &ClaimRequest) -> PayerStanding {
        let (new, now) = (&request.claim, request.now);
        let is_alive = |node| self.nodes.is_alive(node, new.owner, now);
        PayerStanding {
            balance: request.payer_balance,
            open: self.open.owed(new),
            failed_lately: self.failures.is_any_since(new, request.failed_since),
            credit: self.credits.find(new),
            unknown_earlier: self.open.unknown_earlier(new, is_alive),
        }
    }

    /// Takes a granted claim with its transaction, in the place of a released one.
    fn grant(&mut self, request: &ClaimRequest, claim: &Claim) -> Result<(), Fault> {
        let now = request.now;
        let change = plan::grant(claim.clone());
        if !self.transactions.insert(claim, &request.transaction) {
            return Err(Fault::Broken(plan::TRANSACTION_TAKEN));
        }
        self.put_money(&change, now)?;
        let claim = change.claim;
        let NewClaim {
            chain,
            asset,
            payer,
            ..
        } = claim.terms;
        let wallet = WalletId::of(chain, asset, payer);
        let events = self.events.append(&claim.terms, 0, &change.events, now);
        self.open.follow(None, &claim, wallet);
        let stored = StoredClaim {
            claim,
            events,
            wallet,
        };
        self.states.put(None, stored.clone(), now);
        self.claims.put(stored);
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
        let stored = self.claims.get(*key).cloned().ok_or(plan::NO_SUCH_CLAIM)?;
        match plan::advance(&stored.claim, *epoch, steps, *now) {
            Ok(change) => {
                self.put(&stored, &change, *now)?;
                Ok(Ok(change.claim))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub(super) fn claims_recover(&mut self, recover: &Recover) -> Result<Vec<Claim>, Fault> {
        let Recover { owner, limit, now } = *recover;
        self.check_clock(now)?;
        let is_dead = |stored: &&StoredClaim| {
            let claim_owner = stored.claim.terms.owner;
            !self.nodes.is_alive(claim_owner, owner, now)
        };
        let dead: BTreeMap<_, _> = self
            .claims
            .iter()
            .filter(is_dead)
            .map(|stored| (stored.claim.terms.transaction, stored.clone()))
            .collect();
        let mut recovered = Vec::new();
        for stored in dead.values() {
            if recovered.len() == limit {
                break;
            }
            if let Some(change) = plan::recover(&stored.claim, owner, now) {
                self.put(stored, &change, now)?;
                recovered.push(change.claim);
            }
        }
        Ok(recovered)
    }
}
