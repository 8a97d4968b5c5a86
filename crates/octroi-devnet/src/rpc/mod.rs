//! JSON-RPC: which method does what.

mod accounts;
mod blocks;
mod body;
mod calls;
mod error;
mod faults;
mod fees;
mod logs;
mod params;
mod transactions;
mod values;

use alloy_primitives::keccak256;
use serde_json::{Value, json};

pub use error::RpcErrorObject;

use crate::node::DevNet;
use params::Params;

/// What `web3_clientVersion` answers.
const CLIENT_VERSION: &str = concat!("octroi-devnet/", env!("CARGO_PKG_VERSION"));

type Answer = Result<Value, RpcErrorObject>;

impl DevNet {
    /// Answers one JSON-RPC call. `params` is the array of the request, or null.
    ///
    /// It never waits for a block: where blocks are not made at once, `eth_sendRawTransactionSync`
    /// answers with the error of a time-out (EIP-7966, code 4) and the transaction stays in the
    /// pool.
    ///
    /// # Errors
    /// The error object for the answer, with the codes and words that nodes use.
    pub fn handle(&self, method: &str, params: &Value) -> Answer {
        let params = Params::of(params)?;
        match method {
            "eth_blockNumber" => Ok(values::quantity(self.chain.read().head().number())),
            "eth_call" => self.call(&params),
            "eth_chainId" => Ok(values::quantity(self.rules.chain_id)),
            "eth_estimateGas" => self.estimate_gas(&params),
            "eth_feeHistory" => self.fee_history(&params),
            "eth_gasPrice" => Ok(self.gas_price()),
            "eth_getBalance" => self.balance(&params),
            "eth_getBlockByHash" => self.block_by_hash(&params),
            "eth_getBlockByNumber" => self.block_by_number(&params),
            "eth_getBlockReceipts" => self.block_receipts(&params),
            "eth_getCode" => self.code(&params),
            "eth_getLogs" => self.logs(&params),
            "eth_getStorageAt" => self.storage_at(&params),
            "eth_getTransactionByHash" => self.transaction_by_hash(&params),
            "eth_getTransactionCount" => self.transaction_count(&params),
            "eth_getTransactionReceipt" => self.transaction_receipt(&params),
            "eth_maxPriorityFeePerGas" => Ok(fees::priority_fee()),
            "eth_sendRawTransaction" => self.send_raw_transaction(&params),
            "eth_sendRawTransactionSync" => self.send_raw_transaction_sync(&params),
            "eth_syncing" => Ok(Value::Bool(false)),
            "net_version" => Ok(Value::String(self.rules.chain_id.to_string())),
            "web3_clientVersion" => Ok(Value::String(CLIENT_VERSION.to_owned())),
            "web3_sha3" => Ok(json!(keccak256(params.data(0)?).to_string())),
            _ => self.fault(method, &params),
        }
    }

    /// The methods that change what a real network would not let anybody change. Names and
    /// parameters are those of the development nodes that people know, where they exist.
    fn fault(&self, method: &str, params: &Params<'_>) -> Answer {
        match method {
            "anvil_dropTransaction" => self.drop_transaction(params),
            "anvil_mine" | "hardhat_mine" => self.mine(params),
            "anvil_reorg" => self.reorg(params),
            "anvil_setBalance" | "hardhat_setBalance" => self.set_balance(params),
            "anvil_setCode" | "hardhat_setCode" => self.set_code(params),
            "anvil_setNextBlockBaseFeePerGas" | "hardhat_setNextBlockBaseFeePerGas" => {
                self.set_next_base_fee(params)
            }
            "anvil_setNonce" | "hardhat_setNonce" => self.set_nonce(params),
            "anvil_setStorageAt" | "hardhat_setStorageAt" => self.set_storage_at(params),
            "evm_increaseTime" => self.increase_time(params),
            "evm_mine" => self.mine_one(params),
            "evm_revert" => self.revert_to_mark(params),
            "evm_setAutomine" => self.set_automine(params),
            "evm_setIntervalMining" => self.set_interval(params),
            "evm_setNextBlockTimestamp" => self.set_next_timestamp(params),
            "evm_snapshot" => Ok(self.mark()),
            _ => Err(RpcErrorObject::method_not_found(method)),
        }
    }
}
