//! Typed ids: a UUIDv7 inside, a type prefix outside (`tx_0192f0c1…`, 32 hex digits).
//!
//! The prefix says what an id names wherever a person meets it; the time-ordered UUID keeps
//! B-trees appending. Ids of things a config file declares are derived from their name instead,
//! so that the same file always yields the same ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Why a text is not an id of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {prefix}_ followed by 32 hex digits")]
pub struct IdError {
    prefix: &'static str,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The type prefix, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID the caller made (UUIDv7 for new rows).
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A fresh time-ordered id. Edges call this; pure code takes ids as arguments.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The same id for the same (`namespace`, `name`), for things declared in a file and
            /// for ids that a retry must reproduce.
            #[must_use]
            pub fn derived(namespace: &Uuid, name: &str) -> Self {
                Self(Uuid::new_v5(namespace, format!("{}:{name}", $prefix).as_bytes()))
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(&self) -> Uuid {
                self.0
            }

            /// The sixteen bytes that storage keeps.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads the sixteen bytes that storage keeps.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = IdError { prefix: $prefix };
                let digits = text
                    .strip_prefix(concat!($prefix, "_"))
                    .filter(|digits| digits.len() == 32)
                    .ok_or_else(|| error.clone())?;
                Uuid::try_parse(digits).map(Self).map_err(|_| error)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

typed_id!(
    /// A seller.
    TenantId, "ten"
);
typed_id!(
    /// An upstream API that a tenant sells.
    ServiceId, "svc"
);
typed_id!(
    /// A priced route.
    PaywallId, "pw"
);
typed_id!(
    /// One payment attempt as a seller sees it.
    TransactionId, "tx"
);
typed_id!(
    /// Something that happened to a transaction.
    EventId, "evt"
);
typed_id!(
    /// A ledger account.
    AccountId, "acc"
);
typed_id!(
    /// A ledger transfer.
    TransferId, "tr"
);
typed_id!(
    /// A refund credit. It names a credit and is not a bearer secret.
    CreditId, "cr"
);
typed_id!(
    /// A prepaid balance, made of grants.
    BalanceId, "bal"
);
typed_id!(
    /// An amount of prepaid money that was given to a balance at once.
    GrantId, "gr"
);
typed_id!(
    /// A key of a buyer. It names a key and is not the secret.
    KeyId, "key"
);
typed_id!(
    /// One HTTP request (`X-Request-ID`).
    RequestId, "req"
);
typed_id!(
    /// The durable right to one delivery for one payment.
    ClaimId, "clm"
);
typed_id!(
    /// One settlement of one or many claims on a chain.
    SettlementId, "set"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_refuses_foreign_prefixes() {
        let id = TransactionId::generate();
        assert_eq!(id.to_string().parse::<TransactionId>().unwrap(), id);
        assert!(id.to_string().parse::<EventId>().is_err());
        assert!("tx_12".parse::<TransactionId>().is_err());
        // Braced and hyphenated UUID spellings are not ours: one id has one text.
        assert!(
            format!("tx_{}", id.uuid())
                .parse::<TransactionId>()
                .is_err()
        );
    }

    #[test]
    fn derived_ids_depend_on_namespace_name_and_type() {
        let a = TenantId::derived(&Uuid::nil(), "a");
        let b = TenantId::derived(&Uuid::nil(), "b");
        assert_eq!(a, TenantId::derived(&Uuid::nil(), "a"));
        assert_ne!(a, b);
        assert_ne!(
            ServiceId::derived(&a.uuid(), "x").uuid(),
            PaywallId::derived(&a.uuid(), "x").uuid()
        );
    }
}
