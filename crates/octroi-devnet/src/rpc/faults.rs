//! Doing to the chain what only a development network allows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::mining::Contents;
use crate::node::{DevNet, Mark};
use crate::options::BlockTime;
use crate::record::Record;
use crate::rpc::params::Params;
use crate::rpc::{Answer, RpcErrorObject, values};

/// The most blocks that one call makes.
const BLOCKS_MAX: u64 = 10_000;

impl DevNet {
    /// `evm_mine`: one block, at the given time if there is one.
    pub(super) fn mine_one(&self, params: &Params<'_>) -> Answer {
        if let Some(timestamp) = params.optional_number(0)? {
            self.move_time_to(timestamp)?;
        }
        self.make_block(&mut self.writer.lock(), Contents::Any)?;
        Ok(json!("0x0"))
    }

    /// `anvil_mine`: so many blocks, so many seconds apart.
    pub(super) fn mine(&self, params: &Params<'_>) -> Answer {
        let count = params.optional_number(0)?.unwrap_or(1);
        let interval = params.optional_number(1)?;
        if count > BLOCKS_MAX {
            return Err(RpcErrorObject::limit_exceeded(format!(
                "more than {BLOCKS_MAX} blocks"
            )));
        }
        for index in 0..count {
            if let Some(interval) = interval.filter(|_| index > 0) {
                let head = self.chain.read().head().timestamp();
                self.move_time_to(head.saturating_add(interval))?;
            }
            self.make_block(&mut self.writer.lock(), Contents::Any)?;
        }
        Ok(Value::Null)
    }

    pub(super) fn set_automine(&self, params: &Params<'_>) -> Answer {
        let automine = params
            .flag(0)?
            .ok_or_else(|| RpcErrorObject::invalid_params("missing value for argument 0"))?;
        *self.block_time.lock() = if automine {
            BlockTime::Instant
        } else {
            BlockTime::Manual
        };
        Ok(Value::Bool(true))
    }

    /// `evm_setIntervalMining`: seconds between blocks, 0 for none.
    pub(super) fn set_interval(&self, params: &Params<'_>) -> Answer {
        *self.block_time.lock() = match params.number(0)? {
            0 => BlockTime::Manual,
            seconds => BlockTime::Interval(Duration::from_secs(seconds)),
        };
        Ok(Value::Null)
    }

    /// `evm_increaseTime`: answers how far the network is ahead of the clock, seconds.
    pub(super) fn increase_time(&self, params: &Params<'_>) -> Answer {
        let seconds = params.number(0)?;
        let mut writer = self.writer.lock();
        let offset = self.chain.read().clock_offset;
        let offset = offset
            .checked_add_unsigned(seconds)
            .ok_or_else(|| RpcErrorObject::invalid_params("the time would overflow"))?;
        self.commit(&mut writer, Record::ClockOffset(offset))?;
        Ok(json!(offset))
    }

    pub(super) fn set_next_timestamp(&self, params: &Params<'_>) -> Answer {
        self.move_time_to(params.number(0)?)?;
        Ok(Value::Null)
    }

    /// Lets the next block have this time and the network's time go on from there.
    fn move_time_to(&self, timestamp: u64) -> Result<(), RpcErrorObject> {
        let mut writer = self.writer.lock();
        let head = self.chain.read().head().timestamp();
        if timestamp < head {
            return Err(RpcErrorObject::invalid_params(format!(
                "timestamp {timestamp} is before the newest block's, {head}"
            )));
        }
        let offset = i128::from(timestamp) - i128::from((self.clock)().0);
        let offset = i64::try_from(offset)
            .map_err(|_| RpcErrorObject::invalid_params("the timestamp is too far away"))?;
        self.commit(&mut writer, Record::ClockOffset(offset))?;
        self.chain.write().next_timestamp = Some(timestamp);
        Ok(())
    }

    pub(super) fn set_next_base_fee(&self, params: &Params<'_>) -> Answer {
        let base_fee = params.number(0)?;
        let _writer = self.writer.lock();
        self.chain.write().next_base_fee = Some(base_fee);
        Ok(Value::Null)
    }

