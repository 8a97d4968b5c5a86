//! What becomes of a request that shows a key.

use std::net::IpAddr;

use octroi_ledger::Draw;
use octroi_types::{Amount, Mode, PaywallId, TenantId, UnixMicros};

use crate::grant::{Grant, draw, usable};
use crate::key::{Key, Spending};

/// What is to be bought, from where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The seller.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// What is sold.
    pub paywall: PaywallId,
    /// What it may cost at most, in nano-dollars.
    pub amount: Amount,
    /// Who asks; none if that is not known.
    pub client: Option<IpAddr>,
    /// When.
    pub now: UnixMicros,
}

/// Money to be set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// From which grants; together they are what was asked for.
    pub draws: Vec<Draw>,
    /// What was spent with the key afterwards.
    pub spent: Spending,
    /// The UTC day in which that is counted.
    pub day: i64,
}

/// Why a key buys nothing. Amounts are nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeRefusal {
    /// It belongs to another seller, or to the other mode.
    OtherSeller,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
    /// It may not be spent on this.
    PaywallNotAllowed,
    /// It may not be used from there.
    ClientNotAllowed,
    /// Its balance owes for earlier work, and is blocked until that is paid.
    Owing {
        /// How much.
        owed: Amount,
    },
    /// It would spend more than it may in one day.
    DayCap {
        /// What may still be spent today.
        left: Amount,
    },
    /// It would spend more than it may at all.
    TotalCap {
        /// What may still be spent.
        left: Amount,
    },
    /// Its balance does not have the price.
    Short {
        /// What is missing.
        missing: Amount,
    },
}

/// Decides on a request that shows a key. `grants` are those of the key's balance, with what is
/// available of each; `owed` is what the balance owes.
///
/// # Errors
/// [`ChargeRefusal`]; nothing changes.
pub fn decide_charge(
    key: &Key,
    owed: Amount,
    grants: &[(Grant, Amount)],
    ask: &Ask,
) -> Result<Charge, ChargeRefusal> {
    if (key.tenant, key.mode) != (ask.tenant, ask.mode) {
        return Err(ChargeRefusal::OtherSeller);
    }
    if key.revoked_at.is_some() {
        return Err(ChargeRefusal::Revoked);
    }
    if !key.is_active(ask.now) {
        return Err(ChargeRefusal::Expired);
    }
    if !key.covers(ask.paywall) {
        return Err(ChargeRefusal::PaywallNotAllowed);
    }
    if !key.may_be_used_from(ask.client) {
        return Err(ChargeRefusal::ClientNotAllowed);
    }
    if !owed.is_zero() {
        return Err(ChargeRefusal::Owing { owed });
    }
    let spent = key.spent.at(ask.now);
    let (day_left, total_left) = key.caps.left(&spent);
    if let Some(left) = total_left.filter(|left| *left < ask.amount) {
        return Err(ChargeRefusal::TotalCap { left });
    }
    if let Some(left) = day_left.filter(|left| *left < ask.amount) {
        return Err(ChargeRefusal::DayCap { left });
    }
    let (draws, missing) = draw(&usable(grants, ask.paywall, ask.now), ask.amount);
    if !missing.is_zero() {
        return Err(ChargeRefusal::Short { missing });
    }
    // What was spent fits, because a balance never had more than an amount can say.
    let spent = spent
        .with_held(ask.amount)
        .ok_or(ChargeRefusal::TotalCap { left: Amount::ZERO })?;
    Ok(Charge {
        draws,
        day: spent.day,
        spent,
    })
}
