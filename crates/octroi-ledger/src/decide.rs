//! The one place where it is decided what an intent does to the books.

use octroi_types::{AccountId, Amount, TransferId, UnixMicros};

use crate::account::{Account, Ledger, NewAccount, Sums};
use crate::books::{Books, Corruption, LedgerError, Record};
use crate::decision::{AccountChange, Decision, Effects, Outcome, Part, Refused};
use crate::intent::{Action, Intent, LINKED_MAX, NewTransfer};
use crate::refusal::Refusal;
use crate::transfer::{Failure, Resolution, Transfer, TransferKind};

/// Decides an intent. `now` is the writer's clock; it stamps rows and lets holds run out.
///
/// # Errors
/// [`LedgerError`] if the books cannot be read or contradict themselves. A refusal is no error: it
/// is an [`Outcome`], and may have effects.
pub fn decide<B: Books>(
    books: &B,
    intent: &Intent,
    now: UnixMicros,
) -> Result<Decision, LedgerError<B::Error>> {
    match attempt(books, intent, now) {
        Ok(effects) if effects.is_empty() => Ok(Decision {
            outcome: Outcome::Exists,
            effects,
        }),
        Ok(effects) => Ok(Decision {
            outcome: Outcome::Applied,
            effects,
        }),
        Err((part, Stop::Refusal(refusal))) => Ok(refused(part, refusal, now)),
        Err((_, Stop::Error(error))) => Err(error),
    }
}

fn refused(part: Part, refusal: Refusal, now: UnixMicros) -> Decision {
    let mut effects = Effects::default();
    if let Part::Transfer(id) = part
        && refusal.uses_id_up()
    {
        effects.failures.push(Failure {
            id,
            refusal,
            failed_at: now,
        });
    }
    Decision {
        outcome: Outcome::Refused(Refused { part, refusal }),
        effects,
    }
}

/// Why an attempt ended early.
enum Stop<E: std::error::Error + 'static> {
    Refusal(Refusal),
    Error(LedgerError<E>),
}

impl<E: std::error::Error + 'static> From<Refusal> for Stop<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl<E: std::error::Error + 'static> From<LedgerError<E>> for Stop<E> {
    fn from(error: LedgerError<E>) -> Self {
        Self::Error(error)
    }
}

fn attempt<B: Books>(
    books: &B,
    intent: &Intent,
    now: UnixMicros,
) -> Result<Effects, (Part, Stop<B::Error>)> {
    check_shape(intent).map_err(|(part, refusal)| (part, refusal.into()))?;
    if exists(books, &intent.transfers)? {
        return Ok(Effects::default());
    }
    let mut draft = Draft::new(books, intent, now);
    for account in &intent.accounts {
        draft
            .open(account)
            .map_err(|stop| (Part::Account(account.id), stop))?;
    }
    for transfer in &intent.transfers {
        draft
            .transfer(transfer)
            .map_err(|stop| (Part::Transfer(transfer.id), stop))?;
    }
    Ok(draft.into_effects())
}

/// What the request alone decides.
fn check_shape(intent: &Intent) -> Result<(), (Part, Refusal)> {
    if intent.accounts.len() > LINKED_MAX || intent.transfers.len() > LINKED_MAX {
        return Err((Part::Intent, Refusal::IntentTooLong));
    }
    for (index, transfer) in intent.transfers.iter().enumerate() {
        let part = Part::Transfer(transfer.id);
        if intent
            .transfers
            .iter()
            .take(index)
            .any(|earlier| earlier.id == transfer.id)
        {
            return Err((part, Refusal::IdRepeated));
        }
        if let Some(refusal) = transfer.action.malformed() {
            return Err((part, refusal));
        }
    }
    Ok(())
}

