//! Whole request bodies: one call or a batch.

use serde_json::{Value, json};

use crate::node::DevNet;
use crate::rpc::RpcErrorObject;

/// The most calls in one batch.
const BATCH_MAX: usize = 1000;

impl DevNet {
    /// Answers a request body as an HTTP server passes it on. The answer is JSON; it is empty if
    /// the body was notifications only.
    #[must_use]
    pub fn handle_body(&self, body: &[u8]) -> Vec<u8> {
        let answer = match serde_json::from_slice::<Value>(body) {
            Err(_) => Some(failure(&Value::Null, &RpcErrorObject::parse_error())),
            Ok(Value::Array(batch)) => self.batch(&batch),
            Ok(request) => self.request(&request),
        };
        answer.map_or_else(Vec::new, |answer| answer.to_string().into_bytes())
    }

    fn batch(&self, batch: &[Value]) -> Option<Value> {
        if batch.is_empty() {
            return Some(failure(&Value::Null, &RpcErrorObject::invalid_request()));
        }
        if batch.len() > BATCH_MAX {
            let error = RpcErrorObject::limit_exceeded(format!("more than {BATCH_MAX} calls"));
            return Some(failure(&Value::Null, &error));
        }
        let answers: Vec<_> = batch
            .iter()
            .filter_map(|request| self.request(request))
            .collect();
        (!answers.is_empty()).then_some(Value::Array(answers))
    }

    /// Answers one request object, or nothing if it is a notification.
    fn request(&self, request: &Value) -> Option<Value> {
        let Some(method) = request["method"].as_str() else {
            let id = request.get("id").unwrap_or(&Value::Null);
            return Some(failure(id, &RpcErrorObject::invalid_request()));
        };
        let answer = self.handle(method, &request["params"]);
        let id = request.get("id")?;
        Some(match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => failure(id, &error),
        })
    }
}

fn failure(id: &Value, error: &RpcErrorObject) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error.to_json() })
}
