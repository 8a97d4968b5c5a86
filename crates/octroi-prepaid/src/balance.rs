//! Balances: what a buyer has at one tenant.

use octroi_types::{Amount, BalanceId, Mode, TenantId, UnixMicros};

/// Prepaid money of one buyer at one tenant, in US dollars. It spends only there (money rule 3), and
/// only in its mode (money rule 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Its id.
    pub id: BalanceId,
    /// Where it can be spent.
    pub tenant: TenantId,
    /// Play or real money.
    pub mode: Mode,
    /// What its owner calls it.
    pub label: String,
    /// How much it may owe for work that cost more than it had, in nano-dollars. What is above that
    /// is written off.
    pub overdraft_max: Amount,
    /// Below this it is low, in nano-dollars; never if nothing.
    pub low_below: Amount,
    /// Whether it was said to be low, and nothing was added since.
    pub is_low: bool,
    /// When it was opened.
    pub created_at: UnixMicros,
}

/// What happened to a balance that its owner wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalanceEvent {
    /// It fell below its line. Said once for each dip.
    Low,
}

impl Balance {
    /// What a change of the balance to `available` makes of it: itself afterwards, and what there is to
    /// be told. The line is armed again when the balance is back at it.
    #[must_use]
    pub fn with_available(&self, available: Amount) -> (Self, Option<BalanceEvent>) {
        let is_low = available < self.low_below;
        let event = (is_low && !self.is_low).then_some(BalanceEvent::Low);
        let balance = Self {
            is_low,
            ..self.clone()
        };
        (balance, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dip_is_told_once() {
        let mut balance = Balance {
            id: BalanceId::from_bytes([1; 16]),
            tenant: TenantId::from_bytes([2; 16]),
            mode: Mode::Test,
            label: String::new(),
            overdraft_max: Amount::ZERO,
            low_below: Amount::new(100).unwrap(),
            is_low: false,
            created_at: UnixMicros(0),
        };
        let mut told = Vec::new();
        for available in [500, 100, 99, 50, 0, 99, 100, 99, 1_000, 10] {
            let event;
            (balance, event) = balance.with_available(Amount::new(available).unwrap());
            told.extend(event.map(|_| available));
        }
        assert_eq!(told, [99, 99, 10]);
        balance.low_below = Amount::ZERO;
        balance.is_low = false;
        assert_eq!(balance.with_available(Amount::ZERO).1, None);
    }
}