/// Whether the transfers were all applied before. That some were and others not is refused: such
/// an intent is neither new nor a retry.
fn exists<B: Books>(books: &B, transfers: &[NewTransfer]) -> Result<bool, (Part, Stop<B::Error>)> {
    let mut existing = None;
    let mut missing = false;
    for transfer in transfers {
        let part = Part::Transfer(transfer.id);
        let record = books
            .record(transfer.id)
            .map_err(|error| (part, LedgerError::Books(error).into()))?;
        match record {
            None => missing = true,
            Some(Record::Failed(_)) => return Err((part, Refusal::IdAlreadyFailed.into())),
            Some(Record::Applied(applied)) => match transfer.conflict(&applied) {
                Some(refusal) => return Err((part, refusal.into())),
                None => existing = existing.or(Some(part)),
            },
        }
    }
    match existing {
        Some(part) if missing => Err((part, Refusal::LinkedTransferExists.into())),
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

/// The books with the effects so far laid over them.
struct Draft<'a, B> {
    books: &'a B,
    now: UnixMicros,
    /// Every account that was looked at; the untouched ones are dropped in the end.
    accounts: Vec<AccountChange>,
    transfers: Vec<Transfer>,
}

impl<'a, B: Books> Draft<'a, B> {
    fn new(books: &'a B, intent: &Intent, now: UnixMicros) -> Self {
        let accounts = Vec::with_capacity(intent.accounts.len().max(2));
        let transfers = Vec::with_capacity(intent.transfers.len());
        Self {
            books,
            now,
            accounts,
            transfers,
        }
    }

    fn into_effects(mut self) -> Effects {
        self.accounts
            .retain(|change| change.replaces != Some(change.after.version));
        Effects {
            accounts: self.accounts,
            transfers: self.transfers,
            failures: Vec::new(),
        }
    }

    fn open(&mut self, new: &NewAccount) -> Result<(), Stop<B::Error>> {
        match self.find(new.id)? {
            Some(index) => match self.accounts[index].after.conflict(new) {
                Some(refusal) => Err(refusal.into()),
                None => Ok(()),
            },
            None => {
                let after = Account::open(new, self.now);
                self.accounts.push(AccountChange {
                    replaces: None,
                    after,
                });
                Ok(())
            }
        }
    }

    fn transfer(&mut self, new: &NewTransfer) -> Result<(), Stop<B::Error>> {
        match new.action {
            Action::Post {
                debit,
                credit,
                amount,
            } => self.enter(new, (debit, credit), amount, TransferKind::Post),
            Action::Hold {
                debit,
                credit,
                amount,
                timeout,
            } => {
                let expires_at = self.now.plus(timeout);
                self.enter(
                    new,
                    (debit, credit),
                    amount,
                    TransferKind::Hold { expires_at },
                )
            }
            Action::Capture { hold, amount } => {
                let held = self.open_hold(hold)?;
                self.before_expiry(&held)?;
                if amount > held.amount {
                    return Err(Refusal::ExceedsHold.into());
                }
                self.resolve(new, &held, amount, TransferKind::Capture { hold })
            }
            Action::Void { hold } => {
                let held = self.open_hold(hold)?;
                self.before_expiry(&held)?;
                self.resolve(new, &held, held.amount, TransferKind::Void { hold })
            }
            Action::Expire { hold } => {
                let held = self.open_hold(hold)?;
                if !self.is_due(&held) {
                    return Err(Refusal::HoldNotDue.into());
                }
                self.resolve(new, &held, held.amount, TransferKind::Expire { hold })
            }
        }
    }

    /// Posts or holds an amount.
    fn enter(
        &mut self,
        new: &NewTransfer,
        (debit, credit): (AccountId, AccountId),
        amount: Amount,
        kind: TransferKind,
    ) -> Result<(), Stop<B::Error>> {
        let debit_at = self.find(debit)?.ok_or(Refusal::DebitAccountNotFound)?;
        let credit_at = self.find(credit)?.ok_or(Refusal::CreditAccountNotFound)?;
        let mut debited = self.accounts[debit_at].after;
        let mut credited = self.accounts[credit_at].after;
        check_same_ledger(&debited.ledger, &credited.ledger)?;

        let with_amount = |sums: Sums| match kind.expires_at() {
            Some(_) => sums.with_held(amount),
            None => sums.with_posted(amount),
        };
        debited.debits = with_amount(debited.debits).ok_or(Refusal::OverflowsDebits)?;
        credited.credits = with_amount(credited.credits).ok_or(Refusal::OverflowsCredits)?;
        if !debited.is_within_limit() {
            return Err(Refusal::ExceedsCredits.into());
        }
        if !credited.is_within_limit() {
            return Err(Refusal::ExceedsDebits.into());
        }
        self.write(debit_at, debited);
        self.write(credit_at, credited);
        self.transfers
            .push(self.row(new, (debit, credit), amount, kind));
        Ok(())
    }

    /// Ends a hold. Only a capture moves its amount.
    fn resolve(
        &mut self,
        new: &NewTransfer,
        held: &Transfer,
        amount: Amount,
        kind: TransferKind,
    ) -> Result<(), Stop<B::Error>> {
        let captured = match kind.resolution() {
            Some(Resolution::Captured) => amount,
            Some(Resolution::Voided | Resolution::Expired) | None => Amount::ZERO,
        };
        let no_account = || LedgerError::Corrupt(Corruption::HoldWithoutAccount(held.id));
        let not_counted = || LedgerError::Corrupt(Corruption::HoldNotCounted(held.id));
        let debit_at = self.find(held.debit)?.ok_or_else(no_account)?;
        let credit_at = self.find(held.credit)?.ok_or_else(no_account)?;
        let mut debited = self.accounts[debit_at].after;
        let mut credited = self.accounts[credit_at].after;
        let resolve = |sums: Sums| sums.with_resolved(held.amount, captured);
        debited.debits = resolve(debited.debits).ok_or_else(not_counted)?;
        credited.credits = resolve(credited.credits).ok_or_else(not_counted)?;
        self.write(debit_at, debited);
        self.write(credit_at, credited);
        self.transfers
            .push(self.row(new, (held.debit, held.credit), amount, kind));
        Ok(())
    }

    /// The hold with this id, if it is open.
    fn open_hold(&self, id: TransferId) -> Result<Transfer, Stop<B::Error>> {
        let resolved_here = |transfer: &Transfer| {
            transfer
                .kind
                .resolution()
                .filter(|_| transfer.kind.hold() == Some(id))
        };
        let held = match self.transfers.iter().find(|transfer| transfer.id == id) {
            Some(made_here) => *made_here,
            None => match self.books.record(id).map_err(LedgerError::Books)? {
                Some(Record::Applied(transfer)) => transfer,
                Some(Record::Failed(_)) | None => return Err(Refusal::HoldNotFound.into()),
            },
        };
        if held.kind.expires_at().is_none() {
            return Err(Refusal::NotAHold.into());
        }
        let resolution = match self.transfers.iter().find_map(resolved_here) {
            Some(resolution) => Some(resolution),
            None => self.books.resolution(id).map_err(LedgerError::Books)?,
        };
        match resolution {
            Some(resolution) => Err(resolution.refusal().into()),
            None => Ok(held),
        }
    }

    fn before_expiry(&self, held: &Transfer) -> Result<(), Refusal> {
        if self.is_due(held) {
            Err(Refusal::HoldExpired)
        } else {
            Ok(())
        }
    }

    fn is_due(&self, held: &Transfer) -> bool {
        held.kind
            .expires_at()
            .is_some_and(|expires_at| expires_at <= self.now)
    }

    /// Where an account stands in the draft, loading it if need be.
    fn find(&mut self, id: AccountId) -> Result<Option<usize>, LedgerError<B::Error>> {
        if let Some(index) = self
            .accounts
            .iter()
            .position(|change| change.after.id == id)
        {
            return Ok(Some(index));
        }
        let loaded = self.books.account(id).map_err(LedgerError::Books)?;
        Ok(loaded.map(|after| {
            let index = self.accounts.len();
            self.accounts.push(AccountChange {
                replaces: Some(after.version),
                after,
            });
            index
        }))
    }

    fn write(&mut self, index: usize, mut account: Account) {
        account.version = account.version.saturating_add(1);
        self.accounts[index].after = account;
    }

    fn row(
        &self,
        new: &NewTransfer,
        (debit, credit): (AccountId, AccountId),
        amount: Amount,
        kind: TransferKind,
    ) -> Transfer {
        let NewTransfer { id, cause, .. } = *new;
        Transfer {
            id,
            debit,
            credit,
            amount,
            kind,
            cause,
            created_at: self.now,
        }
    }
}

fn check_same_ledger(debit: &Ledger, credit: &Ledger) -> Result<(), Refusal> {
    if debit.tenant != credit.tenant {
        Err(Refusal::TenantsDiffer)
    } else if debit.mode != credit.mode {
        Err(Refusal::ModesDiffer)
    } else if debit.asset != credit.asset {
        Err(Refusal::AssetsDiffer)
    } else {
        Ok(())
    }
}
