//! A way to the development network that loses, delays and falsifies what it is told to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use octroi_chain::{RpcError, Transport};
use octroi_devnet::DevNet;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

/// What happens to a call.
pub(crate) enum Fault {
    /// The node is not reached.
    Unreachable,
    /// The node does as it is asked, and its answer is lost.
    AnswerLost,
    /// The node says this and does nothing.
    Say(Value),
    /// The node says this after it did as it was asked.
    Twist(Box<dyn Fn(Value) -> Value + Send>),
    /// The node refuses with these words.
    Refuse(&'static str),
    /// The node has no time.
    Busy,
}

/// Decides what happens to a call; `None` lets it through.
type Rule = Box<dyn FnMut(&str, &Value) -> Option<Fault> + Send>;

pub(crate) struct Node {
    pub(crate) net: Arc<DevNet>,
    rules: Mutex<Vec<(u64, Rule)>>,
    next_rule: Mutex<u64>,
    calls: Mutex<HashMap<String, usize>>,
    /// Whether new blocks are pushed; without it the engine polls.
    pushes: bool,
}

/// A rule that stays in force until it is dropped.
pub(crate) struct InForce {
    node: Arc<Node>,
    id: u64,
}

impl Drop for InForce {
    fn drop(&mut self) {
        self.node.rules.lock().retain(|(id, _)| *id != self.id);
    }
}

impl Node {
    pub(crate) fn new(net: Arc<DevNet>, pushes: bool) -> Arc<Self> {
        Arc::new(Self {
            net,
            rules: Mutex::default(),
            next_rule: Mutex::default(),
            calls: Mutex::default(),
            pushes,
        })
    }

    /// Lays down a rule.
    pub(crate) fn rule(
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

    /// Lets something happen to every call of a method.
    pub(crate) fn always(
        self: &Arc<Self>,
        method: &'static str,
        fault: impl Fn() -> Fault + Send + 'static,
    ) -> InForce {
        self.rule(move |called, _| (called == method).then(&fault))
    }

    /// No call gets through.
    pub(crate) fn down(self: &Arc<Self>) -> InForce {
        self.rule(|_, _| Some(Fault::Unreachable))
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.calls.lock().get(method).copied().unwrap_or_default()
    }

    fn fault(&self, method: &str, params: &Value) -> Option<Fault> {
        self.rules
            .lock()
            .iter_mut()
            .find_map(|(_, rule)| rule(method, params))
    }

    fn answer(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        self.net
            .handle(method, params)
            .map_err(|error| RpcError::Refused {
                code: error.code,
                message: error.message,
                data: None,
            })
    }
}

#[async_trait]
impl Transport for Node {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        *self.calls.lock().entry(method.to_owned()).or_default() += 1;
        // A call is never over at once: whoever relies on that is found out here.
        tokio::task::yield_now().await;
        match self.fault(method, &params) {
            None => self.answer(method, &params),
            Some(Fault::Unreachable) => Err(RpcError::Unreachable),
            Some(Fault::AnswerLost) => {
                let _lost = self.answer(method, &params);
                Err(RpcError::Silent)
            }
            Some(Fault::Say(value)) => Ok(value),
            Some(Fault::Twist(twist)) => self.answer(method, &params).map(twist),
            Some(Fault::Refuse(message)) => Err(RpcError::Refused {
                code: -32000,
                message: message.to_owned(),
                data: None,
            }),
            Some(Fault::Busy) => Err(RpcError::Refused {
                code: -32005,
                message: "limit exceeded".to_owned(),
                data: None,
            }),
        }
    }

    fn blocks(&self) -> Option<watch::Receiver<u64>> {
        self.pushes.then(|| self.net.subscribe_blocks())
    }
}

/// Waits for a condition, and fails with its name if it never comes.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    const PATIENCE: Duration = Duration::from_secs(30);
    let waiting = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(found) => found,
        Err(_) => panic!("never: {what}"),
    }
}
