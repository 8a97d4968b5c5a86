//! The books once more, as naively as possible: one list of what was applied, and every balance
//! counted from the start of the list each time it is asked for.
//!
//! It shares the vocabulary with the crate and none of its reasoning.

use octroi_ledger::{
    Account, AccountLimit, Action, Intent, LINKED_MAX, NewAccount, NewTransfer, Outcome, Part,
    Refusal, Refused,
};
use octroi_types::{AccountId, Amount, TransferId};

#[derive(Clone, Default)]
pub(crate) struct Model {
    accounts: Vec<NewAccount>,
    applied: Vec<Entry>,
    failed: Vec<TransferId>,
}

#[derive(Clone)]
struct Entry {
    new: NewTransfer,
    at_us: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Balance {
    pub(crate) debits_posted: i128,
    pub(crate) debits_pending: i128,
    pub(crate) credits_posted: i128,
    pub(crate) credits_pending: i128,
}

impl Balance {
    pub(crate) fn of(account: &Account) -> Self {
        let wide = |amount: Amount| i128::from(amount.units());
        Self {
            debits_posted: wide(account.debits.posted),
            debits_pending: wide(account.debits.pending),
            credits_posted: wide(account.credits.posted),
            credits_pending: wide(account.credits.pending),
        }
    }
}

impl Model {
    pub(crate) fn submit(&mut self, intent: &Intent, at_us: i64) -> Outcome {
        let before = self.clone();
        match self.run(intent, at_us) {
            Ok(true) => Outcome::Applied,
            Ok(false) => Outcome::Exists,
            Err(refused) => {
                *self = before;
                if let Part::Transfer(id) = refused.part
                    && refused.refusal.code() >= 30
                    && refused.refusal != Refusal::HoldNotDue
                {
                    self.failed.push(id);
                }
                Outcome::Refused(refused)
            }
        }
    }

    pub(crate) fn failed(&self) -> &[TransferId] {
        &self.failed
    }

    pub(crate) fn accounts(&self) -> &[NewAccount] {
        &self.accounts
    }

    /// The balance of an account, counted from the first transfer on.
    pub(crate) fn balance(&self, id: AccountId) -> Balance {
        let mut balance = Balance::default();
        for entry in &self.applied {
            let (debit, credit, posted, pending) = match entry.new.action {
                Action::Post {
                    debit,
                    credit,
                    amount,
                } => (debit, credit, amount, Amount::ZERO),
                Action::Hold {
                    debit,
                    credit,
                    amount,
                    ..
                } => match self.resolver(entry.new.id) {
                    None => (debit, credit, Amount::ZERO, amount),
                    Some(Action::Capture {
                        amount: captured, ..
                    }) => (debit, credit, captured, Amount::ZERO),
                    Some(_) => continue,
                },
                Action::Capture { .. } | Action::Void { .. } | Action::Expire { .. } => continue,
            };
            if debit == id {
                balance.debits_posted += i128::from(posted.units());
                balance.debits_pending += i128::from(pending.units());
            }
            if credit == id {
                balance.credits_posted += i128::from(posted.units());
                balance.credits_pending += i128::from(pending.units());
            }
        }
        balance
    }

