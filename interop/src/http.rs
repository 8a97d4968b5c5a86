//! A plain HTTP client for the tests' own requests: no redirects, no decoding, no header of its own.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::PATIENCE;

/// A keep-alive HTTP/1.1 client. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    /// The status line's code.
    pub status: StatusCode,
    /// Every header, repetitions included.
    pub headers: HeaderMap,
    /// The body, to its end.
    pub body: Bytes,
}

impl Http {
    /// A client without connections yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// GET `url`.
    ///
    /// # Errors
    /// When the exchange breaks or patience runs out.
    pub async fn get(&self, url: &str) -> Result<Reply> {
        self.send(Request::get(url).body(Full::default())?).await
    }

    /// GET `url` with one more header.
    ///
    /// # Errors
    /// When the exchange breaks or patience runs out.
    pub async fn get_with(&self, url: &str, name: &str, value: &str) -> Result<Reply> {
        self.send(
            Request::get(url)
                .header(name, value)
                .body(Full::default())?,
        )
        .await
    }

    /// POST `body` to `url` as JSON.
    ///
    /// # Errors
    /// When the exchange breaks or patience runs out.
    pub async fn post(&self, url: &str, body: &Value) -> Result<Reply> {
        let request = Request::post(url)
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        self.send(request).await
    }

    /// Sends `request` and reads the whole response.
    ///
    /// # Errors
    /// When the exchange breaks or patience runs out.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let uri = request.uri().clone();
        let exchange = async {
            let (head, body) = self.open(request).await?.into_parts();
            anyhow::Ok(Reply {
                status: head.status,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .context("no answer")
            .flatten()
            .with_context(|| format!("request to {uri}"))
    }

    /// Sends `request` and returns at the response's head, the body still to be read.
    ///
    /// # Errors
    /// When the exchange breaks or patience runs out before the head.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>> {
        let head = self.0.request(request);
        Ok(tokio::time::timeout(PATIENCE, head)
            .await
            .context("no answer")??)
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is not; the error shows its beginning.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| {
            let start: String = String::from_utf8_lossy(&self.body)
                .chars()
                .take(200)
                .collect();
            format!("{} with a body that is not JSON: {start}", self.status)
        })
    }

    /// A header's text, if it is there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.to_str().ok();
        if values.next().is_some() { None } else { first }
    }
    /// What a payment header of the answer says: JSON in standard base64 with padding, as the reference
    /// reads it.
    ///
    /// # Errors
    /// When the header is not there once, or says something else.
    pub fn decoded(&self, name: &str) -> Result<Value> {
        let text = self
            .header(name)
            .with_context(|| format!("{} without one {name}", self.status))?;
        let json = STANDARD.decode(text).with_context(|| name.to_owned())?;
        serde_json::from_slice(&json).with_context(|| name.to_owned())
    }

    /// The gate's own error code, in `error.code`.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        body["error"]["code"].as_str().map(str::to_owned)
    }
}
