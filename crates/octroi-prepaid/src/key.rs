//! Keys: who may spend a balance, and how far.

use std::net::IpAddr;

use ipnet::IpNet;
use octroi_types::{Amount, BalanceId, KeyId, Mode, PaywallId, TenantId, UnixMicros};

use crate::secret::KeyHash;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// How much may be spent with one key, beside what its balance has. Nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// In one UTC day.
    pub day: Option<Amount>,
    /// In all.
    pub total: Option<Amount>,
}

/// What was spent with a key, holds included. Nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spending {
    /// In all.
    pub total: Amount,
    /// The UTC day that `in_day` is about, counted from 1970.
    pub day: i64,
    /// In that day.
    pub in_day: Amount,
}

/// A key of a buyer, as it is kept. Several keys may spend one balance: that is how a key is replaced
/// without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Where it can be spent.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// What it spends.
    pub balance: BalanceId,
    /// What its owner calls it.
    pub label: String,
    /// What is kept of its secret.
    pub hash: KeyHash,
    /// What people tell keys apart by.
    pub hint: String,
    /// How much may be spent with it.
    pub caps: Caps,
    /// Where it may be spent; everywhere if empty.
    pub paywalls: Vec<PaywallId>,
    /// From where it may be used; from everywhere if empty.
    pub networks: Vec<IpNet>,
    /// When it was made.
    pub created_at: UnixMicros,
    /// It can be used before this moment.
    pub expires_at: Option<UnixMicros>,
    /// When it was taken back.
    pub revoked_at: Option<UnixMicros>,
    /// What was spent with it.
    pub spent: Spending,
}

impl Key {
    /// Whether it can be used at all now.
    #[must_use]
    pub fn is_active(&self, now: UnixMicros) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it may be spent on this paywall.
    #[must_use]
    pub fn covers(&self, paywall: PaywallId) -> bool {
        self.paywalls.is_empty() || self.paywalls.contains(&paywall)
    }

    /// Whether it may be used from this address. An IPv4 address in an IPv6 coat is the IPv4 address.
    /// A key that is bound to networks is of no use from an unknown address.
    #[must_use]
    pub fn may_be_used_from(&self, client: Option<IpAddr>) -> bool {
        if self.networks.is_empty() {
            return true;
        }
        let client = client.map(|address| address.to_canonical());
        client.is_some_and(|client| self.networks.iter().any(|net| net.contains(&client)))
    }
}

/// The UTC day of a moment, counted from 1970.
const fn day_of(at: UnixMicros) -> i64 {
    at.0.div_euclid(DAY_US)
}

impl Spending {
    /// What it is at the beginning of a charge: a new day begins with nothing. A clock that went back
    /// stays in the later day, so that a cap is never counted twice.
    #[must_use]
    pub fn at(self, now: UnixMicros) -> Self {
        let day = day_of(now);
        if day <= self.day {
            return self;
        }
        Self {
            day,
            in_day: Amount::ZERO,
            ..self
        }
    }

    /// With so much more held. `None` beyond what can be counted.
    #[must_use]
    pub fn with_held(self, amount: Amount) -> Option<Self> {
        Some(Self {
            total: self.total.checked_add(amount)?,
            in_day: self.in_day.checked_add(amount)?,
            ..self
        })
    }

    /// When a charge of day `held_day`, for which `held` was counted, came to `charged`.
    #[must_use]
    pub fn with_settled(self, held_day: i64, held: Amount, charged: Amount) -> Self {
        let settle = |sum: Amount| {
            let without = sum.checked_sub(held).unwrap_or(Amount::ZERO);
            without.checked_add(charged).unwrap_or(Amount::MAX)
        };
        Self {
            total: settle(self.total),
            in_day: if held_day == self.day {
                settle(self.in_day)
            } else {
                self.in_day
            },
            ..self
        }
    }
}

impl Caps {
    /// What a cap leaves to be spent, if there is one: in the day, in all.
    pub(crate) fn left(&self, spent: &Spending) -> (Option<Amount>, Option<Amount>) {
        let left = |cap: Option<Amount>, spent: Amount| {
            cap.map(|cap| cap.checked_sub(spent).unwrap_or(Amount::ZERO))
        };
        (left(self.day, spent.in_day), left(self.total, spent.total))
    }
}
