//! A state that is being written above one that stays as it is.

use std::convert::Infallible;

use alloy_primitives::map::{AddressMap, B256Map, U256Map};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::bytecode::Bytecode;
use revm::state::{Account, AccountInfo};
use revm::{Database, DatabaseCommit};

use crate::chain::Chain;
use crate::state::{AccountBasics, AccountChange, SlotChange, StateChange};

/// The chain's state with changes above it: a block under construction, a call that is never
/// committed, or the state of an earlier block.
#[derive(Debug)]
pub(crate) struct Overlay<'a> {
    chain: &'a Chain,
    accounts: AddressMap<Written>,
    code: B256Map<Bytecode>,
}

#[derive(Debug)]
struct Written {
    basics: AccountBasics,
    slots: U256Map<U256>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(chain: &'a Chain) -> Self {
        Self {
            chain,
            accounts: AddressMap::default(),
            code: B256Map::default(),
        }
    }

    pub(crate) fn basics(&self, address: Address) -> AccountBasics {
        match self.accounts.get(&address) {
            Some(account) => account.basics,
            None => self.chain.state.basics(address),
        }
    }

    pub(crate) fn slot(&self, address: Address, slot: U256) -> U256 {
        self.accounts
            .get(&address)
            .and_then(|account| account.slots.get(&slot).copied())
            .unwrap_or_else(|| self.chain.state.slot(address, slot))
    }

    pub(crate) fn code(&self, hash: B256) -> Bytecode {
        match self.code.get(&hash) {
            Some(code) => code.clone(),
            None => self.chain.state.code(hash),
        }
    }

    pub(crate) fn set_balance(&mut self, address: Address, wei: U256) {
        self.written(address).basics.balance = wei;
    }

    pub(crate) fn set_nonce(&mut self, address: Address, nonce: u64) {
        self.written(address).basics.nonce = nonce;
    }

    pub(crate) fn set_slot(&mut self, address: Address, slot: U256, value: U256) {
        self.written(address).slots.insert(slot, value);
    }

    pub(crate) fn set_code(&mut self, address: Address, code: Bytes) {
        let code = Bytecode::new_legacy(code);
        self.written(address).basics.code_hash = code.hash_slow();
        self.keep_code(code);
    }

    /// Takes a step back that lies between the chain's state and the one that is wanted. Newest
    /// step first.
    pub(crate) fn undo(&mut self, change: &StateChange) {
        for account in &change.accounts {
            let written = self.written(account.address);
            written.basics = account.before;
            for slot in &account.slots {
                written.slots.insert(slot.slot, slot.before);
            }
        }
    }

    /// The step from the chain's state to this one.
    pub(crate) fn into_change(self) -> StateChange {
        let state = &self.chain.state;
        let accounts = self.accounts.into_iter().filter_map(|(address, written)| {
            let before = state.basics(address);
            let slots: Vec<_> = written
                .slots
                .into_iter()
                .map(|(slot, after)| SlotChange {
                    slot,
                    before: state.slot(address, slot),
                    after,
                })
                .filter(|change| change.before != change.after)
                .collect();
            let changed = before != written.basics || !slots.is_empty();
            changed.then_some(AccountChange {
                address,
                before,
                after: written.basics,
                slots,
            })
        });
        StateChange {
            accounts: accounts.collect(),
            code: self
                .code
                .into_values()
                .map(|code| code.original_bytes())
                .collect(),
        }
    }

    fn written(&mut self, address: Address) -> &mut Written {
        self.accounts.entry(address).or_insert_with(|| Written {
            basics: self.chain.state.basics(address),
            slots: U256Map::default(),
        })
    }

    fn keep_code(&mut self, code: Bytecode) {
        let hash = code.hash_slow();
        if !code.is_empty() && !self.chain.state.code.contains_key(&hash) {
            self.code.insert(hash, code);
        }
    }
}

impl Database for Overlay<'_> {
    type Error = Infallible;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        let basics = self.basics(address);
        if basics == AccountBasics::EMPTY {
            return Ok(None);
        }
        Ok(Some(AccountInfo {
            balance: basics.balance,
            nonce: basics.nonce,
            code_hash: basics.code_hash,
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.code(code_hash))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.slot(address, slot))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Infallible> {
        let link = self.chain.history.link(number);
        Ok(link.map_or(B256::ZERO, |link| link.hash))
    }
}

impl DatabaseCommit for Overlay<'_> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() {
                // It was created by the same transaction (EIP-6780), so below it is nothing.
                let written = self.written(address);
                written.basics = AccountBasics::EMPTY;
                written.slots.clear();
                continue;
            }
            if let Some(code) = &account.info.code {
                self.keep_code(code.clone());
            }
            let written = self.written(address);
            written.basics = AccountBasics::from(&account.info);
            written.slots.extend(
                account
                    .changed_storage_slots()
                    .map(|(slot, value)| (*slot, value.present_value())),
            );
        }
    }
}
