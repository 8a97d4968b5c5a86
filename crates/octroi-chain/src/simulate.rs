//! Trying a batch before anything is public (x402 scheme `exact` on EVM, phase 2 of EIP-3009).

use octroi_x402::Reason;

use crate::abi;
use crate::call::{Transfer, TransferCall};
use crate::engine::Engine;
use crate::rpc::{BlockTag, RpcError};
use crate::token::{authorization_used, balance};

/// For each call the reason why the chain would refuse it now, if it would. A wallet that is still
/// to be deployed is deployed in the simulation.
pub(crate) async fn simulate(
    engine: &Engine,
    calls: &[&TransferCall],
) -> Result<Vec<Option<Reason>>, RpcError> {
    let results = match calls {
        [] => return Ok(Vec::new()),
        [call] if call.deployment.is_none() => vec![try_alone(engine, call).await?],
        calls => match try_together(engine, calls).await? {
            Some(results) => results,
            None => return Ok(vec![Some(Reason::SmartWalletDeploymentFailed); calls.len()]),
        },
    };
    let mut reasons = Vec::with_capacity(calls.len());
    for (call, success) in calls.iter().zip(results) {
        let reason = if success {
            None
        } else {
            Some(diagnose(engine, &call.transfer).await?)
        };
        reasons.push(reason);
    }
    Ok(reasons)
}

async fn try_alone(engine: &Engine, call: &TransferCall) -> Result<bool, RpcError> {
    let gas = engine.options.gas_limit(&[call]);
    let token = call.transfer.token;
    match engine
        .rpc
        .eth_call(None, token, &call.data(), gas, BlockTag::Latest)
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.is_revert() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which of the calls go through, one after the other; `None` if a deployment does not.
async fn try_together(
    engine: &Engine,
    calls: &[&TransferCall],
) -> Result<Option<Vec<bool>>, RpcError> {
    let data: Vec<Vec<u8>> = calls.iter().map(|call| call.data()).collect();
    let mut items = Vec::with_capacity(calls.len() + 1);
    let mut gas = engine.options.gas_limit(calls);
    let deployment = calls.first().and_then(|call| call.deployment.as_ref());
    if let Some(deployment) = deployment {
        items.push((deployment.factory, &deployment.calldata.expose()[..]));
        gas = gas.saturating_add(engine.options.gas_per_deployment);
    }
    items.extend(
        calls
            .iter()
            .zip(&data)
            .map(|(call, data)| (call.transfer.token, &data[..])),
    );
    let batch = abi::aggregate3(items.iter().copied());
    let multicall = engine.options.multicall;
    let asked = engine
        .rpc
        .eth_call(None, multicall, &batch, gas, BlockTag::Latest);
    let returned = match asked.await {
        Ok(returned) => returned,
        Err(error) if error.is_revert() => return one_by_one(engine, calls).await.map(Some),
        Err(error) => return Err(error),
    };
    let results = abi::aggregate3_results(&returned, items.len()).ok_or(RpcError::Malformed)?;
    let mut successes = results.into_iter().map(|(success, _)| success);
    if deployment.is_some() && successes.next() != Some(true) {
        return Ok(None);
    }
    Ok(Some(successes.collect()))
}

/// Every call may fail by itself, so one of them took all the gas: the others are not to suffer for
/// it.
async fn one_by_one(engine: &Engine, calls: &[&TransferCall]) -> Result<Vec<bool>, RpcError> {
    let mut results = Vec::with_capacity(calls.len());
    for call in calls {
        results.push(try_alone(engine, call).await?);
    }
    Ok(results)
}

/// Why a transfer fails, asked of the token.
pub(crate) async fn diagnose(engine: &Engine, transfer: &Transfer) -> Result<Reason, RpcError> {
    if authorization_used(engine, transfer, BlockTag::Latest).await? {
        return Ok(Reason::NonceAlreadyUsed);
    }
    if balance(&engine.rpc, transfer.token, transfer.from).await? < transfer.value {
        return Ok(Reason::InsufficientBalance);
    }
    Ok(Reason::SimulationFailed)
}
