//! Handing a signed transaction to a node, and reading what it says.

use tracing::{error, warn};

use crate::engine::Engine;
use crate::follow::InFlight;
use crate::rpc::RpcError;
use crate::status::LaneState;

/// What a node said to a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It has it, or may have it, or nothing can be done about it now.
    Done,
    /// It did not get it.
    Lost,
    /// It wants more for it.
    Underpriced,
}

/// Sends the newest attempt of a settlement.
pub(crate) async fn send_newest(engine: &Engine, flight: &InFlight) -> Sent {
    let Some(attempt) = flight.attempts.last() else {
        return Sent::Done;
    };
    let name = engine.name();
    let tx_hash = attempt.tx_hash;
    let Err(error) = engine.rpc.send_raw(attempt.raw_tx.expose()).await else {
        return Sent::Done;
    };
    let RpcError::Refused { message, .. } = &error else {
        warn!(chain = name, %tx_hash, error = %error, "sent without an answer");
        return if error.may_have_been_sent() {
            Sent::Done
        } else {
            Sent::Lost
        };
    };
    match Complaint::of(message) {
        Some(Complaint::Known) => Sent::Done,
        Some(Complaint::Underpriced) => {
            warn!(chain = name, %tx_hash, "the node wants a higher fee");
            Sent::Underpriced
        }
        Some(Complaint::NoFunds) => {
            if engine.lanes.set(flight.wallet, LaneState::OutOfGas) {
                let wallet = flight.wallet;
                error!(chain = name, %wallet, "the settlement wallet cannot pay: fund it");
            }
            Sent::Done
        }
        None => {
            warn!(chain = name, %tx_hash, error = %error, "the node did not take a settlement");
            Sent::Done
        }
    }
}

/// What nodes complain about, in the words of geth, erigon, nethermind, besu, reth and anvil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Complaint {
    /// They have it, or a block with its nonce, already: the receipt or the count tells which.
    Known,
    /// The fee is too low, by itself or to replace another.
    Underpriced,
    /// The wallet cannot pay for it.
    NoFunds,
}

impl Complaint {
    fn of(message: &str) -> Option<Self> {
        const KNOWN: &[&str] = &[
            "already known",
            "already imported",
            "already in",
            "known transaction",
            "nonce too low",
        ];
        const UNDERPRICED: &[&str] = &["underpriced", "less than block base fee", "fee too low"];
        let message = message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if says(KNOWN) {
            Some(Self::Known)
        } else if says(UNDERPRICED) {
            Some(Self::Underpriced)
        } else if says(&["insufficient funds", "insufficient balance"]) {
            Some(Self::NoFunds)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_apart_in_the_words_of_nodes() {
        for (message, complaint) in [
            ("already known", Some(Complaint::Known)),
            ("AlreadyKnown", None),
            (
                "nonce too low: next nonce 5, tx nonce 4",
                Some(Complaint::Known),
            ),
            ("Transaction already imported", Some(Complaint::Known)),
            (
                "replacement transaction underpriced",
                Some(Complaint::Underpriced),
            ),
            (
                "transaction underpriced: tip needed 1, tip permitted 0",
                Some(Complaint::Underpriced),
            ),
            (
                "max fee per gas less than block base fee: address 0x0",
                Some(Complaint::Underpriced),
            ),
            (
                "insufficient funds for gas * price + value",
                Some(Complaint::NoFunds),
            ),
            ("invalid sender", None),
        ] {
            assert_eq!(Complaint::of(message), complaint, "{message}");
        }
    }
}
