//! An origin that answers as it is told and remembers what it saw.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::http1::{Framing, Wire};
use crate::patience::within;
use crate::reply::{Kind, Part, Reply};

/// A request as the origin saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body, as far as it came.
    pub body: Bytes,
    /// What followed the body.
    pub trailers: HeaderMap,
    /// Whether the body came to its end.
    pub complete: bool,
}

impl Seen {
    /// A field's value; all values in one if there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let values = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap());
        let all: Vec<_> = values.collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A scripted origin, as long as the runtime lives.
#[derive(Clone)]
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    script: Mutex<Arc<Script>>,
    seen: Mutex<Vec<Seen>>,
    /// Heads that arrived, even of requests whose body never ended.
    calls: watch::Sender<usize>,
    /// Bytes of bodies that arrived, even of those that never ended.
    body_bytes: watch::Sender<usize>,
}

impl Origin {
    /// Starts on a free port, and answers `content` to everything.
    pub async fn start() -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts at an address, and answers `content` to everything.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(State {
                script: Mutex::new(Arc::new(|_: &Seen| Reply::ok("content"))),
                seen: Mutex::default(),
                calls: watch::Sender::default(),
                body_bytes: watch::Sender::default(),
            }),
        };
        let state = Arc::clone(&origin.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&state), stream));
            }
        });
        origin
    }

    /// An address where nobody listens.
    pub async fn nowhere() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap()
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers this from now on.
    pub fn answer(&self, reply: Reply) {
        self.answer_with(move |_| reply.clone());
    }

    /// Answers by the request from now on.
    pub fn answer_with(&self, script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        *self.state.script.lock() = Arc::new(script);
    }

    /// The requests whose bodies ended or broke off, in that order.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().clone()
    }

    /// The last of them.
    #[must_use]
    pub fn last(&self) -> Seen {
        self.state
            .seen
            .lock()
            .last()
            .cloned()
            .unwrap_or_else(|| panic!("the origin saw nothing"))
    }

    /// How many requests arrived.
    #[must_use]
    pub fn calls(&self) -> usize {
        *self.state.calls.borrow()
    }

    /// Until so many requests have arrived.
    pub async fn called(&self, count: usize) {
        let mut calls = self.state.calls.subscribe();
        let arrived = calls.wait_for(|calls| *calls >= count);
        drop(within("a request arrives at the origin", arrived).await);
    }

    /// How many bytes of bodies arrived, of requests that may still go on.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        *self.state.body_bytes.borrow()
    }

    /// Until so many bytes of bodies have arrived, of requests that may still go on.
    pub async fn received(&self, bytes: usize) {
        let mut received = self.state.body_bytes.subscribe();
        let arrived = received.wait_for(|received| *received >= bytes);
        drop(within("a part of a body arrives at the origin", arrived).await);
    }
}

/// One connection, request by request.
async fn serve(state: Arc<State>, stream: TcpStream) {
    let mut wire = Wire::new(stream);
    while let Some(head) = wire.head().await {
        state.calls.send_modify(|calls| *calls += 1);
        let mut words = head.first_line.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return;
        };
        let framing = Framing::of_request(&head.headers);
        let arrived = |part: &Bytes| {
            state.body_bytes.send_modify(|bytes| *bytes += part.len());
        };
        let body = wire.whole_seen(framing, arrived).await;
        let seen = Seen {
            method,
            target,
            headers: head.headers,
            body: body.data,
            trailers: body.trailers,
            complete: body.complete,
        };
        state.seen.lock().push(seen.clone());
        if !seen.complete {
            return;
        }
        let script = Arc::clone(&state.script.lock());
        let reply = script(&seen);
        if play(&mut wire, &seen, reply).await.is_none() {
            return;
        }
    }
}

/// Plays an answer; none if the connection is over.
async fn play(wire: &mut Wire<TcpStream>, seen: &Seen, reply: Reply) -> Option<()> {
    if let Some(hold) = &reply.before_head {
        hold.pass().await;
    }
    match reply.kind {
        Kind::Cut => return None,
        Kind::Echo => return echo(wire).await,
        Kind::Answer => {}
    }
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let bodiless = matches!(reply.status, 204 | 304);
    match reply.length {
        _ if bodiless => {}
        Some(length) => head.push_str(&format!("content-length: {length}\r\n")),
        None => head.push_str("transfer-encoding: chunked\r\n"),
    }
    head.push_str("\r\n");
    wire.write(head.as_bytes()).await.ok()?;
    if bodiless || seen.method == "HEAD" {
        return Some(());
    }
    for part in reply.body {
        match part {
            Part::Data(data) if data.is_empty() => {}
            Part::Data(data) if reply.length.is_some() => wire.write(&data).await.ok()?,
            Part::Data(data) => {
                let chunk = [format!("{:x}\r\n", data.len()).as_bytes(), &data, b"\r\n"].concat();
                wire.write(&chunk).await.ok()?;
            }
            Part::Hold(hold) => hold.pass().await,
            Part::Cut => return None,
        }
    }
    if reply.length.is_none() {
        let mut end = "0\r\n".to_owned();
        for (name, value) in &reply.trailers {
            end.push_str(&format!("{name}: {value}\r\n"));
        }
        wire.write((end + "\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}

async fn echo(wire: &mut Wire<TcpStream>) -> Option<()> {
    let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                \r\n";
    wire.write(head.as_bytes()).await.ok()?;
    while let Some(bytes) = wire.bytes().await {
        wire.write(&bytes).await.ok()?;
    }
    None
}
