//! Finding out on the chain who used an authorization (money rule 17).

use octroi_store::Inclusion;

use crate::abi::{AUTHORIZATION_CANCELED, AUTHORIZATION_USED};
use crate::call::Transfer;
use crate::engine::Engine;
use crate::receipt::{mentions, proof};
use crate::rpc::{BlockTag, Log, LogFilter, RpcError};
use crate::token::authorization_used;

/// How far before its claim a foreign use of an authorization is looked for. What was used earlier
/// is not found, and so nothing is concluded from it.
const LOOK_BACK_SECONDS: u64 = 24 * 60 * 60;

/// What became of an authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is unused.
    None,
    /// It moved the money to the payee after our claim was durable, whoever sent it.
    Ours {
        inclusion: Inclusion,
        log_index: u64,
    },
    /// It was used before our claim, or did not move the money, or was cancelled.
    Foreign { inclusion: Inclusion },
    /// The token says that it was used, and nothing is found about it. A node that hides logs looks
    /// like that, so it proves nothing.
    Hidden,
}

/// Asks the token, and if the authorization was used looks for where.
pub(crate) async fn find_use(engine: &Engine, transfer: &Transfer) -> Result<Use, RpcError> {
    if !authorization_used(engine, transfer, BlockTag::Latest).await? {
        return Ok(Use::None);
    }
    Ok(locate(engine, transfer).await?.unwrap_or(Use::Hidden))
}

/// Whether an authorization that we have not sent was used before its claim, or may have been. Blocks
/// tell no smaller time than seconds, so a use in the claim's own second may be the older: then it has
/// bought something elsewhere, and nobody but the payer can have sent it.
pub(crate) async fn may_precede_claim(
    engine: &Engine,
    transfer: &Transfer,
) -> Result<bool, RpcError> {
    let inclusion = match find_use(engine, transfer).await? {
        Use::Foreign { .. } => return Ok(true),
        Use::None | Use::Hidden => return Ok(false),
        Use::Ours { inclusion, .. } => inclusion,
    };
    let number = BlockTag::Number(inclusion.block_number);
    let block = engine.rpc.block(number).await?.ok_or(RpcError::Malformed)?;
    let is_surely_later = block.timestamp > transfer.claimed_at.seconds();
    Ok(!is_surely_later && !engine.was_unused(transfer.claim))
}

/// Searches the logs backwards, from the newest block to the claim and some time before it.
pub(crate) async fn locate(engine: &Engine, transfer: &Transfer) -> Result<Option<Use>, RpcError> {
    let head = engine
        .rpc
        .block(BlockTag::Latest)
        .await?
        .ok_or(RpcError::Malformed)?;
    let since = transfer
        .claimed_at
        .seconds()
        .0
        .saturating_sub(LOOK_BACK_SECONDS);
    let blocks_max = engine.options.log_blocks_max.max(1);
    let mut to_block = head.number;
    loop {
        let from_block = to_block.saturating_sub(blocks_max - 1);
        let filter = LogFilter {
            address: transfer.token,
            topics: vec![
                vec![AUTHORIZATION_USED, AUTHORIZATION_CANCELED],
                vec![octroi_types::B256(transfer.from.to_word())],
                vec![transfer.nonce],
            ],
            from_block,
            to_block,
        };
        // Authorizations work once, so the first log is the only one.
        if let Some(log) = engine.rpc.logs(&filter).await?.first() {
            return judge(engine, transfer, log).await.map(Some);
        }
        if from_block == 0 {
            return Ok(None);
        }
        // A block that the node has forgotten is older than any that it can search.
        match engine.rpc.block(BlockTag::Number(from_block)).await? {
            Some(oldest) if oldest.timestamp.0 >= since => to_block = from_block - 1,
            Some(_) | None => return Ok(None),
        }
    }
}

/// Whether a use is ours, from the whole transaction and its block. A node that contradicts itself
/// is not believed.
async fn judge(engine: &Engine, transfer: &Transfer, log: &Log) -> Result<Use, RpcError> {
    let inclusion = Inclusion {
        tx_hash: log.tx_hash,
        block_number: log.block_number,
        block_hash: log.block_hash,
    };
    if log.topics.first() == Some(&AUTHORIZATION_CANCELED) {
        return Ok(Use::Foreign { inclusion });
    }
    let receipt = engine
        .rpc
        .receipt(log.tx_hash)
        .await?
        .ok_or(RpcError::Malformed)?;
    if receipt.block_hash != log.block_hash || !mentions(&receipt.logs, transfer) {
        return Err(RpcError::Malformed);
    }
    let Some(log_index) = proof(&receipt.logs, transfer) else {
        return Ok(Use::Foreign { inclusion });
    };
    let number = BlockTag::Number(log.block_number);
    let block = engine.rpc.block(number).await?.ok_or(RpcError::Malformed)?;
    if block.hash != log.block_hash {
        return Err(RpcError::Malformed);
    }
    let is_earlier = block.timestamp < transfer.claimed_at.seconds();
    if is_earlier && !engine.was_unused(transfer.claim) {
        return Ok(Use::Foreign { inclusion });
    }
    Ok(Use::Ours {
        inclusion,
        log_index,
    })
}
