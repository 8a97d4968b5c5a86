//! The unfinished claims, in memory.
//!
//! One process owns the database, so that this is all there is: what a payer owes, which payments
//! are of unknown fate and which nodes have claims are answered without a query. It is rebuilt
//! from the database at any time.

use std::collections::{BTreeSet, HashMap, HashSet};

use octroi_claim::{Binding, Claim, ClaimKey, NewClaim, NodeId, PaymentState};
use octroi_types::{Address, Amount, B256, ChainId, TransactionId};

use crate::claims::StoredClaim;
use crate::transactions::is_unfinished;

/// A payer's balance of one token.
type Wallet = (ChainId, Address, Address);

/// The unfinished claims, under their identities.
#[derive(Default)]
pub(crate) struct OpenClaims {
    claims: HashMap<B256, StoredClaim>,
    /// What each wallet owes: its claims that are claimed or broadcast.
    owed: HashMap<Wallet, u128>,
    /// The claims that were sent and of which no more is known, by payer and request.
    sent: HashMap<(Address, Binding), Vec<B256>>,
    /// The claims of each node, oldest first.
    owned: HashMap<NodeId, BTreeSet<(TransactionId, B256)>>,
}

/// The places in which a claim is counted.
#[derive(PartialEq, Eq)]
struct Places {
    owes: Option<(Wallet, Amount)>,
    sent: Option<(Address, Binding)>,
    owner: NodeId,
    transaction: TransactionId,
}

impl Places {
    fn of(claim: &Claim) -> Self {
        use PaymentState as P;
        let terms = &claim.terms;
        Self {
            owes: matches!(claim.payment, P::Claimed | P::Broadcast)
                .then_some(((terms.chain, terms.asset, terms.payer), terms.amount)),
            sent: matches!(claim.payment, P::Broadcast | P::Unknown)
                .then_some((terms.payer, terms.binding)),
            owner: terms.owner,
            transaction: terms.transaction,
        }
    }
}

impl OpenClaims {
    pub(crate) fn get(&self, identity: B256) -> Option<&StoredClaim> {
        self.claims.get(&identity)
    }

    /// Takes a claim as it is now, or forgets it if it is finished.
    pub(crate) fn put(&mut self, stored: StoredClaim) {
        let identity = stored.claim.terms.identity;
        let before = self
            .claims
            .get(&identity)
            .map(|stored| Places::of(&stored.claim));
        let unfinished = is_unfinished(&stored.claim);
        let after = unfinished.then(|| Places::of(&stored.claim));
        if before != after {
            if let Some(places) = before {
                self.leave(identity, &places);
            }
            if let Some(places) = &after {
                self.enter(identity, places);
            }
        }
        if unfinished {
            self.claims.insert(identity, stored);
        } else {
            self.claims.remove(&identity);
        }
    }

    fn enter(&mut self, identity: B256, places: &Places) {
        if let Some((wallet, amount)) = places.owes {
            *self.owed.entry(wallet).or_default() += u128::from(amount.units());
        }
        if let Some(request) = places.sent {
            self.sent.entry(request).or_default().push(identity);
        }
        self.owned
            .entry(places.owner)
            .or_default()
            .insert((places.transaction, identity));
    }

    /// Nothing is kept for whoever has nothing open.
    fn leave(&mut self, identity: B256, places: &Places) {
        if let Some((wallet, amount)) = places.owes
            && let Some(owed) = self.owed.get_mut(&wallet)
        {
            *owed = owed.saturating_sub(u128::from(amount.units()));
            if *owed == 0 {
                self.owed.remove(&wallet);
            }
        }
        if let Some(request) = places.sent
            && let Some(sent) = self.sent.get_mut(&request)
        {
            sent.retain(|other| *other != identity);
            if sent.is_empty() {
                self.sent.remove(&request);
            }
        }
        if let Some(owned) = self.owned.get_mut(&places.owner) {
            owned.remove(&(places.transaction, identity));
            if owned.is_empty() {
                self.owned.remove(&places.owner);
            }
        }
    }

    /// What the payer of a claim owes of its token.
    pub(crate) fn owed(&self, new: &NewClaim) -> Amount {
        let owed = self
            .owed
            .get(&(new.chain, new.asset, new.payer))
            .copied()
            .unwrap_or(0);
        u64::try_from(owed)
            .ok()
            .and_then(|owed| Amount::new(owed).ok())
            .unwrap_or(Amount::MAX)
    }

    /// The oldest other payment of the payer for the same request whose fate is unknown. What a
    /// dead node broadcast is of unknown fate before anybody has noticed.
    pub(crate) fn unknown_earlier(
        &self,
        new: &NewClaim,
        is_alive: impl Fn(NodeId) -> bool,
    ) -> Option<ClaimKey> {
        self.sent
            .get(&(new.payer, new.binding))?
            .iter()
            .filter(|identity| **identity != new.identity)
            .filter_map(|identity| self.claims.get(identity))
            .map(|stored| &stored.claim)
            .filter(|claim| claim.payment == PaymentState::Unknown || !is_alive(claim.terms.owner))
            .min_by_key(|claim| claim.terms.transaction)
            .map(Claim::key)
    }

    /// The claims of dead nodes, oldest first.
    pub(crate) fn of_dead(
        &self,
        is_alive: impl Fn(NodeId) -> bool,
        limit: usize,
    ) -> Vec<StoredClaim> {
        let dead = self.owned.iter().filter(|(node, _)| !is_alive(**node));
        let mut oldest: Vec<_> = dead
            .flat_map(|(_, owned)| owned.iter().take(limit))
            .collect();
        oldest.sort_unstable();
        oldest
            .into_iter()
            .take(limit)
            .filter_map(|(_, identity)| self.claims.get(identity).cloned())
            .collect()
    }

    /// The days that have an unfinished claim.
    pub(crate) fn days(&self) -> HashSet<u64> {
        self.claims
            .values()
            .map(|stored| stored.claim.key().day())
            .collect()
    }
}
