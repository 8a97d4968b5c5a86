//! Places where something waits for the test.

use std::sync::Arc;

use tokio::sync::watch;

use crate::patience::within;

/// Whoever comes here waits until the test releases it; then everybody passes.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    arrived: usize,
    released: bool,
}

impl Hold {
    /// A closed place.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits here.
    pub async fn pass(&self) {
        self.state.send_modify(|state| state.arrived += 1);
        let mut watch = self.state.subscribe();
        // The sender lives as long as this does.
        let _released = watch.wait_for(|state| state.released).await;
    }

    /// Until somebody has come here.
    pub async fn reached(&self) {
        self.reached_by(1).await;
    }

    /// Until so many have come here.
    pub async fn reached_by(&self, count: usize) {
        let mut watch = self.state.subscribe();
        let arrived = watch.wait_for(|state| state.arrived >= count);
        drop(within("somebody comes to a hold", arrived).await);
    }

    /// Lets everybody go on.
    pub fn release(&self) {
        self.state.send_modify(|state| state.released = true);
    }
}
