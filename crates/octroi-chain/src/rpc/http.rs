//! JSON-RPC over HTTP, to one node or to the next if that one fails.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use octroi_egress::{Client, FetchRequest};
use octroi_types::Redacted;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::transport::{RpcError, Transport, is_busy};

/// Longest part of a node's error message that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 200;
/// Rest of a node after its first failure; it doubles with each further one.
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(30);

/// How nodes are reached.
#[derive(Debug, Clone)]
pub struct HttpTransportOptions {
    /// Their URLs, the preferred one first. They often hold an access key, so they are not shown.
    pub urls: Vec<Redacted<String>>,
    /// How long one node may take for one message.
    pub timeout: Duration,
    /// Longest answer, in bytes.
    pub body_bytes_max: usize,
}

impl HttpTransportOptions {
    /// The defaults for these nodes.
    #[must_use]
    pub const fn new(urls: Vec<Redacted<String>>) -> Self {
        Self {
            urls,
            timeout: Duration::from_secs(5),
            body_bytes_max: 8 << 20,
        }
    }
}

/// Speaks to one node, and to the next in the list when it does not answer. A node that failed rests
/// for a growing time, and is asked all the same when every other one fails too.
///
/// Every method that the engine uses may be repeated at another node: reading changes nothing, and a
/// signed transaction is the same transaction everywhere.
pub struct HttpTransport {
    client: Client,
    nodes: Vec<Node>,
    timeout: Duration,
    body_bytes_max: usize,
}

struct Node {
    url: Redacted<String>,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    failures: u32,
    rests_until: Option<Instant>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("nodes", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// Prepares the way; nothing is connected yet.
    #[must_use]
    pub fn new(options: HttpTransportOptions, client: Client) -> Self {
        let node = |url| Node {
            url,
            health: Mutex::default(),
        };
        Self {
            client,
            nodes: options.urls.into_iter().map(node).collect(),
            timeout: options.timeout,
            body_bytes_max: options.body_bytes_max,
        }
    }

    /// Posts a message and has the answer read, at the first node that gives one.
    async fn exchange<T>(
        &self,
        message: &Value,
        read: impl Fn(Value) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let mut worst = RpcError::Unreachable;
        for (index, node) in self.by_health() {
            let answer = match self.post(node, message).await {
                Ok(answer) => read(answer),
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if is_nodes_fault(&error) => {
                    self.failed(index, node, &error);
                    worst = worse(worst, error);
                }
                answer => {
                    self.worked(index, node);
                    return answer;
                }
            }
        }
        Err(worst)
    }

    /// Those that do not rest, in the order of preference, and then the others.
    fn by_health(&self) -> impl Iterator<Item = (usize, &Node)> {
        let now = Instant::now();
        let rests = |node: &Node| node.health.lock().rests_until.is_some_and(|end| end > now);
        let (resting, ready): (Vec<_>, Vec<_>) = self
            .nodes
            .iter()
            .enumerate()
            .partition(|(_, node)| rests(node));
        ready.into_iter().chain(resting)
    }

    fn failed(&self, index: usize, node: &Node, error: &RpcError) {
        let mut health = node.health.lock();
        let rest = REST_MIN
            .saturating_mul(1 << health.failures.min(16))
            .min(REST_MAX);
        health.rests_until = Some(Instant::now() + rest);
        health.failures = health.failures.saturating_add(1);
        if health.failures == 1 {
            warn!(node = index, of = self.nodes.len(), error = %error, "a node fails");
        }
    }

    fn worked(&self, index: usize, node: &Node) {
        let mut health = node.health.lock();
        if health.failures > 0 {
            info!(node = index, of = self.nodes.len(), "a node works again");
        }
        *health = Health::default();
    }

    async fn post(&self, node: &Node, message: &Value) -> Result<Value, RpcError> {
        let mut request =
            FetchRequest::post_json(node.url.expose(), message).map_err(|_| RpcError::Malformed)?;
        request.timeout = self.timeout;
        request.body_bytes_max = self.body_bytes_max;
        let response = match self.client.fetch(request).await {
            Ok(response) => response,
            Err(error) if error.may_have_been_sent() => return Err(RpcError::Silent),
            Err(_) => return Err(RpcError::Unreachable),
        };
        match response.json::<Value>() {
            // Some nodes give their errors a status of their own.
            Ok(answer) if answer.is_array() || answer.is_object() => Ok(answer),
            _ if response.status.is_success() => Err(RpcError::Malformed),
            // A proxy before the node, or a node that is too busy.
            _ => Err(RpcError::Silent),
        }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        self.exchange(&request(0, method, &params), |answer| result_of(answer, 0))
            .await
    }

    async fn batch(
        &self,
        calls: Vec<(&'static str, Value)>,
    ) -> Result<Vec<Result<Value, RpcError>>, RpcError> {
        let requests: Vec<_> = calls
            .iter()
            .enumerate()
            .map(|(id, (method, params))| request(id, method, params))
            .collect();
        let count = calls.len();
        let read = |answer| match answer {
            Value::Array(answers) => Ok(Some(in_order(answers, count))),
            // One object for all of them: the node does not take batches.
            _ => Ok(None),
        };
        if let Some(answers) = self.exchange(&Value::Array(requests), read).await? {
            return Ok(answers);
        }
        let mut answers = Vec::with_capacity(count);
        for (method, params) in calls {
            answers.push(self.call(method, params).await);
        }
        Ok(answers)
    }
}

fn request(id: usize, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// Answers may come in any order.
pub(crate) fn in_order(answers: Vec<Value>, count: usize) -> Vec<Result<Value, RpcError>> {
    let mut results = vec![Err(RpcError::Malformed); count];
    for answer in answers {
        let id = answer["id"]
            .as_u64()
            .and_then(|id| usize::try_from(id).ok());
        if let Some((id, result)) = id.and_then(|id| Some((id, results.get_mut(id)?))) {
            *result = result_of(answer, id);
        }
    }
    results
}

fn result_of(mut answer: Value, id: usize) -> Result<Value, RpcError> {
    match answer.get("error") {
        Some(error) if !error.is_null() => return Err(refusal(error)),
        _ => {}
    }
    let is_ours = answer["id"] == id;
    match answer.get_mut("result") {
        Some(result) if is_ours => Ok(result.take()),
        _ => Err(RpcError::Malformed),
    }
}

fn refusal(error: &Value) -> RpcError {
    let (Some(code), Some(text)) = (error["code"].as_i64(), error["message"].as_str()) else {
        return RpcError::Malformed;
    };
    let mut message = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if message.len() + character.len_utf8() > MESSAGE_BYTES_MAX {
            break;
        }
        message.push(character);
    }
    let data = error["data"]
        .as_str()
        .and_then(|text| text.strip_prefix("0x"));
    let data = data.and_then(|digits| hex::decode(digits).ok());
    RpcError::Refused {
        code,
        message,
        data,
    }
}

/// Whether another node may do better.
fn is_nodes_fault(error: &RpcError) -> bool {
    match error {
        RpcError::Unreachable | RpcError::Silent | RpcError::Malformed => true,
        RpcError::Refused { code, .. } => is_busy(*code),
    }
}

/// Of several failures the one that leaves the most in doubt.
fn worse(one: RpcError, other: RpcError) -> RpcError {
    if one.may_have_been_sent() && !other.may_have_been_sent() {
        one
    } else {
        other
    }
}