    fn run(&mut self, intent: &Intent, at_us: i64) -> Result<bool, Refused> {
        let refuse = |part, refusal| Err(Refused { part, refusal });
        if intent.accounts.len() > LINKED_MAX || intent.transfers.len() > LINKED_MAX {
            return refuse(Part::Intent, Refusal::IntentTooLong);
        }
        let mut ids = Vec::new();
        for new in &intent.transfers {
            if ids.contains(&new.id) {
                return refuse(Part::Transfer(new.id), Refusal::IdRepeated);
            }
            ids.push(new.id);
            if let Some(refusal) = nonsense(&new.action) {
                return refuse(Part::Transfer(new.id), refusal);
            }
        }

        let mut known = Vec::new();
        for new in &intent.transfers {
            if self.failed.contains(&new.id) {
                return refuse(Part::Transfer(new.id), Refusal::IdAlreadyFailed);
            }
            if let Some(entry) = self.applied.iter().find(|entry| entry.new.id == new.id) {
                if let Some(refusal) = difference(new, &entry.new) {
                    return refuse(Part::Transfer(new.id), refusal);
                }
                known.push(new.id);
            }
        }
        if let Some(first) = known.first() {
            if known.len() < intent.transfers.len() {
                return refuse(Part::Transfer(*first), Refusal::LinkedTransferExists);
            }
            return Ok(false);
        }

        let mut opened = 0;
        for new in &intent.accounts {
            match self.accounts.iter().find(|account| account.id == new.id) {
                None => {
                    self.accounts.push(*new);
                    opened += 1;
                }
                Some(old) => {
                    if let Some(refusal) = account_difference(new, old) {
                        return refuse(Part::Account(new.id), refusal);
                    }
                }
            }
        }
        for new in &intent.transfers {
            if let Err(refusal) = self.apply(new, at_us) {
                return refuse(Part::Transfer(new.id), refusal);
            }
        }
        Ok(opened + intent.transfers.len() > 0)
    }

    fn apply(&mut self, new: &NewTransfer, at_us: i64) -> Result<(), Refusal> {
        match new.action {
            Action::Post {
                debit,
                credit,
                amount,
            }
            | Action::Hold {
                debit,
                credit,
                amount,
                ..
            } => {
                self.check_accounts(debit, credit)?;
                let amount = i128::from(amount.units());
                let (d, c) = (self.balance(debit), self.balance(credit));
                let most = i128::from(i64::MAX);
                if d.debits_posted + d.debits_pending + amount > most {
                    return Err(Refusal::OverflowsDebits);
                }
                if c.credits_posted + c.credits_pending + amount > most {
                    return Err(Refusal::OverflowsCredits);
                }
                if self.limit(debit) == Some(AccountLimit::DebitsMustNotExceedCredits)
                    && d.debits_posted + d.debits_pending + amount > d.credits_posted
                {
                    return Err(Refusal::ExceedsCredits);
                }
                if self.limit(credit) == Some(AccountLimit::CreditsMustNotExceedDebits)
                    && c.credits_posted + c.credits_pending + amount > c.debits_posted
                {
                    return Err(Refusal::ExceedsDebits);
                }
            }
            Action::Capture { hold, .. } | Action::Void { hold } | Action::Expire { hold } => {
                self.check_hold(hold, &new.action, at_us)?;
            }
        }
        self.applied.push(Entry { new: *new, at_us });
        Ok(())
    }

    fn check_accounts(&self, debit: AccountId, credit: AccountId) -> Result<(), Refusal> {
        let find = |id| self.accounts.iter().find(|account| account.id == id);
        let debit = find(debit).ok_or(Refusal::DebitAccountNotFound)?.ledger;
        let credit = find(credit).ok_or(Refusal::CreditAccountNotFound)?.ledger;
        if debit.tenant != credit.tenant {
            return Err(Refusal::TenantsDiffer);
        }
        if debit.mode != credit.mode {
            return Err(Refusal::ModesDiffer);
        }
        if debit.asset != credit.asset {
            return Err(Refusal::AssetsDiffer);
        }
        Ok(())
    }

    fn check_hold(&self, hold: TransferId, action: &Action, at_us: i64) -> Result<(), Refusal> {
        let entry = self.applied.iter().find(|entry| entry.new.id == hold);
        let entry = entry.ok_or(Refusal::HoldNotFound)?;
        let Action::Hold {
            amount: held,
            timeout,
            ..
        } = entry.new.action
        else {
            return Err(Refusal::NotAHold);
        };
        match self.resolver(hold) {
            Some(Action::Capture { .. }) => return Err(Refusal::HoldAlreadyCaptured),
            Some(Action::Void { .. }) => return Err(Refusal::HoldAlreadyVoided),
            Some(_) => return Err(Refusal::HoldExpired),
            None => {}
        }
        let timeout_us = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
        let ran_out = entry.at_us.saturating_add(timeout_us) <= at_us;
        match *action {
            Action::Expire { .. } if !ran_out => Err(Refusal::HoldNotDue),
            Action::Capture { .. } | Action::Void { .. } if ran_out => Err(Refusal::HoldExpired),
            Action::Capture { amount, .. } if amount > held => Err(Refusal::ExceedsHold),
            _ => Ok(()),
        }
    }

