//! Blocks and receipts.

use alloy_consensus::Header;
use serde_json::{Value, json};

use crate::node::DevNet;
use crate::rpc::params::{BlockId, Params};
use crate::rpc::{Answer, values};

impl DevNet {
    pub(super) fn block_by_number(&self, params: &Params<'_>) -> Answer {
        let id = params.block(0)?;
        let full = params.flag(1)?.unwrap_or(false);
        if id == BlockId::Pending {
            return Ok(self.pending_block(full));
        }
        let chain = self.chain.read();
        let number = id.resolve(&chain, self.finality);
        let link = number.and_then(|number| chain.history.link(number));
        Ok(link.map_or(Value::Null, |link| values::block(link, full)))
    }

    pub(super) fn block_by_hash(&self, params: &Params<'_>) -> Answer {
        let hash = params.hash(0)?;
        let full = params.flag(1)?.unwrap_or(false);
        let chain = self.chain.read();
        let number = chain.history.number_of(hash);
        let link = number.and_then(|number| chain.history.link(number));
        Ok(link.map_or(Value::Null, |link| values::block(link, full)))
    }

    pub(super) fn block_receipts(&self, params: &Params<'_>) -> Answer {
        let id = params.block(0)?;
        let chain = self.chain.read();
        let number = id.resolve(&chain, self.finality);
        let Some(link) = number.and_then(|number| chain.history.link(number)) else {
            return Ok(Value::Null);
        };
        let receipts = link
            .block
            .transactions
            .iter()
            .enumerate()
            .map(|(index, mined)| values::receipt(mined, link, index));
        Ok(receipts.collect())
    }

    /// The block that would be made now, before anything in it has run.
    fn pending_block(&self, full: bool) -> Value {
        let chain = self.chain.read();
        let next = chain.next_block(&self.rules, (self.clock)());
        let nonce = |sender| chain.state.basics(sender).nonce;
        let ready = self.pool.lock().ready(nonce, next.base_fee);
        let transactions: Vec<_> = ready
            .iter()
            .map(|transaction| {
                if full {
                    values::transaction(&transaction.envelope, transaction.sender)
                } else {
                    values::hash(transaction.hash)
                }
            })
            .collect();
        let empty = Header::default();
        json!({
            "baseFeePerGas": values::quantity(next.base_fee),
            "difficulty": "0x0",
            "extraData": values::bytes(&next.extra_data),
            "gasLimit": values::quantity(self.rules.block_gas_limit),
            "gasUsed": "0x0",
            "hash": null,
            "logsBloom": null,
            "miner": values::address(empty.beneficiary),
            "mixHash": values::hash(next.parent),
            "nonce": null,
            "number": values::quantity(next.number),
            "parentHash": values::hash(next.parent),
            "receiptsRoot": values::hash(empty.receipts_root),
            "sha3Uncles": values::hash(empty.ommers_hash),
            "stateRoot": values::hash(empty.state_root),
            "timestamp": values::quantity(next.timestamp),
            "transactions": transactions,
            "transactionsRoot": values::hash(empty.transactions_root),
            "uncles": [],
        })
    }
}
