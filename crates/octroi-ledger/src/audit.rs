//! Whether the books balance (money rule 26).

use std::collections::BTreeMap;

use octroi_types::{Asset, Mode};

use crate::account::Account;

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

#[cfg(test)]
mod tests {
    use octroi_types::{AccountId, Amount, TenantId, UnixMicros};

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
