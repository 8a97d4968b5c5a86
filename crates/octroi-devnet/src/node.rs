//! The network itself: who may change it, and in which order.

use alloy_primitives::{Address, B256, U256};
use octroi_types::{Amount, ChainId};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::artifact::Contract;
use crate::chain::{Chain, Rules, evm_address};
use crate::history::Link;
use crate::mining::Contents;
use crate::options::{BlockTime, Clock, DevNetOptions, Finality, IdleBlocks, Retention};
use crate::overlay::Overlay;
use crate::pool::Pool;
use crate::record::{Record, Rollback};
use crate::store::{Store, StoreError};
use crate::token;

/// Why the network cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum DevNetError {
    /// The directory that keeps the network.
    #[error("cannot keep the development network")]
    Store(#[from] StoreError),
    /// The token's name or version does not fit a storage slot.
    #[error("the token's name and version may take 31 bytes each")]
    TokenTextTooLong,
    /// The network was created with another token address, name, version or owner.
    #[error("the network was created with another test token")]
    TokenDiffers,
    /// The contract is not a token.
    #[error("the contract has no token domain")]
    NotAToken,
}

/// A development network. Share it in an `Arc`; every method may be called from any thread.
pub struct DevNet {
    pub(crate) rules: Rules,
    pub(crate) finality: Finality,
    pub(crate) idle_blocks: IdleBlocks,
    retention: Retention,
    token: Address,
    pub(crate) clock: Clock,
    pub(crate) block_time: Mutex<BlockTime>,
    /// Locked before the chain by whoever changes it: one change at a time.
    pub(crate) writer: Mutex<Writer>,
    /// Locked before the pool. Written only while the writer is held, and only for the moment
    /// that a finished block takes to apply, so calls run while a block is being made.
    pub(crate) chain: RwLock<Chain>,
    pub(crate) pool: Mutex<Pool>,
    pub(crate) head: watch::Sender<u64>,
}

/// What changing the chain needs beside the chain.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    store: Option<Store>,
    /// Where `evm_revert` may go back to, oldest first.
    pub(crate) marks: Vec<Mark>,
    pub(crate) marks_made: u64,
}

/// A point of the chain that `evm_snapshot` named.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) edits: usize,
    pub(crate) clock_offset: i64,
}

impl DevNet {
    /// Opens a network, or begins it.
    ///
    /// # Errors
    /// The directory cannot be used, or holds a network that the options do not describe.
    pub fn open(options: DevNetOptions) -> Result<Self, DevNetError> {
        let genesis = Chain::genesis(&options).ok_or(DevNetError::TokenTextTooLong)?;
        let (store, chain) = match &options.persist_path {
            None => (None, genesis),
            Some(directory) => {
                let (store, chain) =
                    Store::open(directory, options.chain_id.0, options.retention, &genesis)?;
                (Some(store), chain)
            }
        };
        let token = evm_address(options.token.address);
        let owner = evm_address(options.token.owner);
        let slots = token::initial_slots(owner, &options.token.name, &options.token.version)
            .ok_or(DevNetError::TokenTextTooLong)?;
        if slots
            .iter()
            .any(|(slot, value)| chain.state.slot(token, *slot) != *value)
        {
            return Err(DevNetError::TokenDiffers);
        }
        Ok(Self {
            rules: Rules {
                chain_id: options.chain_id.0,
                block_gas_limit: options.block_gas_limit,
                base_fee: options.base_fee,
            },
            finality: options.finality,
            idle_blocks: options.idle_blocks,
            retention: options.retention,
            token,
            clock: options.clock,
            block_time: Mutex::new(options.block_time),
            writer: Mutex::new(Writer {
                store,
                ..Writer::default()
            }),
            head: watch::Sender::new(chain.head().number()),
            chain: RwLock::new(chain),
            pool: Mutex::new(Pool::default()),
        })
    }

