//! A small HTTP server that answers as a test wants, and the transport that speaks to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use octroi_chain::{BlockTag, HttpTransport, HttpTransportOptions, Rpc, RpcError, Transport as _};
use octroi_egress::{AddressPolicy, Client, ClientOptions};
use octroi_types::Redacted;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::Bench;

/// A request as it came.
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// What the server does with a request.
pub(crate) enum Reply {
    /// A status and a body.
    Answer(u16, Vec<u8>),
    /// Nothing, and the connection is closed.
    HangUp,
    /// Nothing at all.
    Silence,
}

/// A server on a port of its own, which ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(reply: impl FnMut(Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Arc::new(Mutex::new(reply));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let reply = Arc::clone(&reply);
                tokio::spawn(async move {
                    let _ended = serve(stream, |request| (reply.lock())(request)).await;
                });
            }
        });
        Self { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(mut stream: TcpStream, reply: impl Fn(Request) -> Reply) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        let (line, headers) = head.split_once("\r\n").unwrap();
        let length = headers
            .lines()
            .filter_map(|header| header.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, value)| value.trim().parse().unwrap());
        while buffer.len() < head_end + length {
            stream.read_buf(&mut buffer).await?;
        }
        let body = buffer[head_end..head_end + length].to_vec();
        buffer.drain(..head_end + length);
        let request = Request {
            line: line.to_owned(),
            headers: headers.to_owned(),
            body,
        };
        match reply(request) {
            Reply::Answer(status, body) => {
                let head = format!(
                    "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(&[head.as_bytes(), &body].concat()).await?;
            }
            Reply::HangUp => return Ok(()),
            Reply::Silence => std::future::pending().await,
        }
    }
}

/// The way to servers on this machine.
pub(crate) fn client() -> Client {
    let policy = AddressPolicy::public_only().allow_net("127.0.0.0/8".parse().unwrap());
    Client::new(ClientOptions {
        policy,
        ..ClientOptions::default()
    })
    .unwrap()
}

/// A port where nobody listens.
pub(crate) async fn closed_url() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn transport(urls: &[String]) -> HttpTransport {
    let urls = urls.iter().cloned().map(Redacted::new).collect();
    let mut options = HttpTransportOptions::new(urls);
    options.timeout = Duration::from_millis(500);
    HttpTransport::new(options, client())
}

/// A server in front of a development network.
async fn devnet_server(bench: &Bench) -> Server {
    let net = Arc::clone(&bench.net);
    Server::start(move |request| Reply::Answer(200, net.handle_body(&request.body))).await
}

#[tokio::test]
async fn the_engine_works_over_http() {
    let bench = Bench::new();
    let server = devnet_server(&bench).await;
    let (tasks, cancel) = Default::default();
    let chain = octroi_chain::Chain::start(
        bench.options.clone(),
        Arc::new(transport(&[server.url()])),
        Arc::clone(&bench.store) as _,
        tasks,
        cancel,
    )
    .await
    .unwrap();
    let signed = bench.sign(0);
    chain
        .check_payer(&signed.authorization, &signed.terms)
        .await
        .unwrap()
        .unwrap();
    let outcome = chain.settle(bench.claim(&signed).await).await;
    crate::bench::settled(outcome);
}

#[tokio::test]
async fn the_next_node_is_asked_when_one_fails() {
    let bench = Bench::new();
    let good = devnet_server(&bench).await;
    let failures: [fn() -> Reply; 5] = [
        || Reply::HangUp,
        || Reply::Silence,
        || Reply::Answer(200, b"<html>".to_vec()),
        || Reply::Answer(502, b"bad gateway".to_vec()),
        || {
            Reply::Answer(
                429,
                br#"{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"slow down"}}"#
                    .to_vec(),
            )
        },
    ];
    for failure in failures {
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        let bad = Server::start(move |_| {
            *count.lock() += 1;
            failure()
        })
        .await;
        let rpc = Rpc::new(Arc::new(transport(&[
            bad.url(),
            closed_url().await,
            good.url(),
        ])));
        for _ in 0..3 {
            assert_eq!(rpc.chain_id().await, Ok(crate::bench::CHAIN));
        }
        // The bad ones rest meanwhile.
        assert_eq!(*asked.lock(), 1);
    }
}

#[tokio::test]
async fn a_node_that_fails_alone_is_asked_all_the_same() {
    let healthy = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&healthy);
    let server = Server::start(move |_| {
        if *flag.lock() {
            Reply::Answer(
                200,
                br#"{"jsonrpc":"2.0","id":0,"result":"0x7a69"}"#.to_vec(),
            )
        } else {
            Reply::HangUp
        }
    })
    .await;
    let rpc = Rpc::new(Arc::new(transport(&[server.url()])));
    assert_eq!(rpc.chain_id().await, Err(RpcError::Silent));
    *healthy.lock() = true;
    assert_eq!(rpc.chain_id().await, Ok(crate::bench::CHAIN));
}

