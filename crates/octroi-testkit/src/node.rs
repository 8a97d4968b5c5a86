//! The way to the chain, which loses, delays and falsifies what it is told to.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use octroi_chain::{RpcError, Transport};
use octroi_devnet::DevNet;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::hold::Hold;

/// What happens to a call.
pub enum Fault {
    /// The node is not reached.
    Unreachable,
    /// The node does nothing and says nothing.
    Silent,
    /// The node does as it is asked, and its answer is lost.
    AnswerLost,
    /// The node says this and does nothing.
    Say(Value),
    /// The node says this after it did as it was asked.
    Twist(Box<dyn Fn(Value) -> Value + Send>),
    /// The node refuses with these words.
    Refuse(&'static str),
    /// The call waits before the node hears of it.
    HoldCall(Hold),
    /// The node does as it is asked, and its answer waits.
    HoldAnswer(Hold),
}

/// Decides what happens to a call; `None` lets it through.
type Rule = Box<dyn FnMut(&str, &Value) -> Option<Fault> + Send>;

/// A way to a local chain.
pub struct Node {
    devnet: Arc<DevNet>,
    rules: Mutex<Vec<(u64, Rule)>>,
    next_rule: Mutex<u64>,
    calls: Mutex<HashMap<String, usize>>,
}

/// A rule that is in force until this is dropped.
#[must_use]
pub struct InForce {
    node: Arc<Node>,
    id: u64,
}

impl Drop for InForce {
    fn drop(&mut self) {
        self.node.rules.lock().retain(|(id, _)| *id != self.id);
    }
}

/// Why a call over HTTP gets no answer.
pub(crate) enum NoAnswer {
    /// The connection ends.
    Cut,
    /// The node says so.
    Refused(RpcError),
}

impl Node {
    /// A way that does nothing wrong yet.
    #[must_use]
    pub fn new(devnet: Arc<DevNet>) -> Arc<Self> {
        Arc::new(Self {
            devnet,
            rules: Mutex::default(),
            next_rule: Mutex::default(),
            calls: Mutex::default(),
        })
    }

    /// Lays down a rule. The first that has something to say about a call decides.
    pub fn rule(
        self: &Arc<Self>,
        rule: impl FnMut(&str, &Value) -> Option<Fault> + Send + 'static,
    ) -> InForce {
        let mut next = self.next_rule.lock();
        *next += 1;
        self.rules.lock().push((*next, Box::new(rule)));
        InForce {
            node: Arc::clone(self),
            id: *next,
        }
    }

    /// Lets something happen to every call of some methods.
    pub fn always(
        self: &Arc<Self>,
        methods: &'static [&'static str],
        fault: impl Fn() -> Fault + Send + 'static,
    ) -> InForce {
        self.rule(move |called, _| methods.contains(&called).then(&fault))
    }

    /// No call gets through.
    pub fn down(self: &Arc<Self>) -> InForce {
        self.rule(|_, _| Some(Fault::Unreachable))
    }

    /// How often a method was called.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.calls.lock().get(method).copied().unwrap_or_default()
    }

    fn fault(&self, method: &str, params: &Value) -> Option<Fault> {
        self.rules
            .lock()
            .iter_mut()
            .find_map(|(_, rule)| rule(method, params))
    }

    fn ask(&self, method: &str, params: &Value) -> Result<Value, NoAnswer> {
        self.devnet.handle(method, params).map_err(|error| {
            let data = error
                .data
                .as_ref()
                .and_then(Value::as_str)
                .and_then(|text| hex::decode(text.trim_start_matches("0x")).ok());
            NoAnswer::Refused(RpcError::Refused {
                code: error.code,
                message: error.message,
                data,
            })
        })
    }

    pub(crate) async fn answer(&self, method: &str, params: &Value) -> Result<Value, NoAnswer> {
        *self.calls.lock().entry(method.to_owned()).or_default() += 1;
        // A call is never over at once: whoever relies on that is found out here.
        tokio::task::yield_now().await;
        match self.fault(method, params) {
            None => self.ask(method, params),
            Some(Fault::Unreachable) => Err(NoAnswer::Refused(RpcError::Unreachable)),
            Some(Fault::Silent) => Err(NoAnswer::Cut),
            Some(Fault::AnswerLost) => {
                drop(self.ask(method, params));
                Err(NoAnswer::Cut)
            }
            Some(Fault::Say(value)) => Ok(value),
            Some(Fault::Twist(twist)) => self.ask(method, params).map(twist),
            Some(Fault::Refuse(message)) => Err(NoAnswer::Refused(RpcError::Refused {
                code: -32_000,
                message: message.to_owned(),
                data: None,
            })),
            Some(Fault::HoldCall(hold)) => {
                hold.pass().await;
                self.ask(method, params)
            }
            Some(Fault::HoldAnswer(hold)) => {
                let answer = self.ask(method, params);
                hold.pass().await;
                answer
            }
        }
    }
}

#[async_trait]
impl Transport for Node {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        self.answer(method, &params)
            .await
            .map_err(|none| match none {
                NoAnswer::Cut => RpcError::Silent,
                NoAnswer::Refused(error) => error,
            })
    }

    fn blocks(&self) -> Option<watch::Receiver<u64>> {
        Some(self.devnet.subscribe_blocks())
    }
}
