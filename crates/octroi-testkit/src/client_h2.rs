//! The client over HTTP/2, with prior knowledge.

use std::net::SocketAddr;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::client::{Answer, Client, Request};
use crate::patience::within;

/// A connection that carries many requests. Clones share it.
#[derive(Clone)]
pub struct H2Connection {
    address: SocketAddr,
    scheme: &'static str,
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    /// Opens a connection for HTTP/2.
    pub async fn connect_h2(&self) -> H2Connection {
        let stream = within("a connection", TcpStream::connect(self.address))
            .await
            .unwrap();
        H2Connection::over(stream, self.address, "http").await
    }
}

impl H2Connection {
    /// Speaks over a stream that is open already, about URLs of this scheme.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        scheme: &'static str,
    ) -> Self {
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = within("an HTTP/2 handshake", shaken).await.unwrap();
        tokio::spawn(async move {
            // It ends with the gate or with its handles; the requests on it say what happened.
            drop(connection.await);
        });
        Self {
            address,
            scheme,
            sender,
        }
    }

    /// Sends a request, and reads the head of its answer.
    pub async fn head(&mut self, request: &Request) -> http::Response<Incoming> {
        let host = request
            .host
            .clone()
            .unwrap_or_else(|| self.address.to_string());
        let mut built = http::Request::builder()
            .method(request.method.as_str())
            .uri(format!("{}://{host}{}", self.scheme, request.target));
        for (name, value) in &request.headers {
            built = built.header(name, value);
        }
        let built = built.body(Full::from(request.body.clone())).unwrap();
        within("a response head", self.sender.send_request(built))
            .await
            .unwrap()
    }

    /// Sends a request, and reads the answer as far as it comes.
    pub async fn send(&mut self, request: &Request) -> Answer {
        let (head, mut body) = self.head(request).await.into_parts();
        let (mut data, mut trailers, mut complete) = (Vec::new(), HeaderMap::new(), true);
        while let Some(frame) = within("a part of a body", body.frame()).await {
            let Ok(frame) = frame else {
                complete = false;
                break;
            };
            match frame.into_data() {
                Ok(part) => data.extend_from_slice(&part),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap()),
            }
        }
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: data.into(),
            trailers,
            complete,
        }
    }
}
