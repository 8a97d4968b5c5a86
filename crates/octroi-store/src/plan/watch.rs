//! Which claims are watched on their own until their block is final (money rule 18).

use octroi_types::B256;

use crate::settlement::{Fact, Inclusion};

/// How a fact changes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The claim is watched, for it was seen here.
    Begin(Inclusion),
    /// There is nothing to watch any more.
    End,
}

/// What a fact that was applied says about watching its claim; `None` if nothing. `settlement` is the
/// transaction of the settlement that it came with, which is watched itself.
#[must_use]
pub fn watch(fact: &Fact, settlement: Option<B256>) -> Option<Watch> {
    match fact {
        Fact::Settled { inclusion, .. } if settlement == Some(inclusion.tx_hash) => None,
        Fact::Settled { inclusion, .. } => Some(Watch::Begin(*inclusion)),
        Fact::Vanished => Some(Watch::End),
        Fact::Unknown | Fact::Failed => None,
    }
}
