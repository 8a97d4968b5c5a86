//! HTTP/2 on both sides.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Version as HttpVersion};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use octroi_testkit::{Hold, Reply, Request, Setup, TestGate, VERSIONS};
use octroi_x402::Version;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE};

#[tokio::test]
async fn buyers_can_speak_http_2() {
    let gate = TestGate::start().await;
    let mut connection = gate.client.connect_h2().await;
    for path in [ITEM, FIRST] {
        for version in VERSIONS {
            let request = Request::post(path, "body");
            let challenge = connection.send(&request).await;
            let payment = gate.net.buyer().sign(&challenge.required(version));
            let answer = connection.send(&payment.on(request)).await;
            assert_eq!(
                (answer.status, answer.text(), answer.complete),
                (200, "content", true)
            );
            assert!(answer.receipt(version).unwrap().success);
            assert_eq!(gate.origin.last().body, "body");
        }
    }
    drop(connection);
    assert_eq!(gate.finish().await.settled_units(), 4 * PRICE);
}

#[tokio::test]
async fn many_payments_share_a_connection_and_each_has_its_own_answer() {
    let gate = TestGate::start().await;
    gate.origin
        .answer_with(|seen| Reply::stream(200).data(seen.target.clone()));
    let terms = gate.send(&Request::get(ITEM)).await.required(Version::V2);
    let connection = gate.client.connect_h2().await;
    let answers: Vec<_> = (0..20)
        .map(|number| {
            let request = Request::get(&format!("{ITEM}?n={number}"));
            let paid = gate.net.buyer().sign(&terms).on(request);
            let mut connection = connection.clone();
            tokio::spawn(async move { connection.send(&paid).await })
        })
        .collect();
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status, answer.text()),
            (200, &*format!("/item?n={number}"))
        );
    }
    drop(connection);
    assert_eq!(gate.finish().await.settled_units(), 20 * PRICE);
}

#[tokio::test]
async fn trailers_and_breaks_are_told_over_http_2() {
    let gate = TestGate::start().await;
    let reply = Reply::stream(200)
        .header("trailer", "x-sum")
        .data("ab")
        .trailer("x-sum", "7");
    gate.origin.answer(reply);
    let mut connection = gate.client.connect_h2().await;
    let terms = gate.send(&Request::get(ITEM)).await.required(Version::V2);
    let paid = || gate.net.buyer().sign(&terms).on(Request::get(ITEM));
    let answer = connection.send(&paid()).await;
    assert_eq!((answer.text(), answer.complete), ("ab", true));
    assert_eq!(answer.trailers["x-sum"], "7");
    gate.origin.answer(Reply::stream(200).data("half").broken());
    let broken = connection.send(&paid()).await;
    assert_eq!(
        (broken.status, broken.text(), broken.complete),
        (200, "half", false)
    );
    drop(connection);
    gate.finish().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_is_a_client_that_left() {
    let gate = TestGate::start().await;
    let (buyer, hold) = (gate.net.buyer(), Hold::new());
    let mut connection = gate.client.connect_h2().await;
    gate.origin
        .answer(Reply::stream(200).wait(&hold).data("content"));
    let paid = gate
        .sign(&buyer, &Request::get(ITEM))
        .await
        .on(Request::get(ITEM));
    let response = connection.head(&paid).await;
    assert_eq!(response.status(), 200);
    // The stream ends, the connection stays.
    drop(response);
    gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
        .await;
    hold.release();
    gate.origin.answer(Reply::ok("content"));
    let paid = gate
        .sign(&buyer, &Request::get(ITEM))
        .await
        .on(Request::get(ITEM));
    assert_eq!(connection.send(&paid).await.text(), "content");
    drop(connection);
    let states = gate.finish().await.states();
    assert_eq!(states, [CREDITED, COVERED]);
}

/// An origin over TLS that prefers HTTP/2, and echoes body and trailers; with its certificate.
async fn h2_origin() -> (SocketAddr, String) {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let server = auto::Builder::new(TokioExecutor::new());
                // It ends with the gate.
                let _ = server
                    .serve_connection(TokioIo::new(stream), service_fn(echo))
                    .await;
            });
        }
    });
    (address, certified.cert.pem())
}

type Echo =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn echo(request: http::Request<Incoming>) -> Result<Response<Echo>, Infallible> {
    let version = request.version();
    let authority = request
        .uri()
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    let body = request.into_body().collect().await.unwrap();
    let mut trailers = body.trailers().cloned().unwrap_or_default();
    trailers.insert("x-from-origin", HeaderValue::from_static("1"));
    let frames = vec![
        Ok(Frame::data(body.to_bytes())),
        Ok(Frame::trailers(trailers)),
    ];
    let mut headers = HeaderMap::new();
    let spoken = if version == HttpVersion::HTTP_2 {
        "h2"
    } else {
        "h1"
    };
    headers.insert("x-spoken", HeaderValue::from_static(spoken));
    headers.insert("x-authority", authority.parse().unwrap());
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    *response.headers_mut() = headers;
    Ok(response)
}

#[tokio::test]
async fn an_origin_that_speaks_http_2_is_spoken_to_in_http_2() {
    let (address, certificate) = h2_origin().await;
    let section = format!(
        r#"
[[service]]
name = "modern"
origin = "https://{address}"
[[service.paywall]]
slug = "item"
price = "0.01"

[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "https://{address}"
default = "pass"
"#
    );
    let setup = Setup::new()
        .await
        .sections(&section)
        .options(move |options| {
            let roots = options.trust_roots.clone().with_pem(certificate.as_bytes());
            options.trust_roots = roots.unwrap();
        });
    let gate = setup.start().await;
    let sold = Request::post("/api/x402/pay/modern/item", "body").header("te", "trailers");
    let paid = gate.buy(&gate.net.buyer(), &sold).await;
    let free = Request::new("POST", "/free")
        .host("site.test")
        .header("te", "trailers")
        .header("transfer-encoding", "chunked");
    let mut connection = gate.client.connect().await;
    connection.send_head(&free).await;
    connection.write_chunk(b"body").await;
    connection.write(b"0\r\nx-check: 42\r\n\r\n").await;
    let free = connection.answer().await;
    for answer in [&paid, &free] {
        assert_eq!((answer.status, answer.text()), (200, "body"));
        assert_eq!(answer.header("x-spoken").as_deref(), Some("h2"));
    }
    assert_eq!(paid.header("x-authority"), Some(address.to_string()));
    assert_eq!(free.header("x-authority").as_deref(), Some("site.test"));
    assert!(paid.receipt(Version::V2).unwrap().success);
    drop(connection);
    gate.finish().await;
}

#[tokio::test]
async fn an_origin_whose_certificate_is_not_trusted_is_not_paid_for() {
    let (address, _) = h2_origin().await;
    let section = format!(
        r#"
[[service]]
name = "modern"
origin = "https://{address}"
[[service.paywall]]
slug = "item"
price = "0.01"
"#
    );
    let gate = Setup::new().await.sections(&section).start().await;
    let answer = gate
        .buy(
            &gate.net.buyer(),
            &Request::get("/api/x402/pay/modern/item"),
        )
        .await;
    assert_eq!(answer.outcome(), (502, "origin_unreachable".to_owned()));
    assert_eq!(gate.paid_units(), 0);
    gate.finish().await;
}
