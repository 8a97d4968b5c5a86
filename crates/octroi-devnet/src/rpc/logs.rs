//! Finding logs.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256, Log};
use serde_json::Value;

use crate::chain::Chain;
use crate::log_index::address_word;
use crate::node::DevNet;
use crate::rpc::params::{self, BlockId, Params};
use crate::rpc::{Answer, RpcErrorObject, values};

/// The most logs in one answer.
const LOGS_MAX: usize = 20_000;
/// A log has at most so many topics.
const TOPICS_MAX: usize = 4;

/// What a log must be like. An empty list of alternatives means anything.
#[derive(Debug, Default)]
struct Filter {
    addresses: Vec<Address>,
    topics: Vec<Vec<B256>>,
}

impl DevNet {
    pub(super) fn logs(&self, params: &Params<'_>) -> Answer {
        let request = params
            .get(0)
            .filter(|value| value.is_object())
            .ok_or_else(|| RpcErrorObject::invalid_params("missing value for argument 0"))?;
        let filter = Filter::of(request)?;
        let chain = self.chain.read();
        let range = self.range(request, &chain)?;
        let mut found = Vec::new();
        for number in filter.candidates(&chain, range) {
            let Some(link) = chain.history.link(number) else {
                continue;
            };
            let mut log_index = 0;
            for (index, mined) in link.block.transactions.iter().enumerate() {
                for log in &mined.logs {
                    if filter.matches(log) {
                        found.push(values::log(log, mined, link, index, log_index));
                    }
                    log_index += 1;
                }
            }
            if found.len() > LOGS_MAX {
                return Err(RpcErrorObject::limit_exceeded(format!(
                    "query returned more than {LOGS_MAX} results"
                )));
            }
        }
        Ok(Value::Array(found))
    }

    fn range(&self, request: &Value, chain: &Chain) -> Result<RangeInclusive<u64>, RpcErrorObject> {
        let invalid = |name| RpcErrorObject::invalid_params(format!("invalid argument 0: {name}"));
        if let Some(value) = request.get("blockHash").filter(|value| !value.is_null()) {
            let hash = params::hash(value).ok_or_else(|| invalid("blockHash"))?;
            let number = chain.history.number_of(hash);
            let number = number.ok_or_else(|| RpcErrorObject::server("unknown block"))?;
            return Ok(number..=number);
        }
        let bound = |name| match request.get(name).filter(|value| !value.is_null()) {
            None => Ok(BlockId::Latest),
            Some(value) => params::block(value).ok_or_else(|| invalid(name)),
        };
        let number = |id: BlockId| match id {
            // A range may reach beyond the newest block.
            BlockId::Number(number) => number,
            other => other
                .resolve(chain, self.finality)
                .unwrap_or_else(|| chain.head().number()),
        };
        let (from, to) = (number(bound("fromBlock")?), number(bound("toBlock")?));
        if from > to {
            return Err(RpcErrorObject::invalid_params("invalid block range params"));
        }
        Ok(from.max(chain.history.oldest().number())..=to.min(chain.head().number()))
    }
}

impl Filter {
    fn of(request: &Value) -> Result<Self, RpcErrorObject> {
        let invalid = |name| RpcErrorObject::invalid_params(format!("invalid argument 0: {name}"));
        let addresses = match request.get("address") {
            None => Vec::new(),
            Some(value) => {
                alternatives(value, params::address).ok_or_else(|| invalid("address"))?
            }
        };
        let topics = match request.get("topics") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(positions)) if positions.len() <= TOPICS_MAX => positions
                .iter()
                .map(|value| alternatives(value, params::hash))
                .collect::<Option<_>>()
                .ok_or_else(|| invalid("topics"))?,
            Some(_) => return Err(invalid("topics")),
        };
        Ok(Self { addresses, topics })
    }

    /// The blocks of the range that may hold a match: those that the most selective part of the
    /// filter points to, or all if it asks for nothing.
    fn candidates(&self, chain: &Chain, range: RangeInclusive<u64>) -> Vec<u64> {
        let index = &chain.history.logs;
        let addresses: Vec<_> = self.addresses.iter().copied().map(address_word).collect();
        let parts = self.topics.iter().chain(std::iter::once(&addresses));
        let asked = parts.filter(|words| !words.is_empty());
        match asked.min_by_key(|words| index.weight(words)) {
            Some(words) => {
                let mut numbers = index.mentioning(words);
                numbers.retain(|number| range.contains(number));
                numbers
            }
            None => range.collect(),
        }
    }

    fn matches(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics().len()
            && self
                .topics
                .iter()
                .zip(log.topics())
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }
}

/// One value, several, or null for anything.
fn alternatives<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(values) => values.iter().map(read).collect(),
        single => Some(vec![read(single)?]),
    }
}
