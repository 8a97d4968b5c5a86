//! Sending transactions and asking what became of them.

use serde_json::Value;

use crate::node::DevNet;
use crate::rpc::params::Params;
use crate::rpc::{Answer, RpcErrorObject, values};

impl DevNet {
    pub(super) fn send_raw_transaction(&self, params: &Params<'_>) -> Answer {
        let hash = self.submit(params.data(0)?)?;
        Ok(values::hash(hash))
    }

    /// EIP-7966. The second parameter, how long to wait, changes nothing: a block is made now or
    /// not by this call.
    pub(super) fn send_raw_transaction_sync(&self, params: &Params<'_>) -> Answer {
        let hash = self.submit(params.data(0)?)?;
        let chain = self.chain.read();
        match chain.history.transaction(hash) {
            Some((mined, link, index)) => Ok(values::receipt(mined, link, index)),
            None => Err(RpcErrorObject::not_mined_yet(hash)),
        }
    }

    pub(super) fn transaction_by_hash(&self, params: &Params<'_>) -> Answer {
        let hash = params.hash(0)?;
        let chain = self.chain.read();
        if let Some((mined, link, index)) = chain.history.transaction(hash) {
            return Ok(values::mined_transaction(mined, link, index));
        }
        let pool = self.pool.lock();
        Ok(pool.get(hash).map_or(Value::Null, |transaction| {
            values::transaction(&transaction.envelope, transaction.sender)
        }))
    }

    pub(super) fn transaction_receipt(&self, params: &Params<'_>) -> Answer {
        let hash = params.hash(0)?;
        let chain = self.chain.read();
        let found = chain.history.transaction(hash);
        Ok(found.map_or(Value::Null, |(mined, link, index)| {
            values::receipt(mined, link, index)
        }))
    }
}
