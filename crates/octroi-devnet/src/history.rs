//! The blocks that are still known.

use std::collections::VecDeque;

use alloy_consensus::Header;
use alloy_primitives::map::B256Map;
use alloy_primitives::{B256, Log};

use crate::block::{Block, Mined};
use crate::log_index::LogIndex;
use crate::options::Retention;
use crate::state::StateChange;

/// So many of the newest blocks stay in any case: `BLOCKHASH` reaches back this far.
const BLOCKS_MIN: usize = 256;

/// A block in its place.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) block: Block,
    pub(crate) hash: B256,
    /// What was changed by hand after this block and before the next one.
    pub(crate) edits: Vec<StateChange>,
    /// Which record of the store holds it.
    pub(crate) record: u64,
    /// What it takes, bytes, as it is encoded.
    pub(crate) size: usize,
}

impl Link {
    pub(crate) fn new(block: Block, record: u64) -> Self {
        Self {
            hash: block.header.hash_slow(),
            size: alloy_rlp::Encodable::length(&block),
            edits: Vec::new(),
            record,
            block,
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.block.header.number
    }

    pub(crate) fn timestamp(&self) -> u64 {
        self.block.header.timestamp
    }

    fn logs(&self) -> impl Iterator<Item = &Log> {
        self.block.transactions.iter().flat_map(|mined| &mined.logs)
    }
}

/// A run of blocks that ends at the newest one.
#[derive(Debug)]
pub(crate) struct History {
    /// Never forgotten, so that the first block can always be asked for.
    genesis: Link,
    /// Never empty.
    links: VecDeque<Link>,
    numbers: B256Map<u64>,
    /// The block and the place in it of every transaction.
    transactions: B256Map<(u64, usize)>,
    pub(crate) logs: LogIndex,
    bytes: usize,
}

impl History {
    pub(crate) fn new(genesis: &Header) -> Self {
        let link = || {
            let block = Block {
                header: genesis.clone(),
                transactions: Vec::new(),
                change: StateChange::default(),
            };
            Link::new(block, 0)
        };
        let mut history = Self {
            genesis: link(),
            links: VecDeque::new(),
            numbers: B256Map::default(),
            transactions: B256Map::default(),
            logs: LogIndex::default(),
            bytes: 0,
        };
        history.push(link());
        history
    }

    pub(crate) fn genesis(&self) -> &Link {
        &self.genesis
    }

    pub(crate) fn head(&self) -> &Link {
        self.links.back().unwrap_or(&self.genesis)
    }

    pub(crate) fn head_mut(&mut self) -> &mut Link {
        self.links.back_mut().unwrap_or(&mut self.genesis)
    }

    /// The oldest block that is still known with its body.
    pub(crate) fn oldest(&self) -> &Link {
        self.links.front().unwrap_or(&self.genesis)
    }

    pub(crate) fn link(&self, number: u64) -> Option<&Link> {
        let index = number.checked_sub(self.oldest().number());
        match index.and_then(|index| self.links.get(usize::try_from(index).ok()?)) {
            None if number == self.genesis.number() => Some(&self.genesis),
            link => link,
        }
    }

    /// The blocks above this number, newest first, or `None` if not all of them are known.
    pub(crate) fn above(&self, number: u64) -> Option<impl Iterator<Item = &Link>> {
        (number >= self.oldest().number()).then(|| {
            let newest_first = self.links.iter().rev();
            newest_first.take_while(move |link| link.number() > number)
        })
    }

    pub(crate) fn number_of(&self, hash: B256) -> Option<u64> {
        if hash == self.genesis.hash {
            return Some(self.genesis.number());
        }
        self.numbers.get(&hash).copied()
    }

    /// A transaction, the block it is in and its place there.
    pub(crate) fn transaction(&self, hash: B256) -> Option<(&Mined, &Link, usize)> {
        let (number, index) = *self.transactions.get(&hash)?;
        let link = self.link(number)?;
        Some((link.block.transactions.get(index)?, link, index))
    }

    /// Adds the newest block.
    pub(crate) fn push(&mut self, link: Link) {
        let number = link.number();
        self.numbers.insert(link.hash, number);
        for (index, mined) in link.block.transactions.iter().enumerate() {
            self.transactions.insert(mined.hash, (number, index));
        }
        self.logs.add(number, link.logs());
        self.bytes += link.size;
        self.links.push_back(link);
    }

    /// Takes the blocks above this one away, and what was changed by hand after it beyond the
    /// first `edits` changes. One block stays whatever its number. Returns the blocks, newest
    /// first.
    pub(crate) fn roll_back(&mut self, number: u64, edits: usize) -> Vec<Link> {
        let mut taken_back = Vec::new();
        while self.links.len() > 1 && self.head().number() > number {
            if let Some(link) = self.links.pop_back() {
                self.forget(&link);
                taken_back.push(link);
            }
        }
        self.head_mut().edits.truncate(edits);
        taken_back
    }

    /// Forgets blocks until what is left is within bounds.
    pub(crate) fn prune(&mut self, retention: Retention) {
        while self.links.len() > BLOCKS_MIN
            && (self.links.len() > retention.blocks || self.bytes > retention.bytes)
        {
            let Some(link) = self.links.pop_front() else {
                return;
            };
            self.forget(&link);
        }
    }

    /// Starts over with one block, whose predecessors are not known.
    pub(crate) fn restart(&mut self, link: Link) {
        while let Some(link) = self.links.pop_front() {
            self.forget(&link);
        }
        self.push(link);
    }

    fn forget(&mut self, link: &Link) {
        self.numbers.remove(&link.hash);
        for mined in &link.block.transactions {
            self.transactions.remove(&mined.hash);
        }
        self.logs.remove(link.number(), link.logs());
        self.bytes -= link.size;
    }
}
