//! A client that sends what it is told, byte for byte, and reads as far as it is told.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use octroi_x402::client::Required;
use octroi_x402::{SettleResponse, Version, header};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::http1::{Framing, Next, Wire};
use crate::patience::within;

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its target, as it goes over the wire.
    pub target: String,
    /// What `Host` says; the address of the connection unless set.
    pub host: Option<String>,
    /// Its other fields.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// `GET`.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// `POST`.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::new("POST", target)
        }
    }

    /// With one more field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// To this host.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        Self {
            host: Some(host.to_owned()),
            ..self
        }
    }

    fn head(&self, address: SocketAddr) -> String {
        let host = self.host.clone().unwrap_or_else(|| address.to_string());
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {host}\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let framed = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length")
                || name.eq_ignore_ascii_case("transfer-encoding")
        });
        if !framed && (!self.body.is_empty() || self.method == "POST") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head + "\r\n"
    }
}

/// An answer, as far as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// What followed the body.
    pub trailers: HeaderMap,
    /// Whether the body came to its end.
    pub complete: bool,
}

impl Answer {
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

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }

    /// The code of an error.
    #[must_use]
    pub fn error_code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }

    /// Status and, where it is an error of the gate, its code.
    #[must_use]
    pub fn outcome(&self) -> (u16, String) {
        let json = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        let code = json["error"]["code"].as_str().or(json["error"].as_str());
        (self.status, code.unwrap_or_default().to_owned())
    }

    /// The terms of a 402, in the words of a version.
    #[must_use]
    pub fn required(&self, version: Version) -> Required {
        assert_eq!(self.status, 402, "{:?}", self.body);
        let header = self.header(header::PAYMENT_REQUIRED);
        assert!(header.is_some(), "no terms in the header");
        let header = header.filter(|_| version == Version::V2);
        Required::read(header.as_deref(), &self.body).unwrap()
    }

    /// The receipt in the header of a version.
    #[must_use]
    pub fn receipt(&self, version: Version) -> Option<SettleResponse> {
        let value = self.header(version.response_header())?;
        Some(SettleResponse::from_header(&value).unwrap())
    }

    /// The refund credit that is named.
    #[must_use]
    pub fn credit(&self) -> Option<String> {
        self.header(header::X_REFUND_CREDIT)
    }
}

/// Opens connections to one address.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The address.
    pub address: SocketAddr,
}

/// A connection.
#[derive(Debug)]
pub struct Connection<S = TcpStream> {
    address: SocketAddr,
    wire: Wire<S>,
    /// Methods of the requests that were sent and not answered.
    method: String,
    framing: Framing,
}

impl Client {
    /// Opens a connection.
    pub async fn connect(&self) -> Connection {
        self.try_connect()
            .await
            .unwrap_or_else(|| panic!("nobody listens on {}", self.address))
    }

    async fn try_connect(&self) -> Option<Connection> {
        let stream = within("a connection", TcpStream::connect(self.address))
            .await
            .ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Connection::over(stream, self.address))
    }

    /// Sends a request on a connection of its own, and reads the answer as far as it comes.
    pub async fn send(&self, request: &Request) -> Answer {
        let mut connection = self.connect().await;
        connection.send(request).await;
        connection.answer().await
    }

    /// As [`Self::send`]; none if there is no connection or no answer.
    pub async fn try_send(&self, request: &Request) -> Option<Answer> {
        let mut connection = self.try_connect().await?;
        connection.send(request).await;
        connection.try_answer().await
    }

    /// Sends bytes on a connection of its own and reads one answer; none if there is none.
    pub async fn send_raw(&self, bytes: &[u8]) -> Option<Answer> {
        let mut connection = self.connect().await;
        connection.write(bytes).await;
        connection.try_answer().await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Speaks over a stream that is open already.
    #[must_use]
    pub fn over(stream: S, address: SocketAddr) -> Self {
        Self {
            address,
            wire: Wire::new(stream),
            method: String::new(),
            framing: Framing::Nothing,
        }
    }

    /// Sends a whole request.
    pub async fn send(&mut self, request: &Request) {
        self.send_head(request).await;
        if !request.body.is_empty() {
            self.write(&request.body).await;
        }
    }

    /// Sends a request up to its body.
    pub async fn send_head(&mut self, request: &Request) {
        self.method.clone_from(&request.method);
        let head = request.head(self.address);
        self.write(head.as_bytes()).await;
    }

    /// Sends bytes. The other side may be gone: what it says about that is read later.
    pub async fn write(&mut self, bytes: &[u8]) {
        drop(self.wire.write(bytes).await);
    }

    /// Sends a part of a chunked body.
    pub async fn write_chunk(&mut self, data: &[u8]) {
        let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\r\n");
        self.write(&chunk).await;
    }

    /// Reads the head of the answer.
    pub async fn head(&mut self) -> Answer {
        self.try_head()
            .await
            .unwrap_or_else(|| panic!("no answer to {}", self.method))
    }

    /// Reads the head of the answer; none if the connection ends before.
    pub async fn try_head(&mut self) -> Option<Answer> {
        let head = within("a response head", self.wire.head()).await?;
        let mut words = head.first_line.split(' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{}", head.first_line);
        let status = words.next()?.parse().ok()?;
        self.framing = Framing::of_answer(&self.method, status, &head.headers);
        Some(Answer {
            status,
            headers: head.headers,
            body: Bytes::new(),
            trailers: HeaderMap::new(),
            complete: false,
        })
    }

    /// Reads the next part of the answer's body. `None` at its end, an error if it breaks off.
    ///
    /// # Errors
    /// The connection ended before the body did.
    pub async fn part(&mut self) -> Option<Result<Bytes, BrokeOff>> {
        match within("a part of a body", self.wire.next(&mut self.framing)).await {
            Next::Data(data) => Some(Ok(data)),
            Next::End(_) => None,
            Next::Broken => Some(Err(BrokeOff)),
        }
    }

    /// Reads the answer as far as it comes.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer()
            .await
            .unwrap_or_else(|| panic!("no answer to {}", self.method))
    }

    /// Reads the answer as far as it comes; none if the connection ends before its head.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let mut answer = self.try_head().await?;
        let whole = within("the end of an answer", self.wire.whole(self.framing)).await;
        (answer.body, answer.trailers, answer.complete) =
            (whole.data, whole.trailers, whole.complete);
        Some(answer)
    }

    /// Reads what comes after an upgrade; none at the end of the connection.
    pub async fn bytes(&mut self) -> Option<Bytes> {
        within("bytes after an upgrade", self.wire.bytes()).await
    }
}

impl Connection {
    /// Where it comes from.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.wire.stream.local_addr().unwrap()
    }

    /// Leaves at once, without a word.
    pub fn reset(self) {
        self.wire.stream.set_zero_linger().unwrap();
    }
}

/// The connection ended before the body did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokeOff;
