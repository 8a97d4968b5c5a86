//! What a batch posts to the books: collected while its calls are decided, and decided by the ledger
//! itself once the accounts are locked.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;

use octroi_claim::Claim;
use octroi_ledger::{
    Account, AccountChange, Action, Batch, BatchRows, Books, Effects, Intent, Ledger, LedgerError,
    MemoryBooks, Outcome, Record, Resolution, Seal, Transfer, TransferKind,
};
use octroi_store::{StoreError, plan};
use octroi_types::{AccountId, TransferId, UnixMicros};

use crate::accounts;
use crate::connection::Connection;
use crate::fault::Fault;
use crate::transfers;

/// An intent that waits to be decided.
struct Queued {
    intent: Intent,
    now: UnixMicros,
    /// Whether a caller submitted it and wants the ledger's word, even if that is a refusal. What follows from
    /// a claim's step must not be refused.
    is_submitted: bool,
}

/// What the ledger did.
pub(crate) struct Posted {
    /// The head of the lane's chain.
    pub(crate) head: Seal,
    /// What it said to each intent that was submitted, in their order.
    pub(crate) outcomes: Vec<Outcome>,
}

/// The intents of a batch, in the order in which they came.
#[derive(Default)]
pub(crate) struct Postings {
    queue: Vec<Queued>,
    /// What the database has of the settlements that were asked about.
    recorded: MemoryBooks,
}

impl Postings {
    /// Reads whether the settlements of these claims are in the books.
    pub(crate) async fn load(connection: &Connection, claims: &[&Claim]) -> Result<Self, Fault> {
        let ids: BTreeSet<TransferId> = claims
            .iter()
            .flat_map(|claim| {
                let terms = &claim.terms;
                let settlement = plan::ledger_of(claim).settlement(terms.id, terms.amount);
                settlement.transfers.into_iter().map(|transfer| transfer.id)
            })
            .collect();
        let mut postings = Self::default();
        let recorded = transfers::load(connection, &ids, &BTreeSet::new()).await?;
        postings.recorded.apply(&recorded);
        Ok(postings)
    }

    /// Takes what follows from a claim's step.
    pub(crate) fn push(&mut self, intents: &[Intent], now: UnixMicros) {
        let queued = intents.iter().map(|intent| Queued {
            intent: intent.clone(),
            now,
            is_submitted: false,
        });
        self.queue.extend(queued);
    }

    /// Takes an intent whose outcome is an answer.
    pub(crate) fn submit(&mut self, intent: Intent, now: UnixMicros) {
        self.queue.push(Queued {
            intent,
            now,
            is_submitted: true,
        });
    }

    /// Whether a claim's settlement is in the books, or will be with this batch. It must have been asked
    /// about.
    pub(crate) fn was_settled(&self, claim: &Claim) -> bool {
        match plan::was_settled(self, claim) {
            Ok(was_settled) => was_settled,
            Err(never) => match never {},
        }
    }

    /// Posts everything, and writes the lane's next link.
    pub(crate) async fn post(&self, connection: &Connection, head: Seal) -> Result<Posted, Fault> {
        if self.queue.is_empty() {
            let outcomes = Vec::new();
            return Ok(Posted { head, outcomes });
        }
        let books = self.lock(connection).await?;
        let (effects, outcomes) = self.decide(&books)?;
        if effects.is_empty() {
            return Ok(Posted { head, outcomes });
        }
        let head = head.next(BatchRows::from(&effects));
        write(connection, &books, &effects, &head).await?;
        Ok(Posted { head, outcomes })
    }

    fn decide(&self, books: &MemoryBooks) -> Result<(Effects, Vec<Outcome>), Fault> {
        let mut batch = Batch::new(books);
        let mut outcomes = Vec::new();
        for queued in &self.queue {
            let outcome = match batch.submit(&queued.intent, queued.now) {
                Ok(outcome) => outcome,
                Err(LedgerError::Books(never)) => match never {},
                Err(error @ LedgerError::Corrupt(_)) => {
                    let reason = error.to_string();
                    return Err(Fault::Broken(StoreError::Inconsistent { reason }));
                }
            };
            match outcome {
                outcome if queued.is_submitted => outcomes.push(outcome),
                Outcome::Applied | Outcome::Exists => {}
                Outcome::Refused(refused) => {
                    return Err(Fault::Broken(plan::books_refuse(refused)));
                }
            }
        }
        Ok((batch.into_effects(), outcomes))
    }

