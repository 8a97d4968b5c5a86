//! What the calls of a batch are decided by: which of it is locked, in one order, and what is read then.

use std::collections::BTreeSet;
use std::time::Duration;

use octroi_claim::{Claim, ClaimKey, NewClaim};
use octroi_store::{ClaimRequest, Fact, NewSettlement};
use octroi_types::{Address, B256, ChainId, CreditId, SettlementId, TenantId};

use super::Session;
use crate::claims::Claims;
use crate::columns::column;
use crate::connection::Connection;
use crate::credits::Credits;
use crate::failures::Failures;
use crate::fault::Fault;
use crate::nodes::Nodes;
use crate::offers::OfferedTermsTable;
use crate::open_claims::{self, OpenClaims};
use crate::postings::Postings;
use crate::proofs::{self, Log, Proofs};
use crate::settlements::Settlements;
use crate::transactions::Transactions;
use crate::wallets::{self, WalletId};
use crate::watched::WatchedClaims;
use octroi_store::call::{Command, Facts, Recover};

/// What a batch needs, by the questions alone.
#[derive(Default)]
struct Needs<'q> {
    arriving: Vec<&'q NewClaim>,
    recovering: Vec<&'q Recover>,
    /// Whether somebody's clock is to be compared.
    clock: bool,
    settlements: BTreeSet<SettlementId>,
    /// Those of them whose claims are needed.
    vanishing: Vec<SettlementId>,
    nonces: Vec<(ChainId, Address, u64)>,
    identities: BTreeSet<B256>,
    /// Those of them of which it matters whether they were settled.
    failing: BTreeSet<B256>,
    logs: BTreeSet<Log>,
    watched: Vec<(ChainId, ClaimKey)>,
    tenants: BTreeSet<TenantId>,
}

impl<'q> Needs<'q> {
    fn of(commands: &'q [Command]) -> Self {
        let mut needs = Self::default();
        for command in commands {
            needs.add(command);
        }
        needs
    }

    fn add(&mut self, command: &'q Command) {
        match command {
            Command::NodeBeat(_) => self.clock = true,
            Command::ClaimMake(call) => {
                let ClaimRequest { claim, .. } = call.question();
                self.arriving.push(claim);
                self.identities.insert(claim.identity);
            }
            Command::ClaimAdvance(call) => {
                self.identities.insert(call.question().key.identity);
            }
            Command::ClaimsRecover(call) => {
                self.recovering.push(call.question());
                self.clock = true;
            }
            Command::SettlementOpen(call) => self.add_new(call.question()),
            Command::SettlementAttempt(call) => {
                self.settlements.insert(call.question().id);
            }
            Command::SettlementIncluded(call) => {
                self.settlements.insert(call.question().id);
                self.add_facts(&call.question().facts);
            }
            Command::FactsApply(call) => self.add_facts(call.question()),
            Command::SettlementsFinal(call) => self.settlements.extend(call.question()),
            Command::SettlementVanished(call) => {
                self.settlements.insert(call.question().id);
                self.vanishing.push(call.question().id);
            }
            Command::ClaimsFinal(call) => {
                let finish = call.question();
                for (key, _) in &finish.claims {
                    self.identities.insert(key.identity);
                    self.watched.push((finish.chain, *key));
                }
            }
            Command::OffersPublish(call) => {
                self.tenants.insert(call.question().tenant);
            }
            // What an intent touches is locked and read when all of them are known.
            Command::ClaimsPrune(_) | Command::LedgerSubmit(_) => {}
        }
    }

    fn add_new(&mut self, new: &NewSettlement) {
        self.settlements.insert(new.id);
        self.nonces.push((new.chain, new.wallet, new.nonce));
        let identities = new.claims.iter().map(|(key, _)| key.identity);
        self.identities.extend(identities);
    }

    fn add_facts(&mut self, facts: &Facts) {
        for (key, fact) in &facts.facts {
            self.identities.insert(key.identity);
            match fact {
                Fact::Settled {
                    inclusion,
                    log_index,
                } => {
                    self.logs.insert(proofs::log(inclusion, *log_index));
                }
                Fact::Failed => {
                    self.failing.insert(key.identity);
                }
                Fact::Unknown | Fact::Vanished => {}
            }
        }
    }

