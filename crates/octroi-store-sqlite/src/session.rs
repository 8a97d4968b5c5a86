//! What each call reads and writes, within the transaction of its batch.
//!
//! A call is decided on what it reads before it writes, so that a refused one writes nothing. What
//! is decided stands in `octroi_store::plan`, the same for every backend.

mod claims;
mod settlements;

use std::collections::HashMap;

use octroi_claim::{ClaimKey, NodeId};
use octroi_ledger::{Batch, LedgerError, Outcome};
use octroi_store::plan::{self, Change, CreditChange};
use octroi_store::{EarlierTerms, StoreError};
use octroi_types::UnixMicros;
use rusqlite::Connection;

use crate::claims::{Claims, StoredClaim, unfinished};
use crate::credits::Credits;
use crate::events::Events;
use crate::fault::Fault;
use crate::offers::OfferedTermsTable;
use crate::open_claims::OpenClaims;
use crate::proofs::Proofs;
use crate::settlements::Settlements;
use crate::transactions::Transactions;
use crate::transfers::SqlBooks;
use crate::watched::WatchedClaims;
use octroi_store::call::{Command, Publish, Submit};

/// Until when each node is believed alive. It lives as long as the process: whoever owned a claim
/// before it is dead.
pub(crate) type Leases = HashMap<NodeId, UnixMicros>;

/// The writer's statements, and what it keeps in memory. Made anew from the database whenever a
/// batch fails.
pub(crate) struct Tables<'c> {
    claims: Claims<'c>,
    transactions: Transactions<'c>,
    events: Events<'c>,
    credits: Credits<'c>,
    settlements: Settlements<'c>,
    proofs: Proofs<'c>,
    watched: WatchedClaims<'c>,
    offers: OfferedTermsTable<'c>,
    open: OpenClaims,
}

impl<'c> Tables<'c> {
    /// Prepares every statement and loads what is unfinished.
    pub(crate) fn load(connection: &'c Connection) -> rusqlite::Result<Self> {
        let mut open = OpenClaims::default();
        for stored in unfinished(connection, false, usize::MAX)? {
            open.put(stored);
        }
        Ok(Self {
            claims: Claims::prepare(connection)?,
            transactions: Transactions::prepare(connection)?,
            events: Events::prepare(connection)?,
            credits: Credits::prepare(connection)?,
            settlements: Settlements::prepare(connection)?,
            proofs: Proofs::prepare(connection)?,
            watched: WatchedClaims::prepare(connection)?,
            offers: OfferedTermsTable::prepare(connection)?,
            open,
        })
    }
}

/// One batch.
pub(crate) struct Session<'t, 'c> {
    tables: &'t mut Tables<'c>,
    leases: &'t mut Leases,
    ledger: Batch<'t, SqlBooks<'c>>,
}

impl<'t, 'c> Session<'t, 'c> {
    pub(crate) fn new(
        tables: &'t mut Tables<'c>,
        leases: &'t mut Leases,
        books: &'t SqlBooks<'c>,
    ) -> Self {
        Self {
            tables,
            leases,
            ledger: Batch::new(books),
        }
    }

    /// Decides a call and writes what it does.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<(), Fault> {
        match command {
            Command::NodeBeat(call) => call.decide(|beat| {
                self.leases.insert(beat.node, beat.lease_until);
                Ok(())
            }),
            Command::ClaimMake(call) => call.decide(|request| self.claim_make(request)),
            Command::ClaimAdvance(call) => call.decide(|advance| self.claim_advance(advance)),
            Command::ClaimsRecover(call) => call.decide(|recover| self.claims_recover(recover)),
            Command::ClaimsPrune(call) => call.decide(|before| self.claims_prune(*before)),
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
            Command::LedgerSubmit(call) => call.decide(|submit| self.ledger_submit(submit)),
        }
    }

    /// What the batch did to the books, to be written before the commit.
    pub(crate) fn into_ledger(self) -> Batch<'t, SqlBooks<'c>> {
        self.ledger
    }

    fn is_alive(&self, node: NodeId, caller: NodeId, now: UnixMicros) -> bool {
        node == caller
            || self
                .leases
                .get(&node)
                .is_some_and(|lease_until| *lease_until > now)
    }

    fn claim(&mut self, key: ClaimKey) -> Result<Option<StoredClaim>, Fault> {
        match self.tables.open.get(key.identity) {
            Some(stored) if stored.claim.key() == key => Ok(Some(stored.clone())),
            Some(_) => Ok(None),
            None => Ok(self.tables.claims.get(key)?),
        }
    }

    fn ledger_submit(&mut self, submit: &Submit) -> Result<Outcome, Fault> {
        self.ledger
            .submit(&submit.intent, submit.now)
            .map_err(books_fault)
    }

    fn offers_publish(&mut self, publish: &Publish) -> Result<Vec<EarlierTerms>, Fault> {
        let before = self.tables.offers.of(publish.tenant)?;
        let offers = plan::publish(&before, publish.in_force.clone(), publish.now);
        if offers != before {
            self.tables.offers.replace(publish.tenant, &offers)?;
        }
        Ok(plan::earlier(&offers))
    }

    /// Writes a change of a claim that is stored.
    fn write(
        &mut self,
        before: &StoredClaim,
        change: &Change,
        now: UnixMicros,
    ) -> Result<(), Fault> {
        if change.is_empty() {
            return Ok(());
        }
        let claim = &change.claim;
        self.write_money(change, now)?;
        let history =
            self.tables
                .events
                .append(&claim.terms, Some(before.history), &change.events, now)?;
        self.tables
            .transactions
            .follow(&before.claim, claim, history.last, now)?;
        if (claim.epoch, claim.terms.owner) != (before.claim.epoch, before.claim.terms.owner) {
            self.tables.claims.own(claim)?;
        }
        self.tables.open.put(StoredClaim {
            claim: claim.clone(),
            history,
        });
        Ok(())
    }

    /// Posts a change and moves its credit.
    fn write_money(&mut self, change: &Change, now: UnixMicros) -> Result<(), Fault> {
        for intent in &change.intents {
            match self.ledger.submit(intent, now) {
                Ok(Outcome::Applied | Outcome::Exists) => {}
                Ok(Outcome::Refused(refused)) => {
                    return Err(Fault::Broken(plan::books_refuse(refused)));
                }
                Err(error) => return Err(books_fault(error)),
            }
        }
        let Some(moved) = &change.credit else {
            return Ok(());
        };
        if let CreditChange::Open(credit) = moved {
            return Ok(self.tables.credits.insert(credit)?);
        }
        let missing = || Fault::Broken(plan::credit_missing());
        let credit = self.tables.credits.get(moved.id())?.ok_or_else(missing)?;
        let available = moved.available_after(&credit).ok_or_else(missing)?;
        Ok(self.tables.credits.update(credit.id, available)?)
    }
}

fn books_fault(error: LedgerError<rusqlite::Error>) -> Fault {
    match error {
        LedgerError::Books(error) => Fault::Database(error),
        LedgerError::Corrupt(_) => {
            let reason = error.to_string();
            Fault::Broken(StoreError::Inconsistent { reason })
        }
    }
}
