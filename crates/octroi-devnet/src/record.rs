//! What the store keeps in order: everything that changed the chain.

use alloy_primitives::Bytes;
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

use crate::block::Block;
use crate::state::StateChange;

/// One change of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// A block was made.
    Block(Box<Block>),
    /// The state was changed by hand.
    Edit(StateChange),
    /// Blocks were taken back.
    Rollback(Rollback),
    /// The network's time was moved against the clock.
    ClockOffset(i64),
}

const BLOCK: u8 = 1;
const EDIT: u8 = 2;
const ROLLBACK: u8 = 3;
const CLOCK_OFFSET: u8 = 4;

/// The blocks above `number` were taken back, and what was changed by hand after that block
/// beyond the first `edits` changes.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct Rollback {
    pub(crate) number: u64,
    pub(crate) edits: usize,
    /// How often this has happened, this time included.
    pub(crate) forks: u64,
    /// What that did to the state. The blocks could tell, but may be forgotten by the time the
    /// journal is read again.
    pub(crate) change: StateChange,
}

impl Record {
    /// Appends the record: a byte for its kind, then RLP.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Block(block) => {
                out.push(BLOCK);
                block.encode(out);
            }
            Self::Edit(change) => {
                out.push(EDIT);
                change.encode(out);
            }
            Self::Rollback(rollback) => {
                out.push(ROLLBACK);
                rollback.encode(out);
            }
            Self::ClockOffset(seconds) => {
                out.push(CLOCK_OFFSET);
                out.extend_from_slice(&seconds.to_be_bytes());
            }
        }
    }

    /// Reads a record, or `None` if it is none of ours.
    pub(crate) fn decode(payload: &Bytes) -> Option<Self> {
        let (kind, mut rest) = payload.split_first()?;
        let rest = &mut rest;
        let record = match *kind {
            BLOCK => Self::Block(Box::new(Block::decode(rest).ok()?)),
            EDIT => Self::Edit(StateChange::decode(rest).ok()?),
            ROLLBACK => Self::Rollback(Rollback::decode(rest).ok()?),
            CLOCK_OFFSET => {
                let (seconds, end) = rest.split_first_chunk()?;
                *rest = end;
                Self::ClockOffset(i64::from_be_bytes(*seconds))
            }
            _ => return None,
        };
        rest.is_empty().then_some(record)
    }
}
