//! What prepaid money does to the books. A balance is made of grants, and each grant is an account of
//! its own, so that what is left of it, what is on hold, and where it went are questions to the
//! books. Which grants a charge draws from is decided elsewhere; here it becomes transfers.

use std::time::Duration;

use octroi_types::{Amount, BalanceId, ClaimId, GrantId, TransferId};

use super::{claim_cause, post};
use crate::account::{AccountKind, Ledger, NewAccount};
use crate::chart::{Holder, charge_transfer_id, grant_transfer_id};
use crate::intent::{Action, Intent, NewTransfer};
use crate::transfer::{Cause, Reason, Subject};

const GRANT_ISSUE: &str = "grant issue";
const GRANT_EXPIRY: &str = "grant expiry";
const OVERDRAFT_REPAYMENT: &str = "overdraft repayment";
const TOKEN_CONVERSION: &str = "token conversion";
const HOLD: &str = "hold";
const RESOLUTION: &str = "resolution";
const EXCESS: &str = "excess";
const OVERDRAFT: &str = "overdraft";
const WRITE_OFF: &str = "write-off";
const FEE: &str = "fee";

/// What a charge takes from one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Draw {
    /// The grant.
    pub grant: GrantId,
    /// How much, more than nothing.
    pub amount: Amount,
}

/// Where a grant's money comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrantSource {
    /// It was paid for, and the money is on a rail in dollars.
    Rail,
    /// Nobody paid for it.
    Promotion,
}

/// What a charge comes to when its work is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChargeParts {
    /// What is taken of each hold, in the order in which they were made. Nothing gives it back.
    pub captured: Vec<Amount>,
    /// What is taken of other money of the balance, above the holds.
    pub excess: Vec<Draw>,
    /// What the balance owes from now on.
    pub overdraft: Amount,
    /// What nobody pays.
    pub written_off: Amount,
    /// The operator's part of what the tenant earned.
    pub fee: Amount,
}

impl Ledger {
    /// The account of a grant in this ledger; its [`crate::Account::available`] is what is left.
    #[must_use]
    pub fn grant(&self, grant: GrantId) -> NewAccount {
        self.account(AccountKind::PrepaidGrant, Holder::Grant(grant))
    }

    /// What a balance owes in this ledger: its [`crate::Account::available`].
    #[must_use]
    pub fn overdraft(&self, balance: BalanceId) -> NewAccount {
        self.account(AccountKind::Overdraft, Holder::Balance(balance))
    }

    /// A grant is given to a balance.
    #[must_use]
    pub fn grant_issue(&self, grant: GrantId, source: GrantSource, amount: Amount) -> Intent {
        let from = self.own(match source {
            GrantSource::Rail => AccountKind::RailClearing,
            GrantSource::Promotion => AccountKind::Promotion,
        });
        let id = grant_transfer_id(grant, GRANT_ISSUE, 0);
        let sides = (from, self.grant(grant));
        post(id, sides, amount, grant_cause(Reason::GrantIssue, grant))
    }

    /// A grant is bought with a token: what a claim of the token's ledger earned becomes what is owed
    /// here. `paid` counts the token's units and `amount` this ledger's; that they are worth the
    /// same is for the caller to see to.
    #[must_use]
    pub fn grant_purchase(
        &self,
        token: &Self,
        grant: GrantId,
        paid: Amount,
        amount: Amount,
    ) -> Intent {
        let cause = grant_cause(Reason::GrantIssue, grant);
        let sides = (token.revenue(), token.own(AccountKind::Conversion));
        let id = grant_transfer_id(grant, TOKEN_CONVERSION, 0);
        let mut intent = post(id, sides, paid, cause);
        let sides = (self.own(AccountKind::Conversion), self.grant(grant));
        let id = grant_transfer_id(grant, GRANT_ISSUE, 0);
        intent.link(post(id, sides, amount, cause));
        intent
    }

    /// What a balance owes is paid back from a grant that was just given to it.
    #[must_use]
    pub fn overdraft_repayment(
        &self,
        balance: BalanceId,
        grant: GrantId,
        amount: Amount,
    ) -> Intent {
        let id = grant_transfer_id(grant, OVERDRAFT_REPAYMENT, 0);
        let sides = (self.grant(grant), self.overdraft(balance));
        let cause = grant_cause(Reason::OverdraftRepayment, grant);
        post(id, sides, amount, cause)
    }

