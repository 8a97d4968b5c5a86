//! Reading a token's EIP-712 domain from its contract, for configurations that leave it out.

use std::sync::Arc;

use octroi_types::Address;

use crate::abi;
use crate::rpc::{BlockTag, Rpc, RpcError, Transport};
use crate::token::QUESTION_GAS;

/// What a token answers to `name()` and `version()`.
///
/// # Errors
/// [`RpcError`] if the node cannot be asked or the contract has no such methods.
pub async fn read_domain(
    transport: &Arc<dyn Transport>,
    token: Address,
) -> Result<(String, String), RpcError> {
    let rpc = Rpc::new(Arc::clone(transport));
    let name = read_text(&rpc, token, "name()").await?;
    let version = read_text(&rpc, token, "version()").await?;
    Ok((name, version))
}

async fn read_text(rpc: &Rpc, token: Address, signature: &str) -> Result<String, RpcError> {
    let question = abi::selector(signature);
    let returned = rpc
        .eth_call(None, token, &question, QUESTION_GAS, BlockTag::Latest)
        .await?;
    abi::read_string(&returned).ok_or(RpcError::Malformed)
}
