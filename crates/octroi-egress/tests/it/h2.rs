//! HTTP/2 origins: sharing, stream limits, GOAWAY, resets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use octroi_egress::{Phase, Protocol, RequestBody, Target, Upstream, UpstreamSpec};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::origin::{eventually, exchange, get, local_client, post, within};

type Connection = h2::server::Connection<TcpStream, Bytes>;

/// Serves h2 with prior knowledge, each connection by `serve`, which gets its number.
async fn origin<F, S>(builder: h2::server::Builder, serve: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Connection, usize) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let serve = Arc::new(serve);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let index = count.fetch_add(1, Ordering::SeqCst);
            let (builder, serve) = (builder.clone(), serve.clone());
            tokio::spawn(async move {
                if let Ok(connection) = builder.handshake(stream).await {
                    serve(connection, index).await;
                }
            });
        }
    });
    (address, accepted)
}

fn upstream(address: SocketAddr) -> Upstream {
    upstream_with(address, |_| {})
}

fn upstream_with(address: SocketAddr, change: impl FnOnce(&mut UpstreamSpec)) -> Upstream {
    let mut spec = UpstreamSpec::new(Target::parse(&format!("http://{address}")).unwrap());
    spec.protocol = Protocol::Http2;
    change(&mut spec);
    local_client().upstream(spec).unwrap()
}

fn answer(mut respond: h2::server::SendResponse<Bytes>, text: impl Into<Bytes>) {
    if let Ok(mut body) = respond.send_response(Response::new(()), false) {
        let _ = body.send_data(text.into(), true);
    }
}