    pub(super) fn drop_transaction(&self, params: &Params<'_>) -> Answer {
        let hash = params.hash(0)?;
        let dropped = self.pool.lock().remove(hash);
        Ok(if dropped {
            values::hash(hash)
        } else {
            Value::Null
        })
    }

    pub(super) fn set_balance(&self, params: &Params<'_>) -> Answer {
        let (address, wei) = (params.address(0)?, params.word(1)?);
        self.edit(|state| state.set_balance(address, wei))?;
        Ok(Value::Null)
    }

    pub(super) fn set_code(&self, params: &Params<'_>) -> Answer {
        let (address, code) = (params.address(0)?, params.data(1)?);
        self.edit(|state| state.set_code(address, code))?;
        Ok(Value::Null)
    }

    pub(super) fn set_nonce(&self, params: &Params<'_>) -> Answer {
        let (address, nonce) = (params.address(0)?, params.number(1)?);
        self.edit(|state| state.set_nonce(address, nonce))?;
        Ok(Value::Null)
    }

    pub(super) fn set_storage_at(&self, params: &Params<'_>) -> Answer {
        let (address, slot, value) = (params.address(0)?, params.word(1)?, params.word(2)?);
        self.edit(|state| state.set_slot(address, slot, value))?;
        Ok(Value::Bool(true))
    }

    /// `anvil_reorg`: replaces so many of the newest blocks by as many empty ones. The
    /// transactions in them are lost, or wait in the pool again if the second parameter is
    /// `true`. What was changed by hand after the block that stays is undone as well.
    pub(super) fn reorg(&self, params: &Params<'_>) -> Answer {
        let depth = params.number(0)?;
        let keep = match params.get(1) {
            // What anvil takes here: transactions for the new blocks, none.
            Some(Value::Array(transactions)) if transactions.is_empty() => false,
            _ => params.flag(1)?.unwrap_or(false),
        };
        let mut writer = self.writer.lock();
        let head = self.chain.read().head().number();
        let taken_back = match head.checked_sub(depth) {
            Some(number) => self.roll_back(&mut writer, number, usize::MAX)?,
            None => None,
        };
        let taken_back = taken_back.ok_or_else(|| {
            RpcErrorObject::invalid_params(format!("the chain does not go {depth} blocks back"))
        })?;
        for _ in &taken_back {
            self.make_block(&mut writer, Contents::Empty)?;
        }
        if keep {
            self.return_to_pool(&taken_back);
        }
        Ok(Value::Null)
    }

    /// `evm_snapshot`: names this point of the chain. Names do not outlive the process.
    pub(super) fn mark(&self) -> Value {
        let mut writer = self.writer.lock();
        writer.marks_made += 1;
        let id = writer.marks_made;
        let chain = self.chain.read();
        let head = chain.head();
        writer.marks.push(Mark {
            id,
            number: head.number(),
            hash: head.hash,
            edits: head.edits.len(),
            clock_offset: chain.clock_offset,
        });
        values::quantity(id)
    }

    /// `evm_revert`: goes back to a named point, once, and forgets the names made since. The
    /// pool is emptied.
    pub(super) fn revert_to_mark(&self, params: &Params<'_>) -> Answer {
        let id = params.number(0)?;
        let mut writer = self.writer.lock();
        let Some(index) = writer.marks.iter().position(|mark| mark.id == id) else {
            return Ok(Value::Bool(false));
        };
        let mark = writer.marks.swap_remove(index);
        writer.marks.retain(|other| other.id < id);
        let is_known = {
            let chain = self.chain.read();
            let link = chain.history.link(mark.number);
            link.is_some_and(|link| link.hash == mark.hash)
        };
        if !is_known
            || self
                .roll_back(&mut writer, mark.number, mark.edits)?
                .is_none()
        {
            return Ok(Value::Bool(false));
        }
        self.commit(&mut writer, Record::ClockOffset(mark.clock_offset))?;
        let mut chain = self.chain.write();
        chain.next_timestamp = None;
        chain.next_base_fee = None;
        self.pool.lock().clear();
        Ok(Value::Bool(true))
    }
}