    /// Locks what the intents touch, and then reads it: transfer ids that may be refused, and the accounts,
    /// those of holds among them.
    async fn lock(&self, connection: &Connection) -> Result<MemoryBooks, Fault> {
        let mut touched = Touched::default();
        for queued in &self.queue {
            touched.add(queued);
        }
        transfers::lock_ids(connection, &touched.refusable).await?;
        let holds = transfers::load_applied(connection, &touched.holds).await?;
        touched.accounts.extend(accounts_of(&holds));
        let ids = touched.transfers.union(&touched.holds).copied().collect();
        loop {
            let accounts = accounts::lock(connection, &touched.accounts).await?;
            // A hold is resolved, or not, by whoever has its accounts: this must come after their locks.
            let stored = transfers::load(connection, &ids, &touched.holds).await?;
            let named = touched.accounts.len();
            touched.accounts.extend(accounts_of(&stored.transfers));
            // Unless a hold was made just now: then its accounts are locked too.
            if touched.accounts.len() == named {
                return Ok(books(accounts, stored));
            }
        }
    }
}

fn accounts_of(transfers: &[Transfer]) -> impl Iterator<Item = AccountId> {
    transfers
        .iter()
        .flat_map(|transfer| [transfer.debit, transfer.credit])
}

fn books(accounts: Vec<Account>, stored: Effects) -> MemoryBooks {
    let existing = |after: Account| AccountChange {
        replaces: Some(after.version),
        after,
    };
    let mut books = MemoryBooks::default();
    books.apply(&Effects {
        accounts: accounts.into_iter().map(existing).collect(),
        ..stored
    });
    books
}

/// What intents may read and change.
#[derive(Default)]
struct Touched {
    accounts: BTreeSet<AccountId>,
    transfers: BTreeSet<TransferId>,
    holds: BTreeSet<TransferId>,
    /// Those of the transfers that may be refused, and used up.
    refusable: BTreeSet<TransferId>,
}

impl Touched {
    fn add(&mut self, queued: &Queued) {
        let intent = &queued.intent;
        let accounts = intent.accounts.iter().map(|account| account.id);
        self.accounts.extend(accounts);
        for transfer in &intent.transfers {
            self.transfers.insert(transfer.id);
            if queued.is_submitted {
                self.refusable.insert(transfer.id);
            }
            match transfer.action {
                Action::Post { debit, credit, .. } | Action::Hold { debit, credit, .. } => {
                    self.accounts.extend([debit, credit]);
                }
                // Its accounts are the hold's.
                Action::Capture { hold, .. } | Action::Void { hold } | Action::Expire { hold } => {
                    self.holds.insert(hold);
                }
            }
        }
    }
}

async fn write(
    connection: &Connection,
    books: &MemoryBooks,
    effects: &Effects,
    seal: &Seal,
) -> Result<(), Fault> {
    let stored = books.accounts();
    let opened = effects.accounts.iter().map(|change| &change.after);
    let ledgers: HashMap<AccountId, Ledger> = stored
        .chain(opened)
        .map(|account| (account.id, account.ledger))
        .collect();
    let mut transfers = Vec::with_capacity(effects.transfers.len());
    for transfer in &effects.transfers {
        let ledger = ledgers.get(&transfer.debit).copied();
        transfers.push((transfer, ledger.ok_or_else(no_account)?));
    }
    accounts::write(connection, &effects.accounts, seal).await?;
    transfers::insert(connection, &transfers, seal).await?;
    transfers::insert_used_up(connection, &effects.failures, seal).await?;
    transfers::insert_seal(connection, seal).await
}

fn no_account() -> Fault {
    Fault::inconsistent("a transfer names an account that does not exist")
}

/// What is recorded and what will be, for the one question that is asked before the accounts are locked:
/// whether a settlement is in the books.
impl Books for Postings {
    type Error = Infallible;

    fn account(&self, id: AccountId) -> Result<Option<Account>, Infallible> {
        self.recorded.account(id)
    }

    fn record(&self, id: TransferId) -> Result<Option<Record>, Infallible> {
        if let Some(record) = self.recorded.record(id)? {
            return Ok(Some(record));
        }
        // What was submitted may yet be refused.
        let certain = self.queue.iter().filter(|queued| !queued.is_submitted);
        let queued = certain.flat_map(|Queued { intent, now, .. }| {
            let posts = intent.transfers.iter().filter(|transfer| transfer.id == id);
            posts.filter_map(|transfer| match transfer.action {
                Action::Post {
                    debit,
                    credit,
                    amount,
                } => Some(Transfer {
                    id,
                    debit,
                    credit,
                    amount,
                    kind: TransferKind::Post,
                    cause: transfer.cause,
                    created_at: *now,
                }),
                Action::Hold { .. }
                | Action::Capture { .. }
                | Action::Void { .. }
                | Action::Expire { .. } => None,
            })
        });
        Ok(queued.map(Record::Applied).next())
    }

    fn resolution(&self, hold: TransferId) -> Result<Option<Resolution>, Infallible> {
        self.recorded.resolution(hold)
    }
}
