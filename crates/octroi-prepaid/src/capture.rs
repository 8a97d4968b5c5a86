//! What a charge comes to when its work is done.

use octroi_ledger::{ChargeParts, Draw};
use octroi_types::Amount;

use crate::grant::{Usable, draw};
use crate::rate::BasisPoints;

/// Work that was done for a charge.
#[derive(Debug, Clone, Copy)]
pub struct Capture<'c> {
    /// What was set aside for it, in the order in which it was drawn.
    pub held: &'c [Draw],
    /// What it cost, in nano-dollars: as much as was held, less, or more.
    pub cost: Amount,
    /// What the balance has beside the holds, in the order of drawing.
    pub usable: &'c [Usable<'c>],
    /// How much more the balance may owe, in nano-dollars.
    pub may_owe: Amount,
    /// What the operator takes of it.
    pub fee: BasisPoints,
}

/// Splits what the work cost. All of it is recorded, whatever there is to pay it: from the holds first,
/// then from what is left in the balance's grants, then as debt as far as that goes, and the rest as
/// a loss. The operator's part is taken of what the tenant earned, and a loss is not earned.
#[must_use]
pub fn capture(capture: &Capture<'_>) -> ChargeParts {
    let mut rest = capture.cost;
    let mut take = |most: Amount| {
        let taken = rest.min(most);
        rest = rest.checked_sub(taken).unwrap_or(Amount::ZERO);
        taken
    };
    let captured = capture.held.iter().map(|draw| take(draw.amount)).collect();
    let (excess, beyond) = draw(capture.usable, rest);
    let overdraft = beyond.min(capture.may_owe);
    let written_off = beyond.checked_sub(overdraft).unwrap_or(Amount::ZERO);
    let earned = capture.cost.checked_sub(written_off);
    ChargeParts {
        captured,
        excess,
        overdraft,
        written_off,
        fee: capture.fee.of(earned.unwrap_or(Amount::ZERO)),
    }
}
