//! What paywalls ask, kept so that a price outlives its change for as long as clients were promised
//! (money rule 11).

use std::collections::BTreeMap;

use async_trait::async_trait;
use octroi_types::{Address, Amount, ChainId, Mode, PaywallId, TenantId, UnixSeconds};

use crate::error::StoreError;

/// One way to pay at a paywall, as the 402 offers it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferedTerms {
    /// The paywall.
    pub paywall: PaywallId,
    /// Play or real money.
    pub mode: Mode,
    /// The chain that is paid on.
    pub chain: ChainId,
    /// The token contract.
    pub asset: Address,
    /// Who is paid.
    pub pay_to: Address,
    /// The price, in the token's smallest unit.
    pub amount: Amount,
    /// How long a client may take, in seconds.
    pub max_timeout_seconds: u32,
}

/// Terms that are offered no more, and still honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierTerms {
    /// The terms.
    pub terms: OfferedTerms,
    /// A payment that arrives before this is taken: who got the last offer has had its time.
    pub honoured_until: UnixSeconds,
}

/// The terms of one tenant, each with the time until which it is honoured; none for those in force.
pub type Offers = BTreeMap<OfferedTerms, Option<UnixSeconds>>;

/// Puts `in_force` in place of what a tenant offered. What is offered no more is honoured for its own
/// time-out from now, because its last offer may have been made just now; what comes back is in force
/// again; what nobody can ask for any more is forgotten.
#[must_use]
pub fn publish(before: &Offers, in_force: Vec<OfferedTerms>, now: UnixSeconds) -> Offers {
    let mut offers = Offers::new();
    for (terms, honoured_until) in before {
        // A clock that was ahead at an earlier start is not believed.
        let latest = now.plus(terms.max_timeout_seconds.into());
        let until = honoured_until.map_or(latest, |until| until.min(latest));
        if until > now {
            offers.insert(terms.clone(), Some(until));
        }
    }
    offers.extend(in_force.into_iter().map(|terms| (terms, None)));
    offers
}

/// Those of a tenant's terms that are offered no more.
#[must_use]
pub fn earlier(offers: &Offers) -> Vec<EarlierTerms> {
    let retired = offers.iter().filter_map(|(terms, until)| {
        Some(EarlierTerms {
            terms: terms.clone(),
            honoured_until: (*until)?,
        })
    });
    retired.collect()
}

/// What is offered.
#[async_trait]
pub trait OfferStore: Send + Sync {
    /// Puts everything that a tenant offers from now on in place of what it offered before, and
    /// gives what it has to honour beside that, in the order of the terms. To be called before the
    /// first of these offers is made.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed.
    async fn offers_publish(
        &self,
        tenant: TenantId,
        in_force: Vec<OfferedTerms>,
        now: UnixSeconds,
    ) -> Result<Vec<EarlierTerms>, StoreError>;
}
