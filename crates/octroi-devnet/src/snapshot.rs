//! The whole state in one file, so that reopening need not start at the first block.

use std::io::{self, Write};

use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

use crate::chain::Chain;
use crate::frame::{Frame, Frames, write_frame};
use crate::state::AccountBasics;

/// The layout of the directory's files. Another number is another program.
const FORMAT: u64 = 1;
/// Slots in one frame, so that writing needs little memory whatever the state's size.
const SLOTS_PER_FRAME: usize = 4096;

const HEAD: u8 = 1;
const CODE: u8 = 2;
const ACCOUNT: u8 = 3;
const END: u8 = 4;

#[derive(Debug, RlpEncodable, RlpDecodable)]
struct Head {
    format: u64,
    chain_id: u64,
    sequence: u64,
    forks: u64,
    /// The bits of a signed number.
    clock_offset: u64,
    genesis: Header,
}

#[derive(Debug, RlpEncodable, RlpDecodable)]
struct Slot {
    slot: U256,
    value: U256,
}

/// An account and some of its storage; the rest follows under the same address.
#[derive(Debug, RlpEncodable, RlpDecodable)]
struct AccountPart {
    address: Address,
    basics: AccountBasics,
    slots: Vec<Slot>,
}

/// A snapshot that was read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The state, and of the blocks only the first.
    pub(crate) chain: Chain,
    pub(crate) chain_id: u64,
    /// The number of the last record that it contains.
    pub(crate) sequence: u64,
}

/// Writes the chain as it is after record number `sequence`.
pub(crate) fn write(
    chain: &Chain,
    chain_id: u64,
    sequence: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut put = |kind: u8, value: &dyn Encodable| {
        buffer.clear();
        write_frame(&mut buffer, |frame| {
            frame.push(kind);
            value.encode(frame);
        });
        out.write_all(&buffer)
    };
    put(
        HEAD,
        &Head {
            format: FORMAT,
            chain_id,
            sequence,
            forks: chain.forks,
            clock_offset: chain.clock_offset.cast_unsigned(),
            genesis: chain.history.genesis().block.header.clone(),
        },
    )?;
    for code in chain.state.code.values() {
        put(CODE, &code.original_bytes())?;
    }
    for (address, account) in &chain.state.accounts {
        let mut part = AccountPart {
            address: *address,
            basics: account.basics,
            slots: Vec::new(),
        };
        for (slot, value) in &account.storage {
            if part.slots.len() == SLOTS_PER_FRAME {
                put(ACCOUNT, &part)?;
                part.slots.clear();
            }
            part.slots.push(Slot {
                slot: *slot,
                value: *value,
            });
        }
        put(ACCOUNT, &part)?;
    }
    put(END, &sequence)
}

/// Reads a snapshot, or `None` if it is not whole.
pub(crate) fn read(bytes: Bytes) -> Option<Snapshot> {
    let mut frames = Frames::new(bytes);
    let (HEAD, payload) = next(&mut frames)? else {
        return None;
    };
    let head = Head::decode(&mut &payload[..]).ok()?;
    if head.format != FORMAT {
        return None;
    }
    let mut chain = Chain::empty(&head.genesis);
    chain.forks = head.forks;
    chain.clock_offset = head.clock_offset.cast_signed();
    loop {
        let (kind, payload) = next(&mut frames)?;
        let payload = &mut &payload[..];
        match kind {
            CODE => chain.state.add_code(Bytes::decode(payload).ok()?),
            ACCOUNT => {
                let part = AccountPart::decode(payload).ok()?;
                let slots = part.slots.iter().map(|slot| (slot.slot, slot.value));
                chain.state.set(part.address, part.basics, slots);
            }
            END => break,
            _ => return None,
        }
    }
    Some(Snapshot {
        chain,
        chain_id: head.chain_id,
        sequence: head.sequence,
    })
}

fn next(frames: &mut Frames) -> Option<(u8, Bytes)> {
    let Frame::Payload(payload) = frames.next() else {
        return None;
    };
    Some((*payload.first()?, payload.slice(1..)))
}
