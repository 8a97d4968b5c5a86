//! Whether the books balance (money rule 26), and whether accounts say what their transfers say.

use std::collections::{BTreeMap, HashMap};

use octroi_types::{AccountId, Amount, Asset, Mode, TransferId};

use crate::account::Account;
use crate::transfer::{Transfer, TransferKind};

/// Sums over many accounts. Wider than one account's sums, so that adding cannot overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Posted debits.
    pub debits_posted: u128,
    /// Posted credits.
    pub credits_posted: u128,
    /// Debits on hold.
    pub debits_pending: u128,
    /// Credits on hold.
    pub credits_pending: u128,
}

impl Totals {
    /// Whether debits equal credits, posted and on hold.
    #[must_use]
    pub const fn is_balanced(&self) -> bool {
        self.debits_posted == self.credits_posted && self.debits_pending == self.credits_pending
    }
}

/// The trial balance: the sums of all accounts, for each mode and asset.
pub fn trial_balance<'a>(
    accounts: impl IntoIterator<Item = &'a Account>,
) -> BTreeMap<(Mode, Asset), Totals> {
    let mut balance: BTreeMap<_, Totals> = BTreeMap::new();
    for account in accounts {
        let totals = balance
            .entry((account.ledger.mode, account.ledger.asset))
            .or_default();
        for (total, amount) in [
            (&mut totals.debits_posted, account.debits.posted),
            (&mut totals.credits_posted, account.credits.posted),
            (&mut totals.debits_pending, account.debits.pending),
            (&mut totals.credits_pending, account.credits.pending),
        ] {
            *total = total.saturating_add(u128::from(amount.units()));
        }
    }
    balance
}

/// The sums of accounts, counted again from all transfers in the order in which they were made.
#[derive(Debug, Default)]
pub struct Recount {
    accounts: HashMap<AccountId, Totals>,
    /// Holds that nothing resolved so far.
    holds: HashMap<TransferId, Amount>,
}

impl Recount {
    /// Counts one more transfer. A resolution of a hold that is not there counts for nothing, which
    /// shows in its accounts.
    pub fn count(&mut self, transfer: &Transfer) {
        let units = |amount: Amount| u128::from(amount.units());
        let (mut posted, mut held, mut released) = (0, 0, 0);
        match transfer.kind {
            TransferKind::Post => posted = units(transfer.amount),
            TransferKind::Hold { .. } => {
                held = units(transfer.amount);
                self.holds.insert(transfer.id, transfer.amount);
            }
            TransferKind::Capture { hold } => {
                posted = units(transfer.amount);
                released = self.holds.remove(&hold).map_or(0, units);
            }
            TransferKind::Void { hold } | TransferKind::Expire { hold } => {
                released = self.holds.remove(&hold).map_or(0, units);
            }
        }
        let move_pending = |pending: u128| pending.saturating_add(held).saturating_sub(released);
        let debited = self.accounts.entry(transfer.debit).or_default();
        debited.debits_posted = debited.debits_posted.saturating_add(posted);
        debited.debits_pending = move_pending(debited.debits_pending);
        let credited = self.accounts.entry(transfer.credit).or_default();
        credited.credits_posted = credited.credits_posted.saturating_add(posted);
        credited.credits_pending = move_pending(credited.credits_pending);
    }

    /// Whether an account says the same.
    #[must_use]
    pub fn agrees(&self, account: &Account) -> bool {
        let counted = self.accounts.get(&account.id).copied();
        let said = |amount: Amount| u128::from(amount.units());
        counted.unwrap_or_default()
            == Totals {
                debits_posted: said(account.debits.posted),
                credits_posted: said(account.credits.posted),
                debits_pending: said(account.debits.pending),
                credits_pending: said(account.credits.pending),
            }
    }
}

#[cfg(test)]
mod tests {
    use octroi_types::{TenantId, UnixMicros};

    use super::*;
    use crate::account::{AccountKind, Ledger, NewAccount, Sums};

    #[test]
    fn a_missing_unit_shows_in_its_mode_and_asset() {
        let account = |number, mode, debits: [u64; 2], credits: [u64; 2]| {
            let tenant = TenantId::from_bytes([number; 16]);
            let ledger = Ledger {
                tenant,
                mode,
                asset: Asset::Usd,
            };
            let (kind, id) = (AccountKind::Fees, AccountId::from_bytes([number; 16]));
            let new = NewAccount {
                id,
                ledger,
                kind,
                limit: kind.limit(),
            };
            let sums = |[posted, pending]: [u64; 2]| Sums {
                posted: Amount::new(posted).unwrap(),
                pending: Amount::new(pending).unwrap(),
            };
            let (debits, credits) = (sums(debits), sums(credits));
            Account {
                debits,
                credits,
                ..Account::open(&new, UnixMicros(0))
            }
        };
        let most = Amount::MAX.units();
        let balance = trial_balance(&[
            account(1, Mode::Live, [most, 3], [0, 0]),
            account(2, Mode::Live, [most, 0], [most, 3]),
            account(3, Mode::Live, [0, 0], [most, 0]),
            account(4, Mode::Test, [5, 0], [5, 1]),
        ]);
        let live = balance[&(Mode::Live, Asset::Usd)];
        assert_eq!(live.debits_posted, 2 * u128::from(most));
        assert!(live.is_balanced());
        assert!(!balance[&(Mode::Test, Asset::Usd)].is_balanced());
        let posted = trial_balance(&[account(1, Mode::Live, [1, 0], [2, 0])]);
        assert!(!posted[&(Mode::Live, Asset::Usd)].is_balanced());
        assert_eq!(balance.len(), 2);
    }
}
