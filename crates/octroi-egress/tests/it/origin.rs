//! Origins that do on the wire exactly what a test says, and clients that may reach them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use octroi_egress::{
    AddressPolicy, Client, ClientOptions, EgressBody, EgressError, RequestBody, Target, Upstream,
    UpstreamSpec,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long a condition may take before a test gives up. Nothing is asserted about less.
const PATIENCE: Duration = Duration::from_secs(20);

const READ_BYTES: usize = 64 * 1024;

/// A listener on a free port and what it has seen.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

/// One accepted connection.
pub(crate) struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Counted from zero.
    pub(crate) index: usize,
    _closed: CountOnDrop,
}

/// A request as it came over the wire; a chunked body is kept raw.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

struct CountOnDrop(Arc<AtomicUsize>);

impl Drop for CountOnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Origin {
    /// Serves every connection with `serve` on a task of its own.
    pub(crate) async fn start<F, S>(serve: F) -> Self
    where
        F: Fn(Peer) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, closed) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (accepts, closes) = (accepted.clone(), closed.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = Peer {
                    stream,
                    buffer: Vec::new(),
                    index: accepts.fetch_add(1, Ordering::SeqCst),
                    _closed: CountOnDrop(closes.clone()),
                };
                tokio::spawn(serve(peer));
            }
        });
        Self {
            address,
            accepted,
            closed,
        }
    }

    /// Answers every request with the same bytes, as long as the client keeps the connection.
    pub(crate) async fn answering(response: &'static str) -> Self {
        Self::start(move |mut peer| async move {
            while peer.request().await.is_some() {
                peer.write(response).await;
            }
        })
        .await
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections whose serving has ended.
    pub(crate) fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn target(&self) -> Target {
        Target::parse(&format!("http://{}", self.address)).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn spec(&self) -> UpstreamSpec {
        UpstreamSpec::new(self.target())
    }

    pub(crate) fn upstream(&self) -> Upstream {
        self.upstream_with(|_| {})
    }

    pub(crate) fn upstream_with(&self, change: impl FnOnce(&mut UpstreamSpec)) -> Upstream {
        let mut spec = self.spec();
        change(&mut spec);
        local_client().upstream(spec).unwrap()
    }
}

impl Peer {
    /// The next request, or `None` when the client has closed.
    pub(crate) async fn request(&mut self) -> Option<Received> {
        let head = self.head().await?;
        let length = header(&head, "content-length").map(|value| value.parse::<usize>().unwrap());
        let is_chunked = header(&head, "transfer-encoding") == Some("chunked");
        assert!(!(is_chunked && length.is_some()), "two framings: {head}");
        let body = match length {
            Some(length) => {
                while self.buffer.len() < length {
                    self.fill().await?;
                }
                self.buffer.drain(..length).collect()
            }
            None if is_chunked => self.take_chunked().await?,
            None => Vec::new(),
        };
        Some(Received { head, body })
    }

    /// The head of the next request alone.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let head = self.take_until("\r\n\r\n").await?;
        Some(String::from_utf8(head).unwrap())
    }

    /// Reads whatever comes next, raw.
    pub(crate) async fn raw(&mut self) -> Vec<u8> {
        if self.buffer.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.buffer)
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may be gone, which is often the point.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Waits until the client has closed its side.
    pub(crate) async fn until_closed(&mut self) {
        while self.fill().await.is_some() {}
    }

    async fn take_until(&mut self, end: &str) -> Option<Vec<u8>> {
        loop {
            let windows = self.buffer.windows(end.len());
            if let Some(at) = windows.clone().position(|window| window == end.as_bytes()) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            self.fill().await?;
        }
    }

    async fn take_chunked(&mut self) -> Option<Vec<u8>> {
        let mut raw = Vec::new();
        loop {
            let line = self.take_until("\r\n").await?;
            let size = String::from_utf8(line.clone()).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            raw.extend(line);
            if size == 0 {
                loop {
                    let line = self.take_until("\r\n").await?;
                    raw.extend(&line);
                    if line == b"\r\n" {
                        return Some(raw);
                    }
                }
            }
            while self.buffer.len() < size + 2 {
                self.fill().await?;
            }
            raw.extend(self.buffer.drain(..size + 2));
        }
    }

    async fn fill(&mut self) -> Option<()> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

/// The value of a header in a raw head.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A client that may reach loopback.
pub(crate) fn local_client() -> Client {
    Client::new(ClientOptions {
        policy: local_policy(),
        ..ClientOptions::default()
    })
    .unwrap()
}

pub(crate) fn local_policy() -> AddressPolicy {
    AddressPolicy::public_only().allow_net("127.0.0.0/8".parse().unwrap())
}

pub(crate) fn get(path: &str) -> Request<RequestBody> {
    Request::get(path).body(RequestBody::empty()).unwrap()
}

pub(crate) fn post(path: &str, body: &'static str) -> Request<RequestBody> {
    Request::post(path).body(Bytes::from(body).into()).unwrap()
}

/// Sends and reads the whole body.
pub(crate) async fn exchange(
    upstream: &Upstream,
    request: Request<RequestBody>,
) -> Result<Response<Bytes>, EgressError> {
    let (parts, body) = upstream.send(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

pub(crate) async fn body_text(response: Response<EgressBody>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(what, holds).await;
}

/// Runs a step that must end.
pub(crate) async fn within<T>(what: &str, step: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(value) => value,
        Err(_) => panic!("still waiting: {what}"),
    }
}
