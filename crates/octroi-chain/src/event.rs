//! What happens to settlements, told as it happens to whoever counts it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettlementEvent {
    /// A transaction of a wallet of ours that settles payments is durable, and sent next.
    Opened {
        /// How many payments it settles.
        payments: usize,
    },
    /// The settlement of one payment that was sent ended.
    Ended {
        /// How.
        end: SettlementEnd,
        /// How long after it was to be sent first.
        elapsed: Duration,
    },
}

/// How the settlement of a payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettlementEnd {
    /// The payee has the money.
    Settled,
    /// It can never happen.
    Failed,
    /// What was sent moved nothing, or nobody tells. The chain is asked on, and when it tells the
    /// settlement ends again.
    Unknown,
}

/// Whoever wants to know. Called on the engine's tasks, so it must be quick. By default nobody.
#[derive(Clone, Default)]
pub struct SettlementHook(Option<Arc<dyn Fn(SettlementEvent) + Send + Sync>>);

impl SettlementHook {
    /// Calls this for every event.
    #[must_use]
    pub fn new(hook: impl Fn(SettlementEvent) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn tell(&self, event: SettlementEvent) {
        if let Some(hook) = &self.0 {
            hook(event);
        }
    }
}

impl fmt::Debug for SettlementHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettlementHook")
    }
}