    /// The days that are claimed for.
    fn days(&self) -> BTreeSet<u64> {
        let keys = self.arriving.iter().map(|new| ClaimKey::of(new));
        keys.map(|key| key.day()).collect()
    }
}

/// The days that the claims of a batch lie in.
pub(crate) fn days(commands: &[Command]) -> BTreeSet<u64> {
    Needs::of(commands).days()
}

impl Session {
    /// Locks and reads what these calls are decided by. Locks are taken in one order: offers by tenant,
    /// settlements by id, wallets by id; accounts, by id, come when it is known what is posted.
    pub(crate) async fn load(
        connection: &Connection,
        commands: &[Command],
        clock_skew_max: Option<Duration>,
    ) -> Result<Self, Fault> {
        let needs = Needs::of(commands);
        let offers = OfferedTermsTable::lock(connection, &needs.tenants).await?;
        let settlements = Settlements::lock(connection, &needs.settlements, &needs.nonces).await?;
        let mut identities = needs.identities.clone();
        identities.extend(settlements.claims(needs.vanishing.iter().copied()));
        for recover in &needs.recovering {
            let Recover { owner, limit, now } = **recover;
            identities.extend(open_claims::of_dead(connection, owner, limit, now).await?);
        }
        let wallet = |new: &&NewClaim| WalletId::of(new.chain, new.asset, new.payer);
        let arriving = needs.arriving.iter().map(wallet).collect();
        let arrived: BTreeSet<B256> = needs.arriving.iter().map(|new| new.identity).collect();
        let known: Vec<B256> = identities.difference(&arrived).copied().collect();
        let identities: Vec<B256> = identities.into_iter().collect();
        let locked = wallets::lock(connection, &known, &arriving).await?;
        let mut session = Self::read(connection, &needs, &identities, &locked).await?;
        session.clock_skew_max = clock_skew_max;
        session.offers = offers;
        session.settlements = settlements;
        session.read_more(connection, &needs).await?;
        Ok(session)
    }

    async fn read(
        connection: &Connection,
        needs: &Needs<'_>,
        identities: &[B256],
        locked: &BTreeSet<WalletId>,
    ) -> Result<Self, Fault> {
        let arriving = &needs.arriving[..];
        let transactions = column(arriving, |new| new.transaction);
        let logs: Vec<Log> = needs.logs.iter().copied().collect();
        let asks_for_nodes = !(needs.arriving.is_empty() && needs.recovering.is_empty());
        let (nodes, claims, open, transactions, failures, credits, proofs, watched) = tokio::try_join!(
            Nodes::load(connection, asks_for_nodes),
            Claims::load(connection, identities, locked),
            OpenClaims::load(connection, arriving),
            Transactions::load(connection, &transactions),
            Failures::load(connection, arriving),
            Credits::load(connection, arriving, identities.len()),
            Proofs::load(connection, &logs),
            WatchedClaims::load(connection, &needs.watched),
        )?;
        Ok(Self {
            clock_skew_max: None,
            nodes,
            claims,
            open,
            transactions,
            states: Default::default(),
            events: Default::default(),
            failures,
            credits,
            settlements: Default::default(),
            proofs,
            watched,
            offers: Default::default(),
            postings: Default::default(),
        })
    }

    /// Reads what only the claims tell that it is needed.
    async fn read_more(&mut self, connection: &Connection, needs: &Needs<'_>) -> Result<(), Fault> {
        let credits: Vec<CreditId> = self.claims.credits();
        self.credits.load_more(connection, &credits).await?;
        let failing: Vec<&Claim> = needs
            .failing
            .iter()
            .filter_map(|identity| Some(&self.claims.find(*identity)?.claim))
            .collect();
        self.postings = Postings::load(connection, &failing).await?;
        if needs.clock && self.clock_skew_max.is_some() {
            self.nodes.load_clock(connection).await?;
        }
        Ok(())
    }
}
