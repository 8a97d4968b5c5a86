//! What each call does, within the transaction of its batch.
//!
//! All that the calls of a batch are decided by is [locked and read](Session::load) first. They are then
//! decided in order, in memory, each seeing those before it; a refused one changes nothing. What they did
//! is [written](Session::write) in the end, each row once. What is decided stands in
//! `octroi_store::plan`, the same for every backend.

mod claims;
mod load;
mod settlements;

pub(crate) use load::days;

use std::time::Duration;

use octroi_ledger::{Outcome, Seal};
use octroi_store::plan::{self, Change, CreditChange};
use octroi_store::{EarlierTerms, StoreError};

use crate::claims::{Claims, StoredClaim};
use crate::connection::Connection;
use crate::credits::Credits;
use crate::events::Events;
use crate::failures::Failures;
use crate::fault::Fault;
use crate::nodes::Nodes;
use crate::offers::OfferedTermsTable;
use crate::open_claims::OpenClaims;
use crate::postings::{Posted, Postings};
use crate::proofs::Proofs;
use crate::settlements::Settlements;
use crate::states::States;
use crate::transactions::Transactions;
use crate::watched::WatchedClaims;
use octroi_store::call::{Command, NodeBeat, Publish};

use octroi_claim::PaymentState;
use octroi_types::UnixMicros;

/// One batch.
pub(crate) struct Session {
    clock_skew_max: Option<Duration>,
    nodes: Nodes,
    claims: Claims,
    open: OpenClaims,
    transactions: Transactions,
    states: States,
    events: Events,
    failures: Failures,
    credits: Credits,
    settlements: Settlements,
    proofs: Proofs,
    watched: WatchedClaims,
    offers: OfferedTermsTable,
    postings: Postings,
}

impl Session {
    /// Decides a call. What the ledger says to an intent is only known when all is written, and is
    /// [answered](answer) then.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<(), Fault> {
        match command {
            Command::NodeBeat(call) => call.decide(|beat| self.node_beat(beat)),
            Command::ClaimMake(call) => call.decide(|request| self.claim_make(request)),
            Command::ClaimAdvance(call) => call.decide(|advance| self.claim_advance(advance)),
            Command::ClaimsRecover(call) => call.decide(|recover| self.claims_recover(recover)),
            // It is no matter of rows.
            Command::ClaimsPrune(call) => call.decide(|_| Err(not_alone().into())),
            Command::SettlementOpen(call) => call.decide(|new| self.settlement_open(new)),
            Command::SettlementAttempt(call) => call.decide(|add| self.settlement_attempt(add)),
            Command::SettlementIncluded(call) => {
                call.decide(|include| self.settlement_included(include))
            }
            Command::FactsApply(call) => call.decide(|facts| self.facts_apply(facts)),
            Command::SettlementsFinal(call) => call.decide(|ids| self.settlements_final(ids)),
            Command::ClaimsFinal(call) => call.decide(|done| self.claims_final(done)),
            Command::SettlementVanished(call) => {
                call.decide(|vanish| self.settlement_vanished(vanish))
            }
            Command::OffersPublish(call) => call.decide(|offers| self.offers_publish(offers)),
            Command::LedgerSubmit(call) => {
                let submit = call.question();
                self.postings.submit(submit.intent.clone(), submit.now);
                Ok(())
            }
        }
    }

    /// Posts and writes what the calls did.
    ///
    /// The tables are written in one order, and the rows of each in the order of their keys wherever two
    /// may make the same row: whoever has to wait for another waits for one who waits for nobody behind.
    pub(crate) async fn write(&self, connection: &Connection, head: Seal) -> Result<Posted, Fault> {
        let posted = self.postings.post(connection, head).await?;
        tokio::try_join!(
            self.transactions.write(connection),
            self.states.write(connection),
            self.states.write_open(connection),
            self.claims.write(connection),
            self.events.write(connection),
            self.failures.write(connection),
            self.credits.write(connection),
            self.settlements.write(connection),
            self.proofs.write(connection),
            self.watched.write(connection),
            self.offers.write(connection),
            self.nodes.write(connection),
        )?;
        Ok(posted)
    }

    fn node_beat(&mut self, beat: &NodeBeat) -> Result<(), Fault> {
        self.check_clock(beat.now)?;
        self.nodes.beat(beat.node, beat.lease_until, beat.now);
        Ok(())
    }

    fn check_clock(&self, now: UnixMicros) -> Result<(), Fault> {
        self.clock_skew_max
            .map_or(Ok(()), |max| self.nodes.check_clock(now, max))
    }

    fn offers_publish(&mut self, publish: &Publish) -> Result<Vec<EarlierTerms>, Fault> {
        let before = self.offers.of(publish.tenant);
        let offers = plan::publish(&before, publish.in_force.clone(), publish.now);
        let earlier = plan::earlier(&offers);
        if offers != before {
            self.offers.replace(publish.tenant, offers);
        }
        Ok(earlier)
    }

    /// Takes what becomes of a claim, with all that follows from it.
    fn put(&mut self, before: &StoredClaim, change: &Change, now: UnixMicros) -> Result<(), Fault> {
        if change.is_empty() {
            return Ok(());
        }
        self.put_money(change, now)?;
        let claim = change.claim.clone();
        let events = self
            .events
            .append(&claim.terms, before.events, &change.events, now);
        if claim.payment == PaymentState::Failed && before.claim.payment != PaymentState::Failed {
            self.failures.insert(&claim.terms, now);
        }
        self.credits.follow(&claim);
        self.open.follow(Some(&before.claim), &claim, before.wallet);
        let stored = StoredClaim {
            claim,
            events,
            wallet: before.wallet,
        };
        self.states.put(Some(&before.claim), stored.clone(), now);
        self.claims.put(stored);
        Ok(())
    }

    /// Takes what a change posts, and moves its credit.
    fn put_money(&mut self, change: &Change, now: UnixMicros) -> Result<(), Fault> {
        self.postings.push(&change.intents, now);
        let Some(moved) = &change.credit else {
            return Ok(());
        };
        if let CreditChange::Open(credit) = moved {
            self.credits.insert(credit.clone());
            return Ok(());
        }
        let missing = || Fault::Broken(plan::credit_missing());
        let credit = self.credits.get(moved.id()).ok_or_else(missing)?;
        let available = moved.available_after(credit).ok_or_else(missing)?;
        self.credits.update(moved.id(), available);
        Ok(())
    }
}

/// Gives the calls that submitted an intent what the ledger said, in their order.
pub(crate) fn answer(commands: &mut [Command], outcomes: Vec<Outcome>) {
    let mut outcomes = outcomes.into_iter();
    for command in commands {
        if let Command::LedgerSubmit(call) = command {
            // The answer is there, so that deciding on it cannot fail.
            call.decide(|_| outcomes.next().ok_or_else(|| Fault::from(not_decided())))
                .ok();
        }
    }
}

fn not_decided() -> StoreError {
    StoreError::Inconsistent {
        reason: "the ledger did not decide an intent".to_owned(),
    }
}

fn not_alone() -> StoreError {
    StoreError::Inconsistent {
        reason: "days are dropped by themselves".to_owned(),
    }
}