    /// What is left of a grant runs out of time. A grant can expire more than once, because holds that
    /// were made in time may be given back after it; `attempt` counts.
    #[must_use]
    pub fn grant_expiry(&self, grant: GrantId, attempt: u32, amount: Amount) -> Intent {
        let id = grant_transfer_id(grant, GRANT_EXPIRY, attempt);
        let sides = (self.grant(grant), self.own(AccountKind::Breakage));
        post(id, sides, amount, grant_cause(Reason::GrantExpiry, grant))
    }

    /// Sets prepaid money aside for the work of a claim: a hold on each grant, which pins it. `attempt`
    /// tells tries of one claim apart: its epoch.
    #[must_use]
    pub fn charge_hold(
        &self,
        claim: ClaimId,
        attempt: u32,
        draws: &[Draw],
        timeout: Duration,
    ) -> Intent {
        let revenue = self.revenue();
        let mut intent = Intent {
            accounts: vec![revenue],
            transfers: Vec::with_capacity(draws.len()),
        };
        for (part, draw) in draws.iter().enumerate() {
            let grant = self.grant(draw.grant);
            intent.accounts.push(grant);
            intent.transfers.push(NewTransfer {
                id: charge_hold_id(claim, attempt, part),
                action: Action::Hold {
                    debit: grant.id,
                    credit: revenue.id,
                    amount: draw.amount,
                    timeout,
                },
                cause: claim_cause(Reason::Charge, claim),
            });
        }
        intent
    }

    /// The work is done, and costs this. Everything happens together: what the holds cover, what is
    /// above them, and the operator's fee on the whole.
    #[must_use]
    pub fn charge_capture(
        &self,
        claim: ClaimId,
        attempt: u32,
        balance: BalanceId,
        parts: &ChargeParts,
    ) -> Intent {
        let mut intent = Intent::default();
        for (part, amount) in parts.captured.iter().enumerate() {
            intent
                .transfers
                .push(resolution(claim, attempt, part, *amount));
        }
        let revenue = self.revenue();
        let charge = claim_cause(Reason::Charge, claim);
        for (part, draw) in parts.excess.iter().enumerate() {
            let id = charge_transfer_id(claim, EXCESS, attempt, part);
            let sides = (self.grant(draw.grant), revenue);
            intent.link(post(id, sides, draw.amount, charge));
        }
        let owed = (self.overdraft(balance), revenue);
        let lost = (self.own(AccountKind::WriteOff), revenue);
        let fee = (revenue, self.own(AccountKind::Fees));
        let fee_cause = claim_cause(Reason::PlatformFee, claim);
        for (purpose, sides, amount, cause) in [
            (OVERDRAFT, owed, parts.overdraft, charge),
            (WRITE_OFF, lost, parts.written_off, charge),
            (FEE, fee, parts.fee, fee_cause),
        ] {
            if !amount.is_zero() {
                let id = charge_transfer_id(claim, purpose, attempt, 0);
                intent.link(post(id, sides, amount, cause));
            }
        }
        intent
    }
}

impl Intent {
    /// The work for which prepaid money was held in so many parts failed.
    #[must_use]
    pub fn charge_void(claim: ClaimId, attempt: u32, holds: usize) -> Self {
        let void = |part| resolution(claim, attempt, part, Amount::ZERO);
        Self {
            accounts: Vec::new(),
            transfers: (0..holds).map(void).collect(),
        }
    }

    /// What is in another intent happens with this one.
    fn link(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.transfers.extend(other.transfers);
    }
}

/// The hold that [`Ledger::charge_hold`] makes on the grant at this place of its draws.
#[must_use]
pub fn charge_hold_id(claim: ClaimId, attempt: u32, part: usize) -> TransferId {
    charge_transfer_id(claim, HOLD, attempt, part)
}

/// Ends a hold, which can be ended once: whether by a capture or a void, it has one id.
fn resolution(claim: ClaimId, attempt: u32, part: usize, amount: Amount) -> NewTransfer {
    let hold = charge_hold_id(claim, attempt, part);
    let action = if amount.is_zero() {
        Action::Void { hold }
    } else {
        Action::Capture { hold, amount }
    };
    NewTransfer {
        id: charge_transfer_id(claim, RESOLUTION, attempt, part),
        action,
        cause: claim_cause(Reason::Charge, claim),
    }
}

fn grant_cause(reason: Reason, grant: GrantId) -> Cause {
    Cause {
        reason,
        subject: Subject::Grant(grant),
    }
}
