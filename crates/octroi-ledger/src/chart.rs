//! The chart of accounts: ids that any node derives alike, so that no lookup comes before a write
//! and a retry repeats its ids.

use octroi_types::{AccountId, Address, Asset, BalanceId, ClaimId, GrantId, Mode, TransferId};
use sha2::{Digest, Sha256};

use crate::account::{AccountKind, Ledger, NewAccount};

/// Whose account it is, within a ledger and a kind. The books keep the derived id only: a wallet
/// or a name that must be erased is not in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder<'a> {
    /// The tenant's own.
    Tenant,
    /// A wallet's, on the asset's chain.
    Wallet(Address),
    /// Whoever this name stands for.
    Named(&'a str),
    /// A buyer's, for one grant of prepaid money.
    Grant(GrantId),
    /// A buyer's, for all grants of a balance.
    Balance(BalanceId),
}

impl Ledger {
    /// The account of a kind and a holder, with the limit of its kind.
    #[must_use]
    pub fn account(&self, kind: AccountKind, holder: Holder<'_>) -> NewAccount {
        let id = self.account_id(kind, holder);
        NewAccount {
            id,
            ledger: *self,
            kind,
            limit: kind.limit(),
        }
    }

    fn account_id(&self, kind: AccountKind, holder: Holder<'_>) -> AccountId {
        let mut hasher = Sha256::new();
        hasher.update(b"octroi account v1\0");
        update_ledger(&mut hasher, self);
        hasher.update([kind.code()]);
        // The holder comes last and is tagged, so that no two accounts hash the same bytes.
        match holder {
            Holder::Tenant => hasher.update([0]),
            Holder::Wallet(Address(bytes)) => {
                hasher.update([1]);
                hasher.update(bytes);
            }
            Holder::Named(name) => {
                hasher.update([2]);
                hasher.update(name);
            }
            Holder::Grant(id) => {
                hasher.update([3]);
                hasher.update(id.as_bytes());
            }
            Holder::Balance(id) => {
                hasher.update([4]);
                hasher.update(id.as_bytes());
            }
        }
        AccountId::from_bytes(uuid_bytes(&hasher.finalize().into(), 8))
    }
}

/// The id of the transfer that a claim leads to for one purpose. The same for each retry of the
/// same attempt; a new attempt after a failure takes the next number, because a transfer id that
/// failed stays failed (money rule 28).
///
/// It is a UUIDv7 with the claim's own time, so that the forever table keeps appending (money
/// rule 32), and 74 bits of a hash.
#[must_use]
pub fn derived_transfer_id(claim: ClaimId, purpose: &str, attempt: u32) -> TransferId {
    time_ordered(
        claim.as_bytes(),
        b"octroi claim transfer v1\0",
        purpose,
        attempt,
    )
}

/// The id of the transfer that follows from another, for one purpose. As
/// [`derived_transfer_id`].
pub(crate) fn following_transfer_id(first: TransferId, purpose: &str) -> TransferId {
    time_ordered(
        first.as_bytes(),
        b"octroi following transfer v1\0",
        purpose,
        0,
    )
}

/// The id of a transfer that happens to a grant, for one purpose. As [`derived_transfer_id`].
pub(crate) fn grant_transfer_id(grant: GrantId, purpose: &str, attempt: u32) -> TransferId {
    time_ordered(
        grant.as_bytes(),
        b"octroi grant transfer v1\0",
        purpose,
        attempt,
    )
}

/// The id of one part of what a claim charges to prepaid money. As [`derived_transfer_id`]; a charge
/// has a transfer for each grant that it draws from.
pub(crate) fn charge_transfer_id(
    claim: ClaimId,
    purpose: &str,
    attempt: u32,
    part: usize,
) -> TransferId {
    let mut hasher = Sha256::new();
    hasher.update(b"octroi charge transfer v1\0");
    hasher.update(claim.as_bytes());
    hasher.update(attempt.to_be_bytes());
    hasher.update((part as u64).to_be_bytes());
    hasher.update(purpose);
    with_time_of(claim.as_bytes(), hasher)
}

fn time_ordered(seed: &[u8; 16], domain: &[u8], purpose: &str, attempt: u32) -> TransferId {
    let mut hasher = Sha256::new();
    hasher.update(domain);
    hasher.update(seed);
    hasher.update(attempt.to_be_bytes());
    hasher.update(purpose);
    with_time_of(seed, hasher)
}