    /// The chain.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId(self.rules.chain_id)
    }

    /// The number of the newest block, as it changes. A reorganisation notifies too, although
    /// the number may stay.
    #[must_use]
    pub fn subscribe_blocks(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// Makes the block that is due, if one is, and keeps the directory small. The owner calls
    /// this a few times a second.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn tick(&self) -> Result<(), DevNetError> {
        let mut writer = self.writer.lock();
        if self.block_is_due() {
            self.make_block(&mut writer, Contents::Any)?;
        }
        if let Some(store) = &mut writer.store {
            store.maintain(&self.chain.read())?;
        }
        Ok(())
    }

    /// Writes a snapshot, so that the next opening is quick. Nothing is lost without it.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn close(&self) -> Result<(), DevNetError> {
        if let Some(store) = &mut self.writer.lock().store {
            store.write_snapshot(&self.chain.read())?;
        }
        Ok(())
    }

    /// Gives an account test tokens and native coin out of nothing, at once and without a block.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn fund(
        &self,
        address: octroi_types::Address,
        tokens: Amount,
        wei: u128,
    ) -> Result<(), DevNetError> {
        let (token, holder) = (self.token, evm_address(address));
        self.edit(|state| {
            state.add_tokens(token, holder, tokens.units());
            let balance = state.basics(holder).balance;
            state.set_balance(holder, balance.saturating_add(U256::from(wei)));
        })?;
        Ok(())
    }

    /// Puts a contract at an address.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn deploy(
        &self,
        contract: Contract,
        address: octroi_types::Address,
    ) -> Result<(), DevNetError> {
        self.edit(|state| state.put_contract(evm_address(address), contract))?;
        Ok(())
    }

    /// Puts a token at an address, with its EIP-712 domain and the holders of its whole supply.
    ///
    /// # Errors
    /// The contract is not a token, a text is too long, or the directory cannot be written.
    pub fn deploy_token(
        &self,
        contract: Contract,
        token: &crate::TokenOptions,
        holders: &[(octroi_types::Address, Amount)],
    ) -> Result<(), DevNetError> {
        if !contract.is_token() {
            return Err(DevNetError::NotAToken);
        }
        let owner = evm_address(token.owner);
        let slots = token::initial_slots(owner, &token.name, &token.version)
            .ok_or(DevNetError::TokenTextTooLong)?;
        let address = evm_address(token.address);
        self.edit(|state| {
            state.put_contract(address, contract);
            for (slot, value) in slots {
                state.set_slot(address, slot, value);
            }
            for (holder, amount) in holders {
                state.add_tokens(address, evm_address(*holder), amount.units());
            }
        })?;
        Ok(())
    }

    /// Changes the state by hand.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut Overlay<'_>)) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let change = {
            let chain = self.chain.read();
            let mut overlay = Overlay::new(&chain);
            change(&mut overlay);
            overlay.into_change()
        };
        self.commit(&mut writer, Record::Edit(change))?;
        Ok(())
    }

    /// Takes back the blocks above `number`, and what was changed by hand after that block beyond
    /// the first `edits` changes. Returns the blocks, newest first, or `None` if the chain does
    /// not know that block any more.
    pub(crate) fn roll_back(
        &self,
        writer: &mut Writer,
        number: u64,
        edits: usize,
    ) -> Result<Option<Vec<Link>>, StoreError> {
        let rollback = {
            let chain = self.chain.read();
            let change = chain.rollback_change(number, edits);
            change.map(|change| Rollback {
                number,
                edits,
                forks: chain.forks + 1,
                change,
            })
        };
        let Some(rollback) = rollback else {
            return Ok(None);
        };
        let taken_back = self.commit(writer, Record::Rollback(rollback))?;
        self.head.send_replace(self.chain.read().head().number());
        Ok(Some(taken_back))
    }

    pub(crate) fn commit(
        &self,
        writer: &mut Writer,
        record: Record,
    ) -> Result<Vec<Link>, StoreError> {
        let sequence = match &mut writer.store {
            Some(store) => store.append(&record)?,
            None => 0,
        };
        let mut chain = self.chain.write();
        let taken_back = chain.apply(record, sequence);
        chain.history.prune(self.retention);
        Ok(taken_back)
    }
}

impl std::fmt::Debug for DevNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevNet")
            .field("chain_id", &self.rules.chain_id)
            .field("head", &*self.head.borrow())
            .finish_non_exhaustive()
    }
}
