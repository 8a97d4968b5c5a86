//! A server to test, a handler that remembers what reached it, and a client that sends raw bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use octroi_server::{
    ConnectionInfo, DrainReport, Handler, Limits, ListenerOptions, ListenerRole, ListenerService,
    ListenerSocket, Server, ServerOptions, Timeouts, TrustedProxies,
};
use octroi_types::RequestId;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a test waits for something that should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What reached the handler.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    pub(crate) request_id: RequestId,
    pub(crate) connection: ConnectionInfo,
}

/// Remembers requests. `/hold` waits until it is released, `/unread` answers 402 without reading
/// the body, `/flood` answers more than any socket takes, `/upgrade` goes on as an echo of bytes,
/// everything else is echoed.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) release: Arc<Semaphore>,
    held: mpsc::UnboundedSender<()>,
}

type Frames = mpsc::Receiver<Result<Frame<Bytes>, Infallible>>;
type Flood = StreamBody<ReceiverStream>;
pub(crate) struct ReceiverStream(Frames);

impl futures_util::Stream for ReceiverStream {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

impl Handler for Recorder {
    type Body = Either<Full<Bytes>, Flood>;

    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<ConnectionInfo>,
    ) -> Response<Self::Body> {
        if request.uri().path() == "/upgrade" {
            return upgrade(request);
        }
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let mut seen = Seen {
            line: format!("{} {path}", head.method),
            body: Bytes::new(),
            headers: head.headers,
            request_id: *head.extensions.get().unwrap(),
            connection: ConnectionInfo::clone(connection),
        };
        let unread = path == "/unread";
        if !unread {
            match body.collect().await {
                Ok(body) => seen.body = body.to_bytes(),
                Err(_) => seen.line = format!("broken {path}"),
            }
        }
        self.seen.lock().push(seen.clone());
        if path == "/hold" {
            self.held.send(()).unwrap();
            self.release.acquire().await.unwrap().forget();
        }
        if path == "/flood" {
            return Response::new(Either::Right(flood()));
        }
        let answer = format!("{} {}", seen.line, seen.body.len());
        let mut response = Response::new(Either::Left(Full::from(answer)));
        if unread {
            *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
        }
        response
    }
}

/// Switches protocols; what comes then is sent back.
fn upgrade(request: Request<Incoming>) -> Response<Either<Full<Bytes>, Flood>> {
    tokio::spawn(async {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "echo".parse().unwrap());
    response
}

fn flood() -> Flood {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let chunk = Bytes::from(vec![b'x'; 64 * 1_024]);
        while sender.send(Ok(Frame::data(chunk.clone()))).await.is_ok() {}
    });
    StreamBody::new(ReceiverStream(receiver))
}

/// A running server.
pub(crate) struct Gate {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) handler: Recorder,
    pub(crate) tls: Option<Arc<octroi_server::tls::Tls>>,
    held: mpsc::UnboundedReceiver<()>,
    shutdown: CancellationToken,
    serving: JoinHandle<DrainReport>,
}

/// Options for one plain listener on loopback.
pub(crate) fn options() -> ServerOptions {
    ServerOptions {
        listeners: vec![listener(ListenerService::Plain(ListenerRole::Gate))],
        trusted_proxies: TrustedProxies::default(),
        tls: None,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
    }
}

pub(crate) fn listener(service: ListenerService) -> ListenerOptions {
    ListenerOptions {
        socket: ListenerSocket::Bind("127.0.0.1:0".parse().unwrap()),
        service,
    }
}

impl Gate {
    pub(crate) fn start(options: ServerOptions) -> Self {
        let (sender, held) = mpsc::unbounded_channel();
        let handler = Recorder {
            seen: Arc::default(),
            release: Arc::new(Semaphore::new(0)),
            held: sender,
        };
        let server = Server::bind(options).unwrap();
        let addresses = server.local_addresses().into_iter().map(|(_, a)| a);
        let addresses = addresses.collect();
        let tls = server.tls();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.serve(handler.clone(), shutdown.clone()));
        Self {
            addresses,
            handler,
            tls,
            held,
            shutdown,
            serving,
        }
    }

    pub(crate) fn plain() -> Self {
        Self::start(options())
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw(TcpStream::connect(self.addresses[0]).await.unwrap())
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let seen = self.handler.seen.lock();
        seen.iter().map(|seen| seen.line.clone()).collect()
    }

    pub(crate) fn last(&self) -> Seen {
        self.handler.seen.lock().last().unwrap().clone()
    }

    /// Waits until a request for `/hold` has reached the handler.
    pub(crate) async fn held(&mut self) {
        timeout(PATIENCE, self.held.recv()).await.unwrap().unwrap();
    }

    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn finished(self) -> DrainReport {
        timeout(PATIENCE, self.serving).await.unwrap().unwrap()
    }

    pub(crate) async fn stop(self) -> DrainReport {
        self.begin_shutdown();
        self.finished().await
    }
}

/// A client that says exactly what it is told to say.
pub(crate) struct Raw(pub(crate) TcpStream);

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn error_code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        let error = &body["error"];
        assert_eq!(error["request_id"].as_str(), self.header("x-request-id"));
        assert!(!error["message"].as_str().unwrap().is_empty());
        error["code"].as_str().unwrap().to_owned()
    }
}

impl Raw {
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        // The server may refuse before it has read everything.
        let _ = self.0.write_all(text.as_ref()).await;
    }

    /// Reads one answer whose length is given.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match timeout(PATIENCE, self.0.read_u8()).await.unwrap() {
                Ok(byte) => head.push(byte),
                Err(_) => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let length = answer.header("content-length").unwrap_or("0");
        let mut body = vec![0; length.parse().unwrap()];
        let read = timeout(PATIENCE, self.0.read_exact(&mut body)).await;
        read.unwrap().unwrap();
        answer.body = String::from_utf8(body).unwrap();
        Some(answer)
    }

    pub(crate) async fn ask(&mut self, text: impl AsRef<[u8]>) -> Answer {
        self.send(text).await;
        self.answer().await.unwrap()
    }

    /// Waits for the server to close; returns what came until then.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a close, too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest))
            .await
            .unwrap();
        rest
    }
}

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n";

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n\r\n")
}