/// A UUIDv7 with the time of another.
fn with_time_of(seed: &[u8; 16], hasher: Sha256) -> TransferId {
    let mut bytes = uuid_bytes(&hasher.finalize().into(), 7);
    // RFC 9562: the first 48 bits of a UUIDv7 are its time.
    for (byte, time) in bytes.iter_mut().zip(seed).take(6) {
        *byte = *time;
    }
    TransferId::from_bytes(bytes)
}

/// The first sixteen bytes of a hash as a UUID of a version (RFC 9562, section 4).
fn uuid_bytes(hash: &[u8; 32], version: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}

/// A ledger as canonical bytes. The asset comes last and its tag tells its length.
pub(crate) fn update_ledger(hasher: &mut Sha256, ledger: &Ledger) {
    hasher.update(ledger.tenant.as_bytes());
    hasher.update([match ledger.mode {
        Mode::Test => 0,
        Mode::Live => 1,
    }]);
    match ledger.asset {
        Asset::Usd => hasher.update([0]),
        Asset::Token { chain, address } => {
            hasher.update([1]);
            hasher.update(chain.0.to_be_bytes());
            hasher.update(address.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use octroi_types::{ChainId, TenantId};

    use super::*;

    #[test]
    fn every_part_of_an_account_changes_its_id() {
        let usd = Ledger {
            tenant: TenantId::from_bytes([1; 16]),
            mode: Mode::Live,
            asset: Asset::Usd,
        };
        let token = |chain, byte| Asset::Token {
            chain: ChainId(chain),
            address: Address([byte; 20]),
        };
        let ledgers = [
            usd,
            Ledger {
                tenant: TenantId::from_bytes([2; 16]),
                ..usd
            },
            Ledger {
                mode: Mode::Test,
                ..usd
            },
            Ledger {
                asset: token(1, 1),
                ..usd
            },
            Ledger {
                asset: token(2, 1),
                ..usd
            },
            Ledger {
                asset: token(1, 2),
                ..usd
            },
        ];
        let holders = [
            Holder::Tenant,
            Holder::Wallet(Address([1; 20])),
            Holder::Wallet(Address([2; 20])),
            Holder::Named(""),
            Holder::Named("a"),
            Holder::Grant(GrantId::from_bytes([1; 16])),
            Holder::Grant(GrantId::from_bytes([2; 16])),
            Holder::Balance(BalanceId::from_bytes([1; 16])),
            Holder::Named(
                "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}",
            ),
            Holder::Named(
                "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}",
            ),
        ];
        let mut ids = HashSet::new();
        for ledger in ledgers {
            for kind in AccountKind::ALL {
                for holder in holders {
                    let account = ledger.account(*kind, holder);
                    assert_eq!(account, ledger.account(*kind, holder));
                    assert!(ids.insert(account.id), "{ledger:?} {kind} {holder:?}");
                }
            }
        }
    }

    #[test]
    fn account_ids_never_change() {
        // Stored rows carry this id: a change of the derivation would lose their money.
        let ledger = Ledger {
            tenant: TenantId::from_bytes([7; 16]),
            mode: Mode::Live,
            asset: Asset::Token {
                chain: ChainId(8453),
                address: Address([9; 20]),
            },
        };
        let account = ledger.account(AccountKind::RefundCredit, Holder::Wallet(Address([3; 20])));
        assert_eq!(
            account.id.to_string(),
            "acc_989e89f914e98cc998fa11b8707cc380"
        );
        let id = derived_transfer_id(ClaimId::from_bytes([5; 16]), "settlement", 0);
        assert_eq!(id.to_string(), "tr_05050505050570dda6fa9e70c715f287");
    }

    #[test]
    fn transfer_ids_keep_the_claims_time_and_differ_by_purpose_and_attempt() {
        let claim = ClaimId::generate();
        let id = derived_transfer_id(claim, "a", 0);
        assert_eq!(id, derived_transfer_id(claim, "a", 0));
        assert_eq!(id.as_bytes()[..6], claim.as_bytes()[..6]);
        assert_eq!(id.uuid().get_version_num(), 7);
        let others = [
            derived_transfer_id(claim, "b", 0),
            derived_transfer_id(claim, "a", 1),
            derived_transfer_id(ClaimId::from_bytes([1; 16]), "a", 0),
            following_transfer_id(TransferId::from_bytes(*claim.as_bytes()), "a"),
        ];
        assert!(!others.contains(&id));
    }
}
