//! Calls that are run and not committed.

use alloy_primitives::{TxKind, U256};
use revm::context::result::{ExecutionResult, InvalidTransaction};
use revm::context::{BlockEnv, TxEnv};
use serde_json::Value;

use crate::chain::Chain;
use crate::execution;
use crate::node::DevNet;
use crate::overlay::Overlay;
use crate::rpc::params::{self, BlockId, Params};
use crate::rpc::{Answer, RpcErrorObject, values};

impl DevNet {
    pub(super) fn call(&self, params: &Params<'_>) -> Answer {
        let (request, id) = (self.request_of(params)?, params.block(1)?);
        let chain = self.chain.read();
        let (mut state, block) = (self.state_of(&chain, id)?, self.environment(&chain, id));
        match execution::call(&mut state, &self.rules, block, request).map_err(refused)? {
            ExecutionResult::Success { output, .. } => Ok(values::bytes(output.data())),
            ExecutionResult::Revert { output, .. } => Err(RpcErrorObject::reverted(&output)),
            ExecutionResult::Halt { reason, .. } => Err(halted(&reason)),
        }
    }

    /// The least gas limit with which the call succeeds. A call gets less gas than its caller
    /// has (EIP-150), so that can be more than the gas it uses.
    pub(super) fn estimate_gas(&self, params: &Params<'_>) -> Answer {
        let (mut request, id) = (self.request_of(params)?, params.block(1)?);
        let chain = self.chain.read();
        let block = self.environment(&chain, id);
        let try_with = |limit: u64, request: &mut TxEnv| {
            request.gas_limit = limit;
            let mut state: Overlay<'_> = self.state_of(&chain, id)?;
            execution::call(&mut state, &self.rules, block.clone(), request.clone())
                .map_err(refused)
        };
        let mut enough = request.gas_limit;
        let mut too_little = match try_with(enough, &mut request)? {
            // Nothing below what was burned can do, refunds come afterwards.
            ExecutionResult::Success { gas, .. } => gas.tx_gas_used().saturating_sub(1),
            ExecutionResult::Revert { output, .. } => {
                return Err(RpcErrorObject::reverted(&output));
            }
            ExecutionResult::Halt { reason, .. } => return Err(halted(&reason)),
        };
        while too_little + 1 < enough {
            let middle = too_little + (enough - too_little) / 2;
            match try_with(middle, &mut request) {
                Ok(ExecutionResult::Success { .. }) => enough = middle,
                // Too little to even start is an error, too little on the way is a result.
                Ok(_) | Err(_) => too_little = middle,
            }
        }
        Ok(values::quantity(enough))
    }

    /// What a call of this block sees. At the end of the chain that is the present: between two
    /// blocks of an instant network time goes on, and a payment's window must be judged by it.
    fn environment(&self, chain: &Chain, id: BlockId) -> BlockEnv {
        let head = chain.head();
        let next = chain.next_block(&self.rules, (self.clock)());
        match id.resolve(chain, self.finality) {
            Some(number) if number < head.number() => chain
                .history
                .link(number)
                .map_or_else(BlockEnv::default, |link| {
                    execution::environment_of(&link.block.header)
                }),
            _ if id == BlockId::Pending => next.environment(&self.rules),
            _ => BlockEnv {
                timestamp: U256::from(next.timestamp),
                ..execution::environment_of(&head.block.header)
            },
        }
    }

    fn request_of(&self, params: &Params<'_>) -> Result<TxEnv, RpcErrorObject> {
        if params.get(2).is_some() {
            return Err(RpcErrorObject::invalid_params(
                "invalid argument 2: state overrides are not supported",
            ));
        }
        let request = params
            .get(0)
            .filter(|value| value.is_object())
            .ok_or_else(|| RpcErrorObject::invalid_params("missing value for argument 0"))?;
        let limit = self.rules.block_gas_limit;
        Ok(TxEnv {
            caller: field(request, "from", params::address)?.unwrap_or_default(),
            gas_limit: field(request, "gas", params::number)?
                .unwrap_or(limit)
                .min(limit),
            kind: field(request, "to", params::address)?.map_or(TxKind::Create, TxKind::Call),
            value: field(request, "value", params::quantity)?.unwrap_or_default(),
            data: match field(request, "input", params::data)? {
                Some(input) => input,
                None => field(request, "data", params::data)?.unwrap_or_default(),
            },
            // Nobody pays for a call, so what it offers for gas is not looked at.
            gas_price: 0,
            chain_id: None,
            ..TxEnv::default()
        })
    }
}

fn field<T>(
    request: &Value,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, RpcErrorObject> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(RpcErrorObject::invalid_params(format!(
                "invalid argument 0: {name}"
            ))),
        },
    }
}

fn refused(error: InvalidTransaction) -> RpcErrorObject {
    RpcErrorObject::server(match error {
        InvalidTransaction::LackOfFundForMaxFee { .. } => {
            "insufficient funds for gas * price + value".to_owned()
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit {
            initial_gas: want,
            gas_limit: have,
        }
        | InvalidTransaction::GasFloorMoreThanGasLimit {
            gas_floor: want,
            gas_limit: have,
        } => format!("intrinsic gas too low: gas {have}, minimum needed {want}"),
        other => other.to_string(),
    })
}

fn halted(reason: &revm::context::result::HaltReason) -> RpcErrorObject {
    use revm::context::result::HaltReason;
    RpcErrorObject::server(match reason {
        HaltReason::OutOfGas(_) => "out of gas".to_owned(),
        other => format!("execution halted: {other:?}"),
    })
}
