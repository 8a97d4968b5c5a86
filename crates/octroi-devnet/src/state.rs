//! Accounts, code and storage of the newest block.

use alloy_primitives::map::{AddressMap, B256Map, U256Map};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use revm::bytecode::Bytecode;
use revm::state::AccountInfo;

/// What an account has beside its storage. An account that has none of it does not exist
/// (EIP-161).
#[derive(Debug, Clone, Copy, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct AccountBasics {
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    pub(crate) code_hash: B256,
}

impl AccountBasics {
    pub(crate) const EMPTY: Self = Self {
        balance: U256::ZERO,
        nonce: 0,
        code_hash: KECCAK256_EMPTY,
    };
}

impl From<&AccountInfo> for AccountBasics {
    fn from(info: &AccountInfo) -> Self {
        Self {
            balance: info.balance,
            nonce: info.nonce,
            code_hash: info.code_hash,
        }
    }
}

/// One storage slot that changed.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct SlotChange {
    pub(crate) slot: U256,
    pub(crate) before: U256,
    pub(crate) after: U256,
}

/// One account that changed.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct AccountChange {
    pub(crate) address: Address,
    pub(crate) before: AccountBasics,
    pub(crate) after: AccountBasics,
    pub(crate) slots: Vec<SlotChange>,
}

/// A step from one state to the next, which can be taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct StateChange {
    pub(crate) accounts: Vec<AccountChange>,
    /// Code that no account had before. Taking the step back leaves it: it is found by its hash.
    pub(crate) code: Vec<Bytes>,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) basics: AccountBasics,
    pub(crate) storage: U256Map<U256>,
}

/// The whole state, in memory.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) accounts: AddressMap<Account>,
    /// Analysed once (jump destinations), then shared by every execution.
    pub(crate) code: B256Map<Bytecode>,
}

impl State {
    pub(crate) fn basics(&self, address: Address) -> AccountBasics {
        self.accounts
            .get(&address)
            .map_or(AccountBasics::EMPTY, |account| account.basics)
    }

    pub(crate) fn slot(&self, address: Address, slot: U256) -> U256 {
        self.accounts
            .get(&address)
            .and_then(|account| account.storage.get(&slot))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn code(&self, hash: B256) -> Bytecode {
        self.code.get(&hash).cloned().unwrap_or_default()
    }

    pub(crate) fn add_code(&mut self, code: Bytes) {
        let code = Bytecode::new_legacy(code);
        self.code.insert(code.hash_slow(), code);
    }

    /// Takes a step.
    pub(crate) fn apply(&mut self, change: &StateChange) {
        for code in &change.code {
            self.add_code(code.clone());
        }
        for account in &change.accounts {
            let slots = account.slots.iter().map(|slot| (slot.slot, slot.after));
            self.set(account.address, account.after, slots);
        }
    }

    /// Writes an account. A slot that becomes zero and an account that becomes empty are gone.
    pub(crate) fn set(
        &mut self,
        address: Address,
        basics: AccountBasics,
        slots: impl Iterator<Item = (U256, U256)>,
    ) {
        let account = self.accounts.entry(address).or_insert_with(|| Account {
            basics,
            storage: U256Map::default(),
        });
        account.basics = basics;
        for (slot, value) in slots {
            if value.is_zero() {
                account.storage.remove(&slot);
            } else {
                account.storage.insert(slot, value);
            }
        }
        if basics == AccountBasics::EMPTY && account.storage.is_empty() {
            self.accounts.remove(&address);
        }
    }
}
