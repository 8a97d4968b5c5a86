//! The start-up check of a chain's tokens (money rule 20).

use octroi_types::{Address, B256, ChainId};

use crate::abi;
use crate::options::{AcceptedToken, ChainOptions};
use crate::rpc::{BlockTag, Rpc, RpcError};
use crate::token::QUESTION_GAS;

/// Why a chain is not opened. Each says what was configured and what the chain says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The node is of another chain.
    #[error("{name} is configured as {configured}, but its node says that it is of {told}")]
    OtherChain {
        /// The chain's name in the configuration.
        name: String,
        /// The configured chain.
        configured: ChainId,
        /// The node's chain.
        told: ChainId,
    },
    /// There is nothing at a token's address.
    #[error("{name}: there is no contract at the token's address {token}")]
    NoContract {
        /// The chain's name in the configuration.
        name: String,
        /// The configured token.
        token: Address,
    },
    /// A token says something else about itself than the configuration.
    #[error(
        "{name}: the {what} of {token} is configured as {configured}, but the contract says {told}"
    )]
    TokenDiffers {
        /// The chain's name in the configuration.
        name: String,
        /// The token.
        token: Address,
        /// What differs.
        what: &'static str,
        /// What is configured, or follows from it.
        configured: String,
        /// What the contract answers.
        told: String,
    },
    /// A token is configured for another chain.
    #[error("{name} is {chain}, but its token {token} is configured for {configured}")]
    TokenOfOtherChain {
        /// The chain's name in the configuration.
        name: String,
        /// The chain.
        chain: ChainId,
        /// The token.
        token: Address,
        /// The token's chain.
        configured: ChainId,
    },
    /// Nobody can settle.
    #[error("{name} has neither a settlement wallet nor a facilitator")]
    NoSettler {
        /// The chain's name in the configuration.
        name: String,
    },
    /// The facilitator does not settle on this chain.
    #[error("{name}: the facilitator does not settle `exact` payments on {chain}")]
    NotSettledThere {
        /// The chain's name in the configuration.
        name: String,
        /// The chain.
        chain: ChainId,
    },
    /// Two lanes of one nonce sequence would get into each other's way.
    #[error("{name}: the settlement wallet {wallet} is configured twice")]
    WalletTwice {
        /// The chain's name in the configuration.
        name: String,
        /// The wallet.
        wallet: Address,
    },
}

/// What the check found beside that all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Whether the chain has Multicall3.
    pub(crate) has_multicall: bool,
}

/// Compares the configuration with the chain.
pub(crate) async fn check(
    rpc: &Rpc,
    options: &ChainOptions,
) -> Result<Result<Checked, StartError>, RpcError> {
    let told = rpc.chain_id().await?;
    if told != options.chain {
        let name = options.name.clone();
        return Ok(Err(StartError::OtherChain {
            name,
            configured: options.chain,
            told,
        }));
    }
    for accepted in &options.tokens {
        if let Err(error) = check_token(rpc, &options.name, accepted).await? {
            return Ok(Err(error));
        }
    }
    let has_multicall = !rpc.code(options.multicall).await?.is_empty();
    Ok(Ok(Checked { has_multicall }))
}

async fn check_token(
    rpc: &Rpc,
    name: &str,
    accepted: &AcceptedToken,
) -> Result<Result<(), StartError>, RpcError> {
    let token = &accepted.token;
    let address = token.address();
    if rpc.code(address).await?.is_empty() {
        let name = name.to_owned();
        return Ok(Err(StartError::NoContract {
            name,
            token: address,
        }));
    }
    let differs = |what, configured: &dyn ToString, told: String| {
        Ok(Err(StartError::TokenDiffers {
            name: name.to_owned(),
            token: address,
            what,
            configured: configured.to_string(),
            told,
        }))
    };
    // The separator covers name, version, chain and contract; the rest is asked so that the
    // difference has a name. Not every token has a `version()`.
    for (what, signature, configured) in [
        ("EIP-712 name", "name()", token.domain_name()),
        ("EIP-712 version", "version()", token.domain_version()),
    ] {
        let told = ask(rpc, address, signature)
            .await?
            .and_then(|data| abi::read_string(&data));
        if let Some(told) = told.filter(|told| told != configured) {
            return differs(what, &configured, told);
        }
    }
    let decimals = ask(rpc, address, "decimals()")
        .await?
        .and_then(|data| abi::read_amount(&data));
    if decimals.map(|told| told.units()) != Some(accepted.decimals.into()) {
        return differs(
            "number of decimals",
            &accepted.decimals,
            or_nothing(decimals),
        );
    }
    let separator = ask(rpc, address, "DOMAIN_SEPARATOR()").await?;
    let separator = separator
        .and_then(|data| <[u8; 32]>::try_from(data).ok())
        .map(B256);
    if separator != Some(token.domain_separator()) {
        let configured = token.domain_separator();
        return differs("DOMAIN_SEPARATOR", &configured, or_nothing(separator));
    }
    Ok(Ok(()))
}

/// What a token answers to a question without arguments; `None` if it does not know it.
async fn ask(rpc: &Rpc, token: Address, signature: &str) -> Result<Option<Vec<u8>>, RpcError> {
    let data = abi::selector(signature);
    match rpc
        .eth_call(None, token, &data, QUESTION_GAS, BlockTag::Latest)
        .await
    {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_revert() => Ok(None),
        Err(error) => Err(error),
    }
}

fn or_nothing(told: Option<impl ToString>) -> String {
    told.map_or_else(|| "nothing".to_owned(), |told| told.to_string())
}
