//! A line between the gate and something it depends on, which the test can disturb: a node's JSON-RPC,
//! where calls are known by their method, or a facilitator, where they are known by their path.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING,
};
use hyper::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::sync::watch;

use crate::listener::{Body, Listener};
use crate::{Http, Reply};

/// Stands for every call.
pub const ANY: &str = "*";

/// What happens to calls on a disturbed line.
#[derive(Debug, Clone)]
pub enum Fault {
    /// They do not get there: the connection breaks off.
    Lost,
    /// They get there, and the answer is lost: the connection breaks off.
    AnswerLost,
    /// They wait on the line until it is mended, and then get there.
    Held,
    /// They do not get there, and are answered with this status and body.
    Answered(u16, Value),
    /// They get there, and a JSON-RPC result comes back as something else.
    Edited(fn(&mut Value)),
}

/// The line. Dropping it cuts it.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    end: tokio::sync::Mutex<End>,
}

/// The end that the gate connects to.
#[derive(Debug)]
enum End {
    Open(Listener),
    /// Holds the port, and refuses connections.
    Closed(TcpSocket),
}

#[derive(Debug)]
struct Shared {
    target: String,
    http: Http,
    faults: watch::Sender<HashMap<String, Fault>>,
    calls: watch::Sender<Vec<String>>,
}

impl Relay {
    /// A line to the server at `target`, undisturbed.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start(target: &str) -> Result<Self> {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            http: Http::new(),
            faults: watch::Sender::default(),
            calls: watch::Sender::default(),
        });
        let answering = Arc::clone(&shared);
        let listener =
            Listener::start(move |request| answer(Arc::clone(&answering), request)).await?;
        Ok(Self {
            address: listener.address(),
            shared,
            end: tokio::sync::Mutex::new(End::Open(listener)),
        })
    }

    /// Its address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Disturbs every call of this name from now on.
    pub fn disturb(&self, call: &str, fault: Fault) {
        self.shared.faults.send_modify(|faults| {
            faults.insert(call.to_owned(), fault);
        });
    }

    /// Ends every disturbance; what was held goes on.
    pub fn mend(&self) {
        self.shared.faults.send_modify(HashMap::clear);
    }

    /// Cuts the line: connections end and new ones are refused, as by a server that is down.
    ///
    /// # Errors
    /// When the port cannot be kept.
    pub async fn cut(&self) -> Result<()> {
        let mut end = self.end.lock().await;
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        let keep = |socket: &TcpSocket| socket.bind(self.address).context("lost the port");
        match std::mem::replace(&mut *end, End::Closed(TcpSocket::new_v4()?)) {
            End::Open(listener) => {
                listener.stop().await;
                keep(&socket)?;
                *end = End::Closed(socket);
            }
            closed @ End::Closed(_) => *end = closed,
        }
        Ok(())
    }

    /// Takes connections again after [`Relay::cut`].
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn restore(&self) -> Result<()> {
        let mut end = self.end.lock().await;
        if let End::Closed(socket) = std::mem::replace(&mut *end, End::Closed(TcpSocket::new_v4()?))
        {
            let answering = Arc::clone(&self.shared);
            let answer = move |request| answer(Arc::clone(&answering), request);
            *end = End::Open(Listener::on(socket.listen(1024)?, answer)?);
        }
        Ok(())
    }

    /// How often a call came, whatever became of it.
    #[must_use]
    pub fn calls(&self, call: &str) -> usize {
        count(&self.shared.calls.borrow(), call)
    }

    /// Waits until a call has come `times` times.
    ///
    /// # Errors
    /// When patience runs out.
    pub async fn called(&self, call: &str, times: usize) -> Result<()> {
        let mut calls = self.shared.calls.subscribe();
        let enough = calls.wait_for(|calls| count(calls, call) >= times);
        tokio::time::timeout(crate::PATIENCE, enough)
            .await
            .with_context(|| format!("{call} came {} of {times} times", self.calls(call)))??;
        Ok(())
    }
}

fn count(calls: &[String], call: &str) -> usize {
    let is_meant = |seen: &&String| call == ANY || *seen == call;
    calls.iter().filter(is_meant).count()
}

/// Fails only to have the connection closed.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let names = names(head.uri.path(), &body);
    shared
        .calls
        .send_modify(|calls| calls.extend(names.clone()));
    let mut faults = shared.faults.subscribe();
    let fault = loop {
        let found = {
            let faults = faults.borrow_and_update();
            let of_name = names.iter().find_map(|name| faults.get(name));
            of_name.or_else(|| faults.get(ANY)).cloned()
        };
        match found {
            Some(Fault::Held) => faults.changed().await.map_err(io::Error::other)?,
            other => break other,
        }
    };
    match fault {
        Some(Fault::Lost) => return Err(io::Error::other("cut on purpose")),
        Some(Fault::Answered(status, body)) => return Ok(json(status, &body)),
        None | Some(Fault::AnswerLost | Fault::Held | Fault::Edited(_)) => {}
    }
    let target = format!("{}{}", shared.target, head.uri);
    head.uri = target.parse().map_err(io::Error::other)?;
    head.headers.remove(HOST);
    head.headers.remove(CONTENT_LENGTH);
    let request = Request::from_parts(head, Full::new(body));
    let reply = shared.http.send(request).await.map_err(io::Error::other)?;
    match fault {
        Some(Fault::AnswerLost) => Err(io::Error::other("cut on purpose")),
        Some(Fault::Edited(edit)) => {
            let mut answer = reply.json().map_err(io::Error::other)?;
            for result in results(&mut answer) {
                edit(result);
            }
            Ok(json(reply.status.as_u16(), &answer))
        }
        _ => Ok(passed(reply)),
    }
}

/// The calls that a request makes: its JSON-RPC methods, or its path.
fn names(path: &str, body: &[u8]) -> Vec<String> {
    let body = serde_json::from_slice(body).unwrap_or_default();
    let method = |call: &Value| call["method"].as_str().map(str::to_owned);
    let methods: Vec<_> = match &body {
        Value::Array(calls) => calls.iter().filter_map(method).collect(),
        call => method(call).into_iter().collect(),
    };
    if methods.is_empty() {
        vec![path.to_owned()]
    } else {
        methods
    }
}

fn results(answer: &mut Value) -> Vec<&mut Value> {
    match answer {
        Value::Array(answers) => answers
            .iter_mut()
            .filter_map(|one| one.get_mut("result"))
            .collect(),
        one => one.get_mut("result").into_iter().collect(),
    }
}

fn passed(reply: Reply) -> Response<Body> {
    let mut response = Response::new(whole(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    // The body's framing is this line's own.
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    response
}

fn json(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::from(body.to_string())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn whole(content: Bytes) -> Body {
    Full::new(content).map_err(|never| match never {}).boxed()
}
