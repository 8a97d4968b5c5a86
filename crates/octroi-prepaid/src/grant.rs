//! Grants, and the order in which they are drawn from.

use std::cmp::Reverse;

use octroi_ledger::Draw;
use octroi_types::{Amount, BalanceId, GrantId, PaywallId, UnixMicros};

/// How many grants of a balance may be open, so that every charge is one bounded intent. A grant is
/// open until it is used up or has expired.
pub const GRANTS_MAX: usize = 32;

/// What kind of money a grant is. Of grants that are equal otherwise, the first kinds go first: the
/// buyer's own money lasts longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Given away.
    Promotional,
    /// Part of a plan.
    Plan,
    /// Given back for something that was paid.
    Refund,
    /// Paid for.
    Paid,
}

impl Category {
    /// Every category, in the order of its code.
    pub const ALL: &'static [Self] = &[Self::Promotional, Self::Plan, Self::Refund, Self::Paid];

    /// The word for people and interfaces.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promotional => "promotional",
            Self::Plan => "plan",
            Self::Refund => "refund",
            Self::Paid => "paid",
        }
    }

    /// The small integer that storage keeps. Never renumbered.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Promotional => 0,
            Self::Plan => 1,
            Self::Refund => 2,
            Self::Paid => 3,
        }
    }

    /// Reads what storage keeps.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// What a grant may be spent on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Whatever the tenant sells for prepaid money.
    Everything,
    /// These paywalls only.
    Paywalls(Vec<PaywallId>),
}

impl Scope {
    /// Whether it covers a paywall.
    #[must_use]
    pub fn covers(&self, paywall: PaywallId) -> bool {
        match self {
            Self::Everything => true,
            Self::Paywalls(paywalls) => paywalls.contains(&paywall),
        }
    }
}

/// An amount that was given to a balance at once. What never changes of it; what is left of it is in
/// the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Whose it is.
    pub balance: BalanceId,
    /// What kind of money.
    pub category: Category,
    /// What it was given with, in nano-dollars.
    pub amount: Amount,
    /// What was paid for it, in nano-dollars.
    pub cost_basis: Amount,
    /// Lower goes first.
    pub priority: u8,
    /// It can be spent from this moment on.
    pub effective_at: UnixMicros,
    /// It can be spent before this moment.
    pub expires_at: Option<UnixMicros>,
    /// What it may be spent on.
    pub scope: Scope,
    /// When it was given.
    pub created_at: UnixMicros,
}

impl Grant {
    /// Whether it can be spent now, whatever on.
    #[must_use]
    pub fn is_current(&self, now: UnixMicros) -> bool {
        self.effective_at <= now && !self.has_expired(now)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: UnixMicros) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The order of drawing: priority, then what expires first, then what was not paid for, then what
    /// is oldest. No two grants are equal in it.
    #[must_use]
    pub fn order(&self) -> impl Ord + use<> {
        (
            self.priority,
            // What never expires comes last.
            Reverse(self.expires_at.map(Reverse)),
            self.category,
            self.created_at,
            self.id,
        )
    }
}

/// A grant with what the books say is left of it and not on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usable<'g> {
    /// The grant.
    pub grant: &'g Grant,
    /// What is left.
    pub available: Amount,
}

/// Those of a balance's grants that may be spent on a paywall now, in the order of drawing.
#[must_use]
pub fn usable<'g>(
    grants: &'g [(Grant, Amount)],
    paywall: PaywallId,
    now: UnixMicros,
) -> Vec<Usable<'g>> {
    let mut usable: Vec<_> = grants
        .iter()
        .filter(|(grant, available)| {
            !available.is_zero() && grant.is_current(now) && grant.scope.covers(paywall)
        })
        .map(|(grant, available)| Usable {
            grant,
            available: *available,
        })
        .collect();
    usable.sort_by_key(|usable| usable.grant.order());
    usable
}

/// Draws an amount from usable grants, and says what is missing if they do not have it.
#[must_use]
pub fn draw(usable: &[Usable<'_>], amount: Amount) -> (Vec<Draw>, Amount) {
    let (mut draws, mut missing) = (Vec::new(), amount);
    for Usable { grant, available } in usable {
        let taken = missing.min(*available);
        if !taken.is_zero() {
            draws.push(Draw {
                grant: grant.id,
                amount: taken,
            });
        }
        missing = missing.checked_sub(taken).unwrap_or(Amount::ZERO);
    }
    (draws, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(id: u8) -> Grant {
        Grant {
            id: GrantId::from_bytes([id; 16]),
            balance: BalanceId::from_bytes([9; 16]),
            category: Category::Paid,
            amount: Amount::MAX,
            cost_basis: Amount::ZERO,
            priority: 10,
            effective_at: UnixMicros(0),
            expires_at: None,
            scope: Scope::Everything,
            created_at: UnixMicros(0),
        }
    }

    fn amount(units: u64) -> Amount {
        Amount::new(units).unwrap()
    }

    #[test]
    fn grants_are_drawn_from_in_one_order() {
        let expected = [
            Grant {
                priority: 1,
                ..grant(9)
            },
            Grant {
                expires_at: Some(UnixMicros(50)),
                ..grant(8)
            },
            Grant {
                expires_at: Some(UnixMicros(60)),
                category: Category::Promotional,
                ..grant(7)
            },
            Grant {
                expires_at: Some(UnixMicros(60)),
                ..grant(6)
            },
            Grant {
                category: Category::Promotional,
                created_at: UnixMicros(5),
                ..grant(5)
            },
            Grant {
                category: Category::Plan,
                ..grant(4)
            },
            Grant {
                category: Category::Refund,
                ..grant(3)
            },
            grant(1),
            grant(2),
            Grant {
                created_at: UnixMicros(1),
                ..grant(0)
            },
        ];
        let mut grants: Vec<_> = expected.iter().cloned().map(|g| (g, amount(10))).collect();
        grants.reverse();
        let usable = usable(&grants, PaywallId::from_bytes([1; 16]), UnixMicros(10));
        let order: Vec<_> = usable.iter().map(|usable| usable.grant.clone()).collect();
        assert_eq!(order, expected);

        let (draws, missing) = draw(&usable, amount(25));
        let drawn: Vec<_> = draws.iter().map(|d| (d.grant, d.amount.units())).collect();
        let id = |place: usize| expected[place].id;
        assert_eq!(drawn, [(id(0), 10), (id(1), 10), (id(2), 5)]);
        assert!(missing.is_zero());
        let (draws, missing) = draw(&usable, amount(101));
        assert_eq!((draws.len(), missing), (10, amount(1)));
    }

    #[test]
    fn what_is_empty_out_of_time_or_for_something_else_is_not_usable() {
        let here = PaywallId::from_bytes([1; 16]);
        let only = |paywall| Grant {
            scope: Scope::Paywalls(vec![paywall]),
            ..grant(1)
        };
        let now = UnixMicros(100);
        let is_usable = |grant: Grant, available: u64| {
            !usable(&[(grant, amount(available))], here, now).is_empty()
        };
        assert!(is_usable(grant(1), 1));
        assert!(!is_usable(grant(1), 0));
        assert!(is_usable(only(here), 1));
        assert!(!is_usable(only(PaywallId::from_bytes([2; 16])), 1));
        let from = |at| Grant {
            effective_at: UnixMicros(at),
            ..grant(1)
        };
        assert!(is_usable(from(100), 1) && !is_usable(from(101), 1));
        let until = |at| Grant {
            expires_at: Some(UnixMicros(at)),
            ..grant(1)
        };
        assert!(is_usable(until(101), 1) && !is_usable(until(100), 1));
    }
}