#[tokio::test]
async fn requests_share_a_connection_and_carry_the_right_pseudo_headers() {
    let (address, accepted) = origin(h2::server::Builder::new(), |mut connection, _| async move {
        while let Some(Ok((request, respond))) = connection.accept().await {
            for name in ["host", "connection", "te", "transfer-encoding"] {
                assert!(!request.headers().contains_key(name), "{name}");
            }
            answer(respond, request.uri().to_string());
        }
    })
    .await;
    let upstream = upstream(address);
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        let upstream = upstream.clone();
        tasks.spawn(async move {
            let mut request = get(&format!("https://buyer.example/{n}?q"));
            let headers = request.headers_mut();
            headers.insert("host", HeaderValue::from_static("buyer.example"));
            headers.insert("connection", HeaderValue::from_static("keep-alive, te"));
            headers.insert("te", HeaderValue::from_static("gzip"));
            headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
            let response = exchange(&upstream, request).await.unwrap();
            assert_eq!(response.body(), &format!("http://{address}/{n}?q"));
        });
    }
    within("all tasks", tasks.join_all()).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let (address, _) = origin(h2::server::Builder::new(), |mut connection, _| async move {
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let mut body = request.into_body();
                let mut received = Vec::new();
                while let Some(Ok(data)) = body.data().await {
                    let _ = body.flow_control().release_capacity(data.len());
                    received.extend(data);
                }
                let trailers = body.trailers().await.unwrap().unwrap();
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(received.into(), false).unwrap();
                stream.send_trailers(trailers).unwrap();
            });
        }
    })
    .await;
    let trailers =
        HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("42"))]);
    let frames = [
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"he"))),
        Ok(Frame::data(Bytes::from_static(b"llo"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = RequestBody::stream(StreamBody::new(futures_util::stream::iter(frames)));
    let request = Request::post("/").body(body).unwrap();
    let response = within("head", upstream(address).send(request))
        .await
        .unwrap();
    let body = within("body", response.into_body().collect())
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "42");
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test]
async fn the_origins_stream_limit_is_kept_with_few_connections() {
    const LIMIT: usize = 2;
    let most = Arc::new(AtomicUsize::new(0));
    let open = Arc::new(AtomicUsize::new(0));
    let release = Arc::new(Notify::new());
    let (most_seen, now_open, signal) = (most.clone(), open.clone(), release.clone());
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(u32::try_from(LIMIT).unwrap());
    let (address, accepted) = origin(builder, move |mut connection, _| {
        let (most, open, release) = (most_seen.clone(), now_open.clone(), signal.clone());
        async move {
            let here = Arc::new(AtomicUsize::new(0));
            while let Some(Ok((request, respond))) = connection.accept().await {
                if request.uri().path() == "/first" {
                    answer(respond, "ok");
                    continue;
                }
                most.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (here, release) = (here.clone(), release.clone());
                tokio::spawn(async move {
                    release.notified().await;
                    here.fetch_sub(1, Ordering::SeqCst);
                    answer(respond, "ok");
                });
            }
        }
    })
    .await;
    let upstream = upstream(address);
    let mut tasks = JoinSet::new();
    // The limit comes with the origin's first frame and is looked at with the next request.
    for _ in 0..2 {
        exchange(&upstream, get("/first")).await.unwrap();
    }
    for _ in 0..20 {
        let upstream = upstream.clone();
        tasks.spawn(async move { exchange(&upstream, get("/")).await.unwrap() });
    }
    for done in 1..=20usize {
        eventually("a stream is open", || open.load(Ordering::SeqCst) >= done).await;
        release.notify_one();
        let response = within("one task", tasks.join_next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(response.body(), "ok");
    }
    assert_eq!(most.load(Ordering::SeqCst), LIMIT);
    // As many as may be, since twenty requests need ten.
    assert_eq!(accepted.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn goaway_leads_to_a_new_connection_and_loses_nothing() {
    let (address, accepted) = origin(
        h2::server::Builder::new(),
        |mut connection, index| async move {
            let mut served = 0;
            while let Some(Ok((_, respond))) = connection.accept().await {
                served += 1;
                answer(respond, format!("{index}"));
                if served == 3 {
                    connection.graceful_shutdown();
                }
            }
        },
    )
    .await;
    let upstream = upstream(address);
    for _ in 0..30 {
        let response = within("answer", exchange(&upstream, post("/", "x")))
            .await
            .unwrap();
        assert!(!response.body().is_empty());
    }
    assert!(accepted.load(Ordering::SeqCst) >= 5, "{accepted:?}");
}

/// With room for one stream the second request waits inside hyper and the third before it. When the
/// connection goes away the third comes back untouched and goes out on a new one.
#[tokio::test]
async fn a_request_that_a_connection_gives_back_goes_to_the_next() {
    let release = Arc::new(Notify::new());
    let signal = release.clone();
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1);
    let (address, accepted) = origin(builder, move |mut connection, index| {
        let release = signal.clone();
        async move {
            while let Some(Ok((request, respond))) = connection.accept().await {
                if index == 0 && request.uri().path() == "/1" {
                    release.notified().await;
                    connection.graceful_shutdown();
                }
                answer(respond, format!("{index}"));
            }
        }
    })
    .await;
    let upstream = upstream_with(address, |spec| spec.connections_max = Some(1));
    for _ in 0..2 {
        exchange(&upstream, get("/first")).await.unwrap();
    }
    let mut tasks = Vec::new();
    for n in 1..=3 {
        let upstream = upstream.clone();
        let path = format!("/{n}");
        tasks.push(tokio::spawn(async move {
            exchange(&upstream, get(&path)).await
        }));
        tokio::task::yield_now().await;
    }
    release.notify_one();
    let third = within("third", tasks.remove(2)).await.unwrap().unwrap();
    assert_eq!(third.body(), "1");
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_stream_counts_as_not_sent_and_a_reset_one_does_not() {
    for (reason, may_have_been_sent) in [
        (h2::Reason::REFUSED_STREAM, false),
        (h2::Reason::INTERNAL_ERROR, true),
        (h2::Reason::CANCEL, true),
    ] {
        let (address, accepted) = origin(
            h2::server::Builder::new(),
            move |mut connection, _| async move {
                let mut first = true;
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    if std::mem::take(&mut first) {
                        respond.send_reset(reason);
                    } else {
                        answer(respond, "ok");
                    }
                }
            },
        )
        .await;
        let upstream = upstream(address);
        let error = within("reset", exchange(&upstream, get("/")))
            .await
            .unwrap_err();
        assert_eq!(error.phase(), Phase::Send);
        assert_eq!(error.may_have_been_sent(), may_have_been_sent, "{reason:?}");
        // A stream's end is not the connection's.
        assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
        assert_eq!(accepted.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn stalls_time_out_and_only_cost_their_stream() {
    let (address, accepted) = origin(h2::server::Builder::new(), |mut connection, _| async move {
        let mut kept = Vec::new();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            match request.uri().path() {
                "/no-head" => kept.push((respond, None)),
                "/half" => {
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(Bytes::from_static(b"half"), false).unwrap();
                    kept.push((respond, Some(body)));
                }
                _ => answer(respond, "ok"),
            }
        }
    })
    .await;
    let upstream = upstream_with(address, |spec| {
        spec.head_timeout = Duration::from_millis(400);
        spec.body_idle_timeout = Duration::from_millis(400);
    });
    for (path, phase) in [
        ("/no-head", Phase::HeadTimeout),
        ("/half", Phase::BodyTimeout),
    ] {
        let error = within("timeout", exchange(&upstream, get(path)))
            .await
            .unwrap_err();
        assert_eq!(error.phase(), phase);
        assert!(error.may_have_been_sent());
        assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dropped_body_resets_its_stream() {
    let reset = Arc::new(AtomicUsize::new(0));
    let resets = reset.clone();
    let (address, accepted) = origin(h2::server::Builder::new(), move |mut connection, _| {
        let resets = resets.clone();
        async move {
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                if request.uri().path() != "/endless" {
                    answer(respond, "ok");
                    continue;
                }
                let resets = resets.clone();
                tokio::spawn(async move {
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(Bytes::from_static(b"half"), false).unwrap();
                    let _ = std::future::poll_fn(|cx| body.poll_reset(cx)).await;
                    resets.fetch_add(1, Ordering::SeqCst);
                });
            }
        }
    })
    .await;
    let upstream = upstream(address);
    let response = upstream.send(get("/endless")).await.unwrap();
    drop(response);
    eventually("the stream is reset", || reset.load(Ordering::SeqCst) == 1).await;
    assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn idle_h2_connections_close_in_time() {
    let closed = Arc::new(AtomicUsize::new(0));
    let closes = closed.clone();
    let (address, _) = origin(h2::server::Builder::new(), move |mut connection, _| {
        let closes = closes.clone();
        async move {
            while let Some(Ok((_, respond))) = connection.accept().await {
                answer(respond, "ok");
            }
            closes.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let upstream = upstream_with(address, |spec| {
        spec.pool_idle_timeout = Duration::from_millis(20);
    });
    exchange(&upstream, get("/")).await.unwrap();
    eventually("the origin sees the close", || {
        closed.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(upstream.stats().connections_shared, 0);
}

#[tokio::test]
async fn a_websocket_is_refused_where_only_h2_is_spoken() {
    let (address, accepted) = origin(h2::server::Builder::new(), |_, _| async {}).await;
    let mut request = get("/");
    octroi_egress::hop_by_hop::set_websocket_upgrade(request.headers_mut());
    let error = upstream(address).send(request).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Request);
    assert!(!error.may_have_been_sent());
    assert_eq!(accepted.load(Ordering::SeqCst), 0);
}
