//! Questions to a token.

use octroi_types::{Address, Amount};

use crate::abi;
use crate::call::Transfer;
use crate::engine::Engine;
use crate::rpc::{BlockTag, Rpc, RpcError};

/// Gas for a question to a token: a few reads of storage, through a proxy.
pub(crate) const QUESTION_GAS: u64 = 200_000;

/// Most questions in one call.
const QUESTIONS_MAX: usize = 100;

/// The balance of an account, saturating at what can be booked.
pub(crate) async fn balance(
    rpc: &Rpc,
    token: Address,
    account: Address,
) -> Result<Amount, RpcError> {
    let data = abi::balance_of(account);
    let returned = rpc
        .eth_call(None, token, &data, QUESTION_GAS, BlockTag::Latest)
        .await?;
    abi::read_amount(&returned).ok_or(RpcError::Malformed)
}

/// Whether the token says, as of a block, that an authorization was used or cancelled.
pub(crate) async fn authorization_used(
    engine: &Engine,
    transfer: &Transfer,
    tag: BlockTag,
) -> Result<bool, RpcError> {
    let data = abi::authorization_state(transfer.from, transfer.nonce);
    let returned = engine
        .rpc
        .eth_call(None, transfer.token, &data, QUESTION_GAS, tag)
        .await?;
    abi::read_bool(&returned).ok_or(RpcError::Malformed)
}

/// The same for many, as of now, in few calls where the chain has Multicall3. `None` for those whose
/// token does not tell.
pub(crate) async fn authorizations_used(
    engine: &Engine,
    transfers: &[Transfer],
) -> Result<Vec<Option<bool>>, RpcError> {
    let mut used = Vec::with_capacity(transfers.len());
    if !engine.has_multicall() {
        for transfer in transfers {
            used.push(
                authorization_used(engine, transfer, BlockTag::Latest)
                    .await
                    .ok(),
            );
        }
        return Ok(used);
    }
    for chunk in transfers.chunks(QUESTIONS_MAX) {
        let questions: Vec<_> = chunk
            .iter()
            .map(|transfer| {
                (
                    transfer.token,
                    abi::authorization_state(transfer.from, transfer.nonce),
                )
            })
            .collect();
        let batch = abi::aggregate3(questions.iter().map(|(token, data)| (*token, &data[..])));
        let gas = QUESTION_GAS.saturating_mul(chunk.len() as u64);
        let multicall = engine.options.multicall;
        let returned = engine
            .rpc
            .eth_call(None, multicall, &batch, gas, BlockTag::Latest)
            .await?;
        let results = abi::aggregate3_results(&returned, chunk.len()).ok_or(RpcError::Malformed)?;
        let states = results
            .iter()
            .map(|(success, answer)| abi::read_bool(answer).filter(|_| *success));
        used.extend(states);
    }
    Ok(used)
}
