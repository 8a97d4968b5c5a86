//! Events: the history of a transaction.

use octroi_types::{EventId, TransactionId, UnixMicros};
use serde::Serialize;

/// What kind of thing happened. The numbers are stored and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The payment was claimed.
    Claimed = 0,
    /// The origin is being called after settlement.
    Executing = 1,
    /// The origin's response head arrived.
    Answered = 2,
    /// A transaction that carries the payment is durable.
    Broadcast = 3,
    /// The payment is on the chain.
    Settled = 4,
    /// Its fate became unknown.
    Unknown = 5,
    /// It can never be settled.
    Failed = 6,
    /// It was given up before it was sent.
    Released = 7,
    /// Its block was replaced.
    Vanished = 8,
    /// The answer was given.
    Delivered = 9,
    /// The work failed or its answer could not be given.
    Broken = 10,
    /// A refund credit was opened.
    Credited = 11,
    /// Another node took the claim over.
    Recovered = 12,
}

impl EventKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Claimed,
        Self::Executing,
        Self::Answered,
        Self::Broadcast,
        Self::Settled,
        Self::Unknown,
        Self::Failed,
        Self::Released,
        Self::Vanished,
        Self::Delivered,
        Self::Broken,
        Self::Credited,
        Self::Recovered,
    ];

    /// The small integer that storage keeps.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Reads what storage keeps.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// Something that happened to a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The transaction.
    pub transaction: TransactionId,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: UnixMicros,
}

impl Event {
    /// The event at a place in the history of its transaction, counted from 0.
    ///
    /// Its id follows from the place, so that every backend, and every retry, makes the same one.
    /// It is a UUIDv7 (RFC 9562): the time of the event, then the place, then what is random in the
    /// transaction's own id.
    #[must_use]
    pub fn new(transaction: TransactionId, ordinal: u32, kind: EventKind, at: UnixMicros) -> Self {
        let unix_ms = u64::try_from(at.0 / 1_000).unwrap_or(0);
        let [_, _, time @ ..] = unix_ms.to_be_bytes();
        let [.., high, low] = ordinal.to_be_bytes();
        let mut bytes = *transaction.as_bytes();
        bytes[..6].copy_from_slice(&time);
        bytes[6] = 0x70 | (high & 0x0f);
        bytes[7] = low;
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self {
            id: EventId::from_bytes(bytes),
            transaction,
            kind,
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(*kind));
        }
        assert_eq!(EventKind::from_code(200), None);
    }

    #[test]
    fn ids_are_ordered_by_time_and_place_and_differ_by_transaction() {
        let (one, other) = (TransactionId::generate(), TransactionId::generate());
        let at = UnixMicros(1_700_000_000_000_000);
        let first = Event::new(one, 0, EventKind::Claimed, at);
        let second = Event::new(one, 1, EventKind::Settled, at);
        let later = Event::new(one, 0, EventKind::Claimed, UnixMicros(at.0 + 1_000));
        assert!(first.id < second.id && second.id < later.id);
        assert_ne!(first.id, Event::new(other, 0, EventKind::Claimed, at).id);
        assert_eq!(first.id.uuid().get_version_num(), 7);
    }
}
