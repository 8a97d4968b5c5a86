//! What only the chain knows of a payer, asked for once a block (money rule 12).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use octroi_types::{Address, Amount};
use octroi_x402::{CheckedAuthorization, PayerCheck, Reason, Terms};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::abi;
use crate::engine::Engine;
use crate::rpc::{BlockTag, Rpc, RpcError};

/// Most payers that are remembered.
const PAYERS_MAX: usize = 65_536;

/// Facts of a payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) has_code: bool,
    pub(crate) balance: Amount,
}

/// Answers by token and payer. Whoever asks while an answer is under way gets that answer too, and
/// if it is a failure, the same failure.
#[derive(Default)]
pub(crate) struct PayerFacts {
    known: Mutex<HashMap<(Address, Address), Known>>,
}

type Answer = Shared<BoxFuture<'static, Result<Facts, RpcError>>>;

struct Known {
    asked: Instant,
    answer: Answer,
}

impl Known {
    /// Whether it is under way or good, and not too old.
    fn is_usable(&self, age_max: Option<Duration>) -> bool {
        let is_young = age_max.is_none_or(|age_max| self.asked.elapsed() < age_max);
        is_young && !matches!(self.answer.peek(), Some(Err(_)))
    }
}

impl PayerFacts {
    /// The facts, at most so old; `None` takes any age.
    pub(crate) async fn get(
        &self,
        rpc: &Rpc,
        token: Address,
        payer: Address,
        age_max: Option<Duration>,
    ) -> Result<Facts, RpcError> {
        self.answer(rpc, token, payer, age_max).await
    }

    /// Asks anew about a payer: something was done that changes the answer.
    pub(crate) fn forget(&self, token: Address, payer: Address) {
        self.known.lock().remove(&(token, payer));
    }

    fn answer(
        &self,
        rpc: &Rpc,
        token: Address,
        payer: Address,
        age_max: Option<Duration>,
    ) -> Answer {
        let key = (token, payer);
        let mut known = self.known.lock();
        if let Some(known) = known.get(&key).filter(|known| known.is_usable(age_max)) {
            return known.answer.clone();
        }
        let rpc = rpc.clone();
        let ask = async move {
            let (has_code, balance) = rpc.payer_facts(token, payer).await?;
            Ok(Facts { has_code, balance })
        };
        let answer = ask.boxed().shared();
        if known.len() >= PAYERS_MAX {
            known.retain(|_, known| known.is_usable(age_max));
        }
        // Where there are too many even so, this one is asked about and not remembered.
        if known.len() < PAYERS_MAX {
            known.insert(
                key,
                Known {
                    asked: Instant::now(),
                    answer: answer.clone(),
                },
            );
        }
        answer
    }
}

/// Checks what only the chain knows: whether the payer really signed, and has the money. The
/// balance, if all is well.
pub(crate) async fn check(
    engine: &Engine,
    authorization: &CheckedAuthorization,
    terms: &Terms,
) -> Result<Result<Amount, Reason>, RpcError> {
    let age_max = Some(engine.options.block_time);
    let payer = authorization.payer;
    let facts = engine
        .payers
        .get(&engine.rpc, terms.asset(), payer, age_max)
        .await?;
    let factories = &engine.options.erc6492_factories;
    let check = match authorization.payer_check(facts.has_code, factories) {
        Ok(check) => check,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Err(reason) = ask_wallet(engine, authorization, &check).await? {
        return Ok(Err(reason));
    }
    if facts.balance < authorization.value {
        return Ok(Err(Reason::InsufficientBalance));
    }
    Ok(Ok(facts.balance))
}

/// Lets the payer's wallet decide, where it has to.
async fn ask_wallet(
    engine: &Engine,
    authorization: &CheckedAuthorization,
    check: &PayerCheck<'_>,
) -> Result<Result<(), Reason>, RpcError> {
    let digest = authorization.digest;
    let signed = match check {
        PayerCheck::Proven => return Ok(Ok(())),
        PayerCheck::AskWallet { signature } => {
            let question = abi::is_valid_signature(digest, signature);
            let gas = engine.options.gas_per_wallet_authorization;
            let asked =
                engine
                    .rpc
                    .eth_call(None, authorization.payer, &question, gas, BlockTag::Latest);
            match asked.await {
                Ok(answer) => abi::is_signed(&answer),
                Err(error) if error.is_revert() => false,
                Err(error) => return Err(error),
            }
        }
        PayerCheck::DeployFirst { .. } if !engine.has_multicall() => {
            return Ok(Err(Reason::UndeployedSmartWallet));
        }
        PayerCheck::DeployFirst {
            factory,
            calldata,
            signature,
        } => {
            let question = abi::is_valid_signature(digest, signature);
            let calls = [(*factory, *calldata), (authorization.payer, &question[..])];
            let batch = abi::aggregate3(calls.into_iter());
            let options = &engine.options;
            let gas = options
                .gas_per_deployment
                .saturating_add(options.gas_per_wallet_authorization);
            let asked = engine
                .rpc
                .eth_call(None, options.multicall, &batch, gas, BlockTag::Latest);
            let returned = match asked.await {
                Ok(returned) => returned,
                Err(error) if error.is_revert() => {
                    return Ok(Err(Reason::SmartWalletDeploymentFailed));
                }
                Err(error) => return Err(error),
            };
            let results =
                abi::aggregate3_results(&returned, calls.len()).ok_or(RpcError::Malformed)?;
            match results.as_slice() {
                [(true, _), (success, answer)] => *success && abi::is_signed(answer),
                _ => return Ok(Err(Reason::SmartWalletDeploymentFailed)),
            }
        }
    };
    Ok(if signed {
        Ok(())
    } else {
        Err(Reason::InvalidSignature)
    })
}
