//! What the edge costs: the same trivial answer from this server and from hyper alone.
//!
//! `edge_cost gate|hyper ADDRESS` serves until it is killed; drive it with any load tool.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use octroi_server::{
    ConnectionInfo, Handler, Limits, ListenerOptions, ListenerRole, ListenerService,
    ListenerSocket, Server, ServerOptions, Timeouts, TrustedProxies,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct Hello;

impl Handler for Hello {
    type Body = Full<Bytes>;

    async fn handle(&self, _: Request<Incoming>, _: &Arc<ConnectionInfo>) -> Response<Full<Bytes>> {
        Response::new(Full::from("hello"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_default();
    let address = arguments.next().unwrap_or_default().parse()?;
    match server.as_str() {
        "gate" => gate(address).await,
        "hyper" => hyper_alone(address).await,
        _ => Err("say gate or hyper, and an address".into()),
    }
}

async fn gate(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let server = Server::bind(ServerOptions {
        listeners: vec![ListenerOptions {
            socket: ListenerSocket::Bind(address),
            service: ListenerService::Plain(ListenerRole::Gate),
        }],
        trusted_proxies: TrustedProxies::default(),
        tls: None,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
    })?;
    server.serve(Hello, CancellationToken::new()).await;
    Ok(())
}

async fn hyper_alone(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}
