//! One balance with its books, as a store would keep them.

use std::time::Duration;

use octroi_ledger::{
    Books as _, ChargeParts, Draw, GrantSource, Intent, Ledger, MemoryBooks, NewAccount, Outcome,
    decide, trial_balance,
};
use octroi_prepaid::{BasisPoints, Capture, Category, Grant, Scope, capture, draw, usable};
use octroi_types::{
    Amount, Asset, BalanceId, ClaimId, GrantId, Mode, PaywallId, TenantId, UnixMicros,
};

pub(crate) const BALANCE: BalanceId = BalanceId::from_bytes([0xba; 16]);
pub(crate) const HOLD: Duration = Duration::MAX;

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

pub(crate) fn paywall(number: u8) -> PaywallId {
    PaywallId::from_bytes([number; 16])
}

pub(crate) fn ledger() -> Ledger {
    Ledger {
        tenant: TenantId::from_bytes([1; 16]),
        mode: Mode::Test,
        asset: Asset::Usd,
    }
}

/// Work that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    pub(crate) claim: ClaimId,
    pub(crate) paywall: PaywallId,
    pub(crate) draws: Vec<Draw>,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) books: MemoryBooks,
    pub(crate) grants: Vec<Grant>,
    pub(crate) open: Vec<Open>,
    pub(crate) now: UnixMicros,
    pub(crate) overdraft_max: u64,
    pub(crate) fee: BasisPoints,
    pub(crate) made: u32,
    pub(crate) sweeps: u32,
}

impl World {
    /// An id that was not there before.
    fn next(&mut self) -> [u8; 16] {
        self.made += 1;
        let mut id = [7; 16];
        id[8..12].copy_from_slice(&self.made.to_be_bytes());
        id
    }

    /// Posts, twice: a retry changes nothing.
    pub(crate) fn submit(&mut self, intent: &Intent) {
        for expected in [Outcome::Applied, Outcome::Exists] {
            let decision = decide(&self.books, intent, self.now).unwrap();
            self.books.apply(&decision.effects);
            assert_eq!(decision.outcome, expected, "{intent:#?}");
        }
        for totals in trial_balance(self.books.accounts()).values() {
            assert!(totals.is_balanced());
        }
    }

    pub(crate) fn account(&self, account: &NewAccount) -> (u64, u64) {
        self.books
            .account(account.id)
            .unwrap()
            .map_or((0, 0), |account| {
                let posted = |sums: octroi_ledger::Sums| sums.posted.units();
                (posted(account.debits), posted(account.credits))
            })
    }

    pub(crate) fn available(&self, grant: GrantId) -> Amount {
        let account = self.books.account(ledger().grant(grant).id).unwrap();
        account.unwrap().available().unwrap()
    }

    pub(crate) fn owed(&self) -> Amount {
        let account = self.books.account(ledger().overdraft(BALANCE).id).unwrap();
        account.map_or(Amount::ZERO, |account| account.available().unwrap())
    }

    pub(crate) fn grants_with_available(&self) -> Vec<(Grant, Amount)> {
        let with = |grant: &Grant| (grant.clone(), self.available(grant.id));
        self.grants.iter().map(with).collect()
    }

    /// Gives a grant, which first pays back what the balance owes.
    pub(crate) fn issue(&mut self, grant: Grant) -> GrantId {
        let id = GrantId::from_bytes(self.next());
        let grant = Grant {
            id,
            created_at: self.now,
            ..grant
        };
        let source = match grant.category {
            Category::Promotional => GrantSource::Promotion,
            Category::Plan | Category::Refund | Category::Paid => GrantSource::Rail,
        };
        self.submit(&ledger().grant_issue(id, source, grant.amount));
        let repaid = self.owed().min(grant.amount);
        if !repaid.is_zero() {
            self.submit(&ledger().overdraft_repayment(BALANCE, id, repaid));
        }
        self.grants.push(grant);
        id
    }

    /// Sets an amount aside; what is missing if it is not there.
    pub(crate) fn hold(&mut self, paywall: PaywallId, amount: Amount) -> Result<(), Amount> {
        let grants = self.grants_with_available();
        let (draws, missing) = draw(&usable(&grants, paywall, self.now), amount);
        if !missing.is_zero() {
            return Err(missing);
        }
        let claim = ClaimId::from_bytes(self.next());
        self.submit(&ledger().charge_hold(claim, 0, &draws, HOLD));
        self.open.push(Open {
            claim,
            paywall,
            draws,
        });
        Ok(())
    }

    /// The work is done and cost this.
    pub(crate) fn finish(&mut self, open: &Open, cost: Amount) -> ChargeParts {
        let grants = self.grants_with_available();
        let parts = capture(&Capture {
            held: &open.draws,
            cost,
            usable: &usable(&grants, open.paywall, self.now),
            may_owe: amount(self.overdraft_max.saturating_sub(self.owed().units())),
            fee: self.fee,
        });
        self.submit(&ledger().charge_capture(open.claim, 0, BALANCE, &parts));
        parts
    }

    /// The work failed.
    pub(crate) fn give_up(&mut self, open: &Open) {
        self.submit(&Intent::charge_void(open.claim, 0, open.draws.len()));
    }

    /// What is out of time and not on hold becomes breakage.
    pub(crate) fn sweep(&mut self) {
        self.sweeps += 1;
        for (grant, available) in self.grants_with_available() {
            if grant.has_expired(self.now) && !available.is_zero() {
                self.submit(&ledger().grant_expiry(grant.id, self.sweeps, available));
            }
        }
    }
}

/// A grant of this much that is paid for and never expires.
pub(crate) fn paid(units: u64) -> Grant {
    Grant {
        id: GrantId::from_bytes([0; 16]),
        balance: BALANCE,
        category: Category::Paid,
        amount: amount(units),
        cost_basis: amount(units),
        priority: 10,
        effective_at: UnixMicros(0),
        expires_at: None,
        scope: Scope::Everything,
        created_at: UnixMicros(0),
    }
}
