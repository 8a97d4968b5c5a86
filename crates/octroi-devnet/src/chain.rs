//! The chain: the newest state and the blocks that led to it.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use octroi_types::UnixSeconds;

use crate::artifact::Contract;
use crate::history::{History, Link};
use crate::options::{BaseFee, DevNetOptions};
use crate::overlay::Overlay;
use crate::record::Record;
use crate::state::{State, StateChange};
use crate::{MULTICALL_ADDRESS, token};

/// So many blocks back the state can be read, as on a node that keeps no archive.
const STATE_DEPTH_MAX: u64 = 256;

/// What holds for every block.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) chain_id: u64,
    pub(crate) block_gas_limit: u64,
    pub(crate) base_fee: BaseFee,
}

/// What the next block is going to be like, were it made now.
#[derive(Debug, Clone)]
pub(crate) struct NextBlock {
    pub(crate) parent: B256,
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    pub(crate) base_fee: u64,
    pub(crate) extra_data: Bytes,
}

#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) state: State,
    pub(crate) history: History,
    /// By how much the network's time is ahead of the clock, seconds.
    pub(crate) clock_offset: i64,
    /// The time that the next block was asked to have.
    pub(crate) next_timestamp: Option<u64>,
    /// The base fee that the next block was asked to have.
    pub(crate) next_base_fee: Option<u64>,
    /// How often blocks were taken back. Part of every later block, so that a block is never
    /// mistaken for the one it stands in for.
    pub(crate) forks: u64,
}

impl Chain {
    pub(crate) fn empty(genesis: &Header) -> Self {
        Self {
            state: State::default(),
            history: History::new(genesis),
            clock_offset: 0,
            next_timestamp: None,
            next_base_fee: None,
            forks: 0,
        }
    }

    /// The first block of a new network, or `None` if the token's name or version is too long.
    pub(crate) fn genesis(options: &DevNetOptions) -> Option<Self> {
        let identity = format!("octroi development network {}", options.chain_id);
        let mut chain = Self::empty(&Header {
            timestamp: options.genesis_time.0,
            gas_limit: options.block_gas_limit,
            base_fee_per_gas: Some(options.base_fee.initial()),
            mix_hash: keccak256(identity),
            ..Header::default()
        });
        let mut overlay = Overlay::new(&chain);
        let multicall = Bytes::from_static(Contract::Multicall.runtime_code());
        overlay.set_code(evm_address(MULTICALL_ADDRESS), multicall);
        let token = evm_address(options.token.address);
        let (name, version) = (&options.token.name, &options.token.version);
        let slots = token::initial_slots(evm_address(options.token.owner), name, version)?;
        overlay.put_contract(token, Contract::TestUsd);
        for (slot, value) in slots {
            overlay.set_slot(token, slot, value);
        }
        for account in &options.accounts {
            let holder = evm_address(account.address);
            overlay.add_tokens(token, holder, account.tokens.units());
            overlay.set_balance(holder, U256::from(account.wei));
        }
        let change = overlay.into_change();
        chain.state.apply(&change);
        Some(chain)
    }

    pub(crate) fn head(&self) -> &Link {
        self.history.head()
    }

    /// The network's time when the clock says `clock`.
    pub(crate) fn time(&self, clock: UnixSeconds) -> u64 {
        clock.0.saturating_add_signed(self.clock_offset)
    }

    /// The block that would be made at this time. Two blocks may share a second, none goes back.
    pub(crate) fn next_block(&self, rules: &Rules, clock: UnixSeconds) -> NextBlock {
        let head = self.head();
        let timestamp = self.next_timestamp.unwrap_or_else(|| self.time(clock));
        let base_fee = self
            .next_base_fee
            .unwrap_or_else(|| rules.base_fee.after(&head.block));
        let extra_data = if self.forks == 0 {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&self.forks.to_be_bytes())
        };
        NextBlock {
            parent: head.hash,
            number: head.number() + 1,
            timestamp: timestamp.max(head.timestamp()),
            base_fee,
            extra_data,
        }
    }

    /// The state after this block, or `None` if it is too long ago or yet to come.
    pub(crate) fn state_at(&self, number: u64) -> Option<Overlay<'_>> {
        let depth = self.head().number().checked_sub(number)?;
        if depth > STATE_DEPTH_MAX {
            return None;
        }
        let mut overlay = Overlay::new(self);
        for link in self.history.above(number)? {
            overlay.undo_link(link);
        }
        Some(overlay)
    }

    /// What taking back the blocks above this one does to the state, and the changes by hand
    /// after it beyond the first `edits`. `None` if the block is not known any more.
    pub(crate) fn rollback_change(&self, number: u64, edits: usize) -> Option<StateChange> {
        let mut overlay = Overlay::new(self);
        for link in self.history.above(number)? {
            overlay.undo_link(link);
        }
        let kept = self.history.link(number)?;
        for edit in kept.edits.iter().skip(edits).rev() {
            overlay.undo(edit);
        }
        Some(overlay.into_change())
    }

    /// Does what a record says and returns the blocks that it took back, newest first.
    pub(crate) fn apply(&mut self, record: Record, sequence: u64) -> Vec<Link> {
        match &record {
            Record::Block(block) => self.state.apply(&block.change),
            Record::Edit(change) => self.state.apply(change),
            Record::Rollback(rollback) => self.state.apply(&rollback.change),
            Record::ClockOffset(_) => {}
        }
        self.remember(record, sequence)
    }

    /// Does what a record says, but for the state, which already is as it says.
    pub(crate) fn remember(&mut self, record: Record, sequence: u64) -> Vec<Link> {
        match record {
            Record::Block(block) => {
                self.next_timestamp = None;
                self.next_base_fee = None;
                let link = Link::new(*block, sequence);
                if link.block.header.parent_hash == self.head().hash {
                    self.history.push(link);
                } else {
                    // The journal is cut at the front: what was before this block is forgotten.
                    self.history.restart(link);
                }
            }
            Record::Edit(change) => self.history.head_mut().edits.push(change),
            Record::Rollback(rollback) => {
                self.forks = rollback.forks;
                return self.history.roll_back(rollback.number, rollback.edits);
            }
            Record::ClockOffset(seconds) => self.clock_offset = seconds,
        }
        Vec::new()
    }
}

impl Overlay<'_> {
    /// Takes a block back, with what was changed by hand after it. Newest block first.
    fn undo_link(&mut self, link: &Link) {
        for edit in link.edits.iter().rev() {
            self.undo(edit);
        }
        self.undo(&link.block.change);
    }

    /// Puts a contract's code at an address.
    pub(crate) fn put_contract(&mut self, address: Address, contract: Contract) {
        self.set_code(address, Bytes::from_static(contract.runtime_code()));
        // A contract's nonce starts at one (EIP-161), and CREATE counts on it.
        self.set_nonce(address, 1);
    }

    /// Adds to a holder's tokens and to their total.
    pub(crate) fn add_tokens(&mut self, token: Address, holder: Address, units: u64) {
        for slot in [token::TOTAL_SUPPLY_SLOT, token::balance_slot(holder)] {
            let sum = self.slot(token, slot).saturating_add(U256::from(units));
            self.set_slot(token, slot, sum);
        }
    }
}

/// An address in the EVM's own type.
pub(crate) fn evm_address(address: octroi_types::Address) -> Address {
    Address::new(address.0)
}
