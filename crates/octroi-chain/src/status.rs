//! How a chain and its settlers are doing, for `/readyz`, metrics and operators.

use octroi_types::{Address, UnixSeconds};
use parking_lot::Mutex;

/// What a settlement wallet is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LaneState {
    /// Finishing what an earlier process left open.
    Resuming,
    /// Waiting for payments.
    Idle,
    /// A settlement is under way.
    Busy,
    /// The node does not answer.
    NodeDown,
    /// Gas costs more than the configured cap.
    GasTooDear,
    /// The wallet cannot pay for gas: fund it.
    OutOfGas,
}

impl LaneState {
    /// Whether payments can be given to it.
    #[must_use]
    pub const fn is_able(self) -> bool {
        matches!(self, Self::Resuming | Self::Idle | Self::Busy)
    }

    /// The state as a label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resuming => "resuming",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::NodeDown => "node_down",
            Self::GasTooDear => "gas_too_dear",
            Self::OutOfGas => "out_of_gas",
        }
    }
}

/// One settlement wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneStatus {
    /// Its address.
    pub wallet: Address,
    /// What it is doing.
    pub state: LaneState,
    /// Its native balance when it was last asked, in wei.
    pub balance_wei: Option<u128>,
    /// The nonce that its next transaction will have, once it was counted.
    pub next_nonce: Option<u64>,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainStatus {
    /// Whether payments can be taken.
    pub ready: bool,
    /// The newest block; none while the node does not answer.
    pub head: Option<(u64, UnixSeconds)>,
    /// Transfers that wait for a wallet.
    pub waiting: usize,
    /// Settlements that were seen in a block that is not final.
    pub unfinal: usize,
    /// The wallets; empty if somebody else settles.
    pub lanes: Vec<LaneStatus>,
}

/// The lanes of a chain. None at all means that somebody else settles, who is taken to be able.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: Mutex<Vec<LaneStatus>>,
}

impl Lanes {
    pub(crate) fn new(wallets: impl Iterator<Item = Address>) -> Self {
        let lane = |wallet| LaneStatus {
            wallet,
            state: LaneState::Resuming,
            balance_wei: None,
            next_nonce: None,
        };
        Self {
            lanes: Mutex::new(wallets.map(lane).collect()),
        }
    }

    pub(crate) fn list(&self) -> Vec<LaneStatus> {
        self.lanes.lock().clone()
    }

    pub(crate) fn is_any_able(&self) -> bool {
        let lanes = self.lanes.lock();
        lanes.is_empty() || lanes.iter().any(|lane| lane.state.is_able())
    }

    /// Records what a lane is doing. Says whether that is news.
    pub(crate) fn set(&self, wallet: Address, state: LaneState) -> bool {
        let mut lanes = self.lanes.lock();
        let lane = lanes.iter_mut().find(|lane| lane.wallet == wallet);
        lane.is_some_and(|lane| std::mem::replace(&mut lane.state, state) != state)
    }

    pub(crate) fn set_balance(&self, wallet: Address, balance_wei: u128) {
        self.change(wallet, |lane| lane.balance_wei = Some(balance_wei));
    }

    pub(crate) fn set_next_nonce(&self, wallet: Address, nonce: u64) {
        self.change(wallet, |lane| lane.next_nonce = Some(nonce));
    }

    fn change(&self, wallet: Address, change: impl FnOnce(&mut LaneStatus)) {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.iter_mut().find(|lane| lane.wallet == wallet) {
            change(lane);
        }
    }
}