#[tokio::test]
async fn failures_tell_whether_the_node_may_have_acted() {
    let nobody = Rpc::new(Arc::new(transport(&[closed_url().await])));
    let failure = nobody.send_raw(&[1]).await.unwrap_err();
    assert_eq!(failure, RpcError::Unreachable);
    assert!(!failure.may_have_been_sent());
    let silent = Server::start(|_| Reply::Silence).await;
    // One that may have heard counts more than one that cannot have.
    for urls in [vec![silent.url()], vec![silent.url(), closed_url().await]] {
        let failure = Rpc::new(Arc::new(transport(&urls)))
            .send_raw(&[1])
            .await
            .unwrap_err();
        assert_eq!(failure, RpcError::Silent);
        assert!(failure.may_have_been_sent());
    }
}

#[tokio::test]
async fn answers_are_read_strictly() {
    for (body, expected) in [
        (json!({"jsonrpc": "2.0", "id": 0, "result": "0x1"}), Ok(1)),
        (
            json!({"jsonrpc": "2.0", "id": 1, "result": "0x1"}),
            Err(RpcError::Malformed),
        ),
        (json!({"jsonrpc": "2.0", "id": 0}), Err(RpcError::Malformed)),
        (
            json!({"jsonrpc": "2.0", "id": 0, "result": "1"}),
            Err(RpcError::Malformed),
        ),
        (
            json!({"jsonrpc": "2.0", "id": 0, "result": null}),
            Err(RpcError::Malformed),
        ),
        (
            json!({"jsonrpc": "2.0", "id": 0, "error": "no"}),
            Err(RpcError::Malformed),
        ),
        (
            json!({"jsonrpc": "2.0", "id": null, "error":
                {"code": 3, "message": "execution\r\nreverted", "data": "0x0102"}}),
            Err(RpcError::Refused {
                code: 3,
                message: "executionreverted".to_owned(),
                data: Some(vec![1, 2]),
            }),
        ),
    ] {
        let text = body.to_string();
        let server = Server::start(move |_| Reply::Answer(200, text.clone().into_bytes())).await;
        let rpc = Rpc::new(Arc::new(transport(&[server.url()])));
        assert_eq!(rpc.priority_fee().await, expected, "{body}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = Server::start(|_| Reply::Answer(200, vec![b' '; 100_000])).await;
    let mut options = HttpTransportOptions::new(vec![Redacted::new(server.url())]);
    options.body_bytes_max = 10_000;
    let rpc = Rpc::new(Arc::new(HttpTransport::new(options, client())));
    assert_eq!(rpc.block(BlockTag::Latest).await, Err(RpcError::Silent));
}

#[tokio::test]
async fn batches_are_put_in_order_and_done_without_where_they_must() {
    let calls = || vec![("eth_chainId", json!([])), ("eth_blockNumber", json!([]))];
    let shuffled = Server::start(|_| {
        let answers = json!([
            {"jsonrpc": "2.0", "id": 1, "result": "second"},
            {"jsonrpc": "2.0", "id": 0, "result": "first"},
            {"jsonrpc": "2.0", "id": 7, "result": "nobody asked"},
        ]);
        Reply::Answer(200, answers.to_string().into_bytes())
    })
    .await;
    let answers = transport(&[shuffled.url()]).batch(calls()).await.unwrap();
    assert_eq!(answers, [Ok(json!("first")), Ok(json!("second"))]);

    let incomplete = Server::start(|_| {
        let answers = json!([{"jsonrpc": "2.0", "id": 1, "result": "second"}]);
        Reply::Answer(200, answers.to_string().into_bytes())
    })
    .await;
    let answers = transport(&[incomplete.url()]).batch(calls()).await.unwrap();
    assert_eq!(answers, [Err(RpcError::Malformed), Ok(json!("second"))]);

    let plain = Server::start(|request| {
        let message: Value = serde_json::from_slice(&request.body).unwrap();
        let answer = if message.is_array() {
            json!({"jsonrpc": "2.0", "id": null,
                "error": {"code": -32600, "message": "no batches"}})
        } else {
            json!({"jsonrpc": "2.0", "id": message["id"], "result": message["method"]})
        };
        Reply::Answer(200, answer.to_string().into_bytes())
    })
    .await;
    let answers = transport(&[plain.url()]).batch(calls()).await.unwrap();
    assert_eq!(
        answers,
        [Ok(json!("eth_chainId")), Ok(json!("eth_blockNumber"))]
    );
}

#[tokio::test]
async fn access_keys_in_urls_are_not_shown() {
    let url = "https://node.example/v2/secret-key".to_owned();
    let shown = format!(
        "{:?}",
        HttpTransportOptions::new(vec![Redacted::new(url.clone())])
    ) + &format!("{:?}", transport(&[url]));
    assert!(!shown.contains("secret-key"), "{shown}");
}
