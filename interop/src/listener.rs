//! A server in the test's own process.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What these servers answer with; an error breaks the connection off.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// Answers on one loopback port: HTTP/1.1, and HTTP/2 to those who begin with it. Dropping it stops it
/// from accepting and ends its connections.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Starts on any free port. An `answer` that fails closes the connection instead.
    pub(crate) async fn start<A, F, E>(answer: A) -> Result<Self>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<Body>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        Self::on(TcpListener::bind("127.0.0.1:0").await?, answer)
    }

    /// Starts on a socket that listens already.
    pub(crate) fn on<A, F, E>(socket: TcpListener, answer: A) -> Result<Self>
    where
        A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Response<Body>, E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let address = socket.local_addr()?;
        let accepting = tokio::spawn(accept(socket, answer));
        Ok(Self { address, accepting })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and returns when the port is free.
    pub(crate) async fn stop(mut self) {
        self.accepting.abort();
        // Ends with the news that it was aborted.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<A, F, E>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    // Connections end with this task: a set aborts what it holds when it is dropped.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let answer = answer.clone();
        connections.spawn(async move {
            // An error here is a connection cut, by the peer or by one of our own failures.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}
