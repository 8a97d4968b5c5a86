//! The intents of the product: what a payment, a refund credit and a reversal do to the books.
//!
//! Each takes the claim or the grant it belongs to and derives its transfer ids from it, so that a
//! retry, on any node, is the same intent. Each names the accounts it needs.
//!
//! ```text
//! event                    debit             credit
//! payment settled          rail clearing     tenant revenue
//! settlement vanished      settlement loss   rail clearing
//! credit issued            tenant revenue    refund credit (payer)
//! credit redeemed          refund credit     tenant revenue         hold, then capture or void
//! credit revoked           refund credit     tenant revenue
//! grant paid for           rail clearing     prepaid grant
//! grant bought with token  tenant revenue    conversion             in the token's ledger
//!                          conversion        prepaid grant          in dollars, linked
//! grant given away         promotion         prepaid grant
//! work charged             prepaid grant     tenant revenue         hold, then capture or void
//! work above the hold      prepaid grant     tenant revenue         what is left in other grants
//!                          overdraft         tenant revenue         as far as the balance may owe
//!                          write-off         tenant revenue         the rest
//! platform fee             tenant revenue    fees                   linked to what it is taken of
//! overdraft paid back      prepaid grant     overdraft              linked to the new grant
//! grant expired            prepaid grant     breakage
//! ```

mod credit;
mod prepaid;

use octroi_types::{Amount, ClaimId, TransferId};

use crate::account::{AccountKind, Ledger, NewAccount};
use crate::chart::{Holder, following_transfer_id};
use crate::intent::{Action, Intent, NewTransfer};
use crate::transfer::{Cause, Reason, Subject};

pub use credit::credit_hold_id;
pub use prepaid::{ChargeParts, Draw, GrantSource, charge_hold_id};

const HOLD_EXPIRY: &str = "hold expiry";

impl Ledger {
    pub(crate) fn revenue(&self) -> NewAccount {
        self.own(AccountKind::TenantRevenue)
    }

    pub(crate) fn own(&self, kind: AccountKind) -> NewAccount {
        self.account(kind, Holder::Tenant)
    }
}

impl Intent {
    /// A hold's time has come. Whoever sweeps derives the same transfer, so that many sweepers
    /// expire it once.
    #[must_use]
    pub fn hold_expiry(hold: TransferId) -> Self {
        Self::of_one(NewTransfer {
            id: following_transfer_id(hold, HOLD_EXPIRY),
            action: Action::Expire { hold },
            cause: Cause {
                reason: Reason::HoldExpiry,
                subject: Subject::Transfer(hold),
            },
        })
    }

    fn of_one(transfer: NewTransfer) -> Self {
        Self {
            accounts: Vec::new(),
            transfers: vec![transfer],
        }
    }
}

fn post(id: TransferId, sides: (NewAccount, NewAccount), amount: Amount, cause: Cause) -> Intent {
    let (debit, credit) = sides;
    let action = Action::Post {
        debit: debit.id,
        credit: credit.id,
        amount,
    };
    Intent {
        accounts: vec![debit, credit],
        transfers: vec![NewTransfer { id, action, cause }],
    }
}

fn claim_cause(reason: Reason, claim: ClaimId) -> Cause {
    Cause {
        reason,
        subject: Subject::Claim(claim),
    }
}
