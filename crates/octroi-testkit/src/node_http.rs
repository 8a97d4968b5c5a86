//! The way to the chain over HTTP, for gates in a process of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use octroi_chain::RpcError;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::node::{NoAnswer, Node};

/// Ends a connection without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

impl Node {
    /// Answers JSON-RPC on a free port as long as the runtime lives.
    pub async fn listen(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(&node, request));
                    // A connection that is cut is what some tests are about.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        address
    }

    async fn request(&self, request: &Value) -> Result<Value, Cut> {
        let id = &request["id"];
        let method = request["method"].as_str().unwrap_or_default();
        match self.answer(method, &request["params"]).await {
            Ok(result) => Ok(json!({ "jsonrpc": "2.0", "id": id, "result": result })),
            Err(NoAnswer::Refused(RpcError::Refused {
                code,
                message,
                data,
            })) => {
                let data = data.map(|data| format!("0x{}", hex::encode(data)));
                let error = json!({ "code": code, "message": message, "data": data });
                Ok(json!({ "jsonrpc": "2.0", "id": id, "error": error }))
            }
            Err(NoAnswer::Refused(_) | NoAnswer::Cut) => Err(Cut),
        }
    }
}

async fn respond(
    node: &Node,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(|_| Cut)?
        .to_bytes();
    let answer = match serde_json::from_slice(&body).map_err(|_| Cut)? {
        Value::Array(batch) => {
            let mut answers = Vec::with_capacity(batch.len());
            for request in &batch {
                answers.push(node.request(request).await?);
            }
            Value::Array(answers)
        }
        request => node.request(&request).await?,
    };
    Ok(Response::new(Full::from(answer.to_string())))
}