    fn resolver(&self, hold: TransferId) -> Option<Action> {
        let resolves = |action: &Action| match action {
            Action::Capture { hold: id, .. }
            | Action::Void { hold: id }
            | Action::Expire { hold: id } => *id == hold,
            Action::Post { .. } | Action::Hold { .. } => false,
        };
        self.applied
            .iter()
            .map(|entry| entry.new.action)
            .find(resolves)
    }

    fn limit(&self, id: AccountId) -> Option<AccountLimit> {
        self.accounts
            .iter()
            .find(|account| account.id == id)
            .map(|account| account.limit)
    }
}

fn nonsense(action: &Action) -> Option<Refusal> {
    let (debit, credit, amount, timeout_us) = match *action {
        Action::Post {
            debit,
            credit,
            amount,
        } => (debit, credit, amount, 1),
        Action::Hold {
            debit,
            credit,
            amount,
            timeout,
        } => (debit, credit, amount, timeout.as_micros()),
        Action::Capture { .. } | Action::Void { .. } | Action::Expire { .. } => return None,
    };
    if amount == Amount::ZERO {
        Some(Refusal::AmountZero)
    } else if debit == credit {
        Some(Refusal::AccountsEqual)
    } else if timeout_us == 0 {
        Some(Refusal::TimeoutZero)
    } else {
        None
    }
}

fn difference(new: &NewTransfer, old: &NewTransfer) -> Option<Refusal> {
    let first_of = |checks: &[(bool, Refusal)]| {
        checks
            .iter()
            .find(|(same, _)| !same)
            .map(|(_, refusal)| *refusal)
    };
    let (debits, credits) = (
        Refusal::ExistsWithDifferentDebitAccount,
        Refusal::ExistsWithDifferentCreditAccount,
    );
    let (amounts, holds) = (
        Refusal::ExistsWithDifferentAmount,
        Refusal::ExistsWithDifferentHold,
    );
    let content = match (new.action, old.action) {
        (
            Action::Post {
                debit: d,
                credit: c,
                amount: a,
            },
            Action::Post {
                debit,
                credit,
                amount,
            },
        ) => first_of(&[
            (d == debit, debits),
            (c == credit, credits),
            (a == amount, amounts),
        ]),
        (
            Action::Hold {
                debit: d,
                credit: c,
                amount: a,
                timeout: t,
            },
            Action::Hold {
                debit,
                credit,
                amount,
                timeout,
            },
        ) => first_of(&[
            (d == debit, debits),
            (c == credit, credits),
            (a == amount, amounts),
            (t == timeout, Refusal::ExistsWithDifferentTimeout),
        ]),
        (Action::Capture { hold: h, amount: a }, Action::Capture { hold, amount }) => {
            first_of(&[(h == hold, holds), (a == amount, amounts)])
        }
        (Action::Void { hold: h }, Action::Void { hold })
        | (Action::Expire { hold: h }, Action::Expire { hold }) => first_of(&[(h == hold, holds)]),
        _ => Some(Refusal::ExistsWithDifferentKind),
    };
    content.or((new.cause != old.cause).then_some(Refusal::ExistsWithDifferentCause))
}

fn account_difference(new: &NewAccount, old: &NewAccount) -> Option<Refusal> {
    let (a, b) = (new.ledger, old.ledger);
    [
        (
            a.tenant == b.tenant,
            Refusal::AccountExistsWithDifferentTenant,
        ),
        (a.mode == b.mode, Refusal::AccountExistsWithDifferentMode),
        (a.asset == b.asset, Refusal::AccountExistsWithDifferentAsset),
        (
            new.kind == old.kind,
            Refusal::AccountExistsWithDifferentKind,
        ),
        (
            new.limit == old.limit,
            Refusal::AccountExistsWithDifferentLimit,
        ),
    ]
    .into_iter()
    .find_map(|(same, refusal)| (!same).then_some(refusal))
}
