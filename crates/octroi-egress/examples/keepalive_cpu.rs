//! CPU time per request of `Upstream::send` over loopback keep-alive, beside hyper-util's pooled
//! client, against a trivial hyper server on a thread of its own.
//!
//! `cargo run --release -p octroi-egress --example keepalive_cpu [egress|legacy [requests]]`
//!
//! The client's thread alone is measured, its system calls included, by the scheduler's own clock. On a
//! busy machine read the ratio, not the times. With one mode and a number of requests the run is short
//! enough for callgrind: run it twice with different numbers and divide the difference.

#![expect(clippy::print_stdout, reason = "the result is printed")]

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use octroi_egress::{
    AddressPolicy, Client, ClientOptions, RequestBody, Target, Upstream, UpstreamSpec,
};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;
type Legacy = legacy::Client<legacy::connect::HttpConnector, Empty<Bytes>>;

const BODY: &[u8] = br#"{"ok":true,"message":"hello from the origin"}"#;
const CONCURRENCY: usize = 16;
const ROUNDS: usize = 5;
const REQUESTS: usize = 64_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next();
    let requests = arguments
        .next()
        .map_or(Ok(REQUESTS), |text| text.parse::<usize>())?;
    let origin = start_origin()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let egress = egress(origin)?;
    let legacy = Legacy::clone(&legacy::Client::builder(TokioExecutor::new()).build_http());

    let rounds = if only.is_some() { 1 } else { ROUNDS };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        if only.as_deref() != Some("legacy") {
            let upstream = egress.clone();
            let call = move || send(upstream.clone());
            ours.push(measure(&runtime, requests, call)?);
        }
        if only.as_deref() != Some("egress") {
            let (legacy, uri) = (legacy.clone(), uri(Some(origin))?);
            let call = move || request(legacy.clone(), uri.clone());
            theirs.push(measure(&runtime, requests, call)?);
        }
        println!(
            "round {round}: egress {} ns, legacy {} ns of cpu per request",
            ours.last().copied().unwrap_or_default(),
            theirs.last().copied().unwrap_or_default(),
        );
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!("median: egress {ours} ns, legacy {theirs} ns of cpu per request");
    if let Some(percent) = (ours * 100).checked_div(theirs) {
        println!("egress needs {percent} % of the legacy client's cpu time");
    }
    println!("connections: {:?}", egress.stats());
    Ok(())
}

/// Runs the calls on this thread and returns the nanoseconds of CPU for each.
fn measure<F, C>(runtime: &Runtime, requests: usize, call: F) -> Result<u64, Failure>
where
    F: Fn() -> C + Clone + Send + 'static,
    C: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let before = thread_cpu_ns()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let call = call.clone();
            tasks.spawn(async move {
                for _ in 0..requests / CONCURRENCY {
                    call().await?;
                }
                Ok::<(), Failure>(())
            });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome??;
        }
        Ok::<(), Failure>(())
    })?;
    let spent = thread_cpu_ns()?.saturating_sub(before);
    Ok(spent / u64::try_from(requests)?)
}

async fn send(upstream: Upstream) -> Result<(), Failure> {
    let mut request = Request::new(RequestBody::empty());
    *request.uri_mut() = uri(None)?;
    add_headers(&mut request);
    let response = upstream.send(request).await?;
    drain(response.into_body()).await
}

async fn request(client: Legacy, uri: Uri) -> Result<(), Failure> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    add_headers(&mut request);
    let response = client.request(request).await?;
    drain(response.into_body()).await
}

fn uri(absolute: Option<SocketAddr>) -> Result<Uri, http::Error> {
    match absolute {
        Some(address) => Ok(format!("http://{address}/v1/items").parse()?),
        None => Ok(Uri::from_static("/v1/items")),
    }
}

fn add_headers<B>(request: &mut Request<B>) {
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("octroi"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert("x-request-id", HeaderValue::from_static("0192f0c4-7d2a"));
}

async fn drain<B>(mut body: B) -> Result<(), Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Failure>,
{
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Into::into)?;
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    if length == BODY.len() {
        Ok(())
    } else {
        Err("body has the wrong length".into())
    }
}

fn egress(origin: SocketAddr) -> Result<Upstream, Failure> {
    let target = Target::parse(&format!("http://{origin}"))?;
    let policy = AddressPolicy::public_only();
    let client = Client::new(ClientOptions {
        policy: policy.allow_target(target.host().clone(), target.port()),
        ..ClientOptions::default()
    })?;
    Ok(client.upstream(UpstreamSpec::new(target))?)
}

fn start_origin() -> Result<SocketAddr, Failure> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || -> Result<(), Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            sender.send(listener.local_addr()?)?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let answer = service_fn(|_| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(BODY))))
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), answer));
            }
        })
    });
    Ok(receiver.recv()?)
}

/// Time on the CPU in nanoseconds, the first field of `schedstat` (Linux).
fn thread_cpu_ns() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split(' ').next().ok_or("schedstat is empty")?;
    Ok(first.parse()?)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
