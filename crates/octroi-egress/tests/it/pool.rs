//! Reuse, give-back, limits and cleaning up of connections.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt;
use octroi_egress::Phase;
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;

use crate::origin::{Origin, body_text, eventually, exchange, get, local_client, post, within};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const OK_CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";

#[tokio::test]
async fn one_connection_serves_requests_in_sequence() {
    for response in [OK, OK_CHUNKED, "HTTP/1.1 204 No Content\r\n\r\n"] {
        let origin = Origin::answering(response).await;
        let upstream = origin.upstream();
        for _ in 0..10 {
            exchange(&upstream, get("/")).await.unwrap();
            exchange(&upstream, post("/", "hello")).await.unwrap();
        }
        assert_eq!(origin.accepted(), 1, "{response}");
        assert_eq!(upstream.stats().connections_idle, 1);
        assert_eq!(upstream.stats().connections_opened, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_tasks_need_sixty_four_connections_at_most() {
    const TASKS: usize = 64;
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let origin = Origin::start(move |mut peer| {
        let served = count.clone();
        async move {
            while let Some(request) = peer.request().await {
                served.fetch_add(1, Ordering::SeqCst);
                let name = request.head.split(' ').nth(1).unwrap().to_owned();
                let length = name.len();
                peer.write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{name}"
                ))
                .await;
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    // All at once first, so that the number is reached and not passed.
    let start = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (upstream, start) = (upstream.clone(), start.clone());
        tasks.spawn(async move {
            start.wait().await;
            for round in 0..20 {
                let path = format!("/{task}/{round}");
                let response = exchange(&upstream, get(&path)).await.unwrap();
                assert_eq!(response.body(), path.as_bytes());
            }
        });
    }
    within("all tasks", tasks.join_all()).await;
    assert_eq!(served.load(Ordering::SeqCst), TASKS * 20);
    assert!(origin.accepted() <= TASKS, "{}", origin.accepted());
    assert_eq!(upstream.stats().connections_idle, origin.accepted());
}

#[tokio::test]
async fn a_body_that_is_already_read_frees_its_connection_at_once() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream();
    let first = upstream.send(get("/")).await.unwrap();
    assert_eq!(upstream.stats().connections_idle, 1);
    let second = upstream.send(get("/")).await.unwrap();
    assert_eq!(body_text(first).await, "ok");
    assert_eq!(body_text(second).await, "ok");
    assert_eq!(origin.accepted(), 1);
}

/// A server that knows the length never polls for the end, so the last frame must free the connection.
#[tokio::test]
async fn the_last_frame_frees_the_connection() {
    let go = Arc::new(Notify::new());
    let signal = go.clone();
    let origin = Origin::start(move |mut peer| {
        let go = signal.clone();
        async move {
            while peer.request().await.is_some() {
                peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
                    .await;
                go.notified().await;
                peer.write("ok").await;
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    let mut body = upstream.send(get("/")).await.unwrap().into_body();
    assert_eq!(upstream.stats().connections_idle, 0);
    go.notify_one();
    let frame = within("frame", body.frame()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "ok");
    assert_eq!(upstream.stats().connections_idle, 1);
}

#[tokio::test]
async fn a_dropped_body_closes_its_connection_and_the_pool_stays_clean() {
    let origin = Origin::start(|mut peer| async move {
        if peer.index == 0 {
            peer.request().await;
            // More than fits into any buffer in between, and never the end of it.
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
                .await;
            peer.write(vec![b'x'; 1_000_000]).await;
            peer.until_closed().await;
            return;
        }
        while peer.request().await.is_some() {
            peer.write(OK).await;
        }
    })
    .await;
    let upstream = origin.upstream();
    let mut response = upstream.send(get("/")).await.unwrap();
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert!(frame.is_data());
    drop(response);
    eventually("the origin sees the close", || origin.closed() == 1).await;
    assert_eq!(upstream.stats().connections_idle, 0);
    assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    assert_eq!(origin.accepted(), 2);
}

#[tokio::test]
async fn a_cancelled_request_closes_its_connection() {
    let arrived = Arc::new(Notify::new());
    let signal = arrived.clone();
    let origin = Origin::start(move |mut peer| {
        let arrived = signal.clone();
        async move {
            if peer.index == 0 {
                peer.request().await;
                arrived.notify_one();
                peer.until_closed().await;
                return;
            }
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    tokio::select! {
        _ = upstream.send(get("/")) => panic!("the origin never answers"),
        () = arrived.notified() => {}
    }
    eventually("the origin sees the close", || origin.closed() == 1).await;
    assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
}

#[tokio::test]
async fn idle_connections_close_in_time() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream_with(|spec| {
        spec.pool_idle_timeout = Duration::from_millis(20);
    });
    exchange(&upstream, get("/")).await.unwrap();
    eventually("the pool is empty", || {
        upstream.stats().connections_idle == 0
    })
    .await;
    eventually("the origin sees the close", || origin.closed() == 1).await;
    // The sweeper has gone home and must come back.
    exchange(&upstream, get("/")).await.unwrap();
    eventually("the origin sees the close again", || origin.closed() == 2).await;
}

#[tokio::test]
async fn the_pool_keeps_no_more_than_it_may() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream_with(|spec| spec.pool_idle_max = 2);
    let mut tasks = JoinSet::new();
    let start = Arc::new(Barrier::new(5));
    for _ in 0..5 {
        let (upstream, start) = (upstream.clone(), start.clone());
        tasks.spawn(async move {
            start.wait().await;
            exchange(&upstream, get("/")).await.unwrap();
        });
    }
    within("all tasks", tasks.join_all()).await;
    assert!(upstream.stats().connections_idle <= 2);
    let surplus = origin.accepted() - upstream.stats().connections_idle;
    eventually("the surplus is closed", || origin.closed() == surplus).await;
}

#[tokio::test]
async fn a_connection_that_the_origin_closes_leaves_the_pool() {
    let close = Arc::new(Notify::new());
    let signal = close.clone();
    let origin = Origin::start(move |mut peer| {
        let close = signal.clone();
        async move {
            peer.request().await;
            peer.write(OK).await;
            close.notified().await;
        }
    })
    .await;
    let upstream = origin.upstream();
    exchange(&upstream, get("/")).await.unwrap();
    assert_eq!(upstream.stats().connections_idle, 1);
    close.notify_one();
    eventually("the pool is empty", || {
        upstream.stats().connections_idle == 0
    })
    .await;
}

#[tokio::test]
async fn dropping_the_upstream_closes_idle_connections() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream();
    exchange(&upstream, get("/")).await.unwrap();
    assert_eq!(upstream.stats().connections_idle, 1);
    drop(upstream);
    eventually("the origin sees the close", || origin.closed() == 1).await;
}

#[test]
fn a_body_outlives_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let response = runtime.block_on(async {
        let origin = Origin::start(|mut peer| async move {
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok")
                .await;
            peer.until_closed().await;
        })
        .await;
        origin.upstream().send(get("/")).await.unwrap()
    });
    drop(runtime);
    drop(response);
}

/// The limit counts requests on the wire; the fourth waits for one of three to end.
#[tokio::test]
async fn the_connection_limit_holds_requests_back() {
    let release = Arc::new(Notify::new());
    let signal = release.clone();
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = waiting.clone();
    let origin = Origin::start(move |mut peer| {
        let (release, waiting) = (signal.clone(), count.clone());
        async move {
            while peer.request().await.is_some() {
                waiting.fetch_add(1, Ordering::SeqCst);
                release.notified().await;
                peer.write(OK).await;
            }
        }
    })
    .await;
    let upstream = origin.upstream_with(|spec| spec.connections_max = Some(3));
    let mut tasks = JoinSet::new();
    for _ in 0..9 {
        let upstream = upstream.clone();
        tasks.spawn(async move { exchange(&upstream, get("/")).await.unwrap() });
    }
    for done in 1..=9usize {
        let arrived = (done + 2).min(9);
        eventually("requests on the wire", || {
            waiting.load(Ordering::SeqCst) == arrived
        })
        .await;
        assert!(origin.accepted() <= 3);
        release.notify_one();
        within("one task", tasks.join_next())
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!(origin.accepted(), 3);
}

#[tokio::test]
async fn a_request_that_finds_no_place_in_time_is_not_sent() {
    let origin = Origin::start(|mut peer| async move {
        peer.request().await;
        peer.until_closed().await;
    })
    .await;
    let upstream = origin.upstream_with(|spec| {
        spec.connections_max = Some(1);
        spec.connect_timeout = Duration::from_millis(50);
    });
    let holder = upstream.clone();
    let held = tokio::spawn(async move { holder.send(get("/held")).await.is_err() });
    eventually("the first request is out", || origin.accepted() == 1).await;
    let error = upstream.send(get("/late")).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Connect);
    assert!(!error.may_have_been_sent());
    held.abort();
    assert_eq!(origin.accepted(), 1);
}

/// An origin closes the pooled connection; the request goes out once, on a new one.
#[tokio::test]
async fn a_closed_pooled_connection_is_replaced_and_the_request_sent_once() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let origin = Origin::start(move |mut peer| {
        let requests = count.clone();
        async move {
            while peer.request().await.is_some() {
                requests.fetch_add(1, Ordering::SeqCst);
                peer.write(OK).await;
                if peer.index == 0 {
                    return;
                }
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    exchange(&upstream, post("/", "one")).await.unwrap();
    eventually("the origin has closed", || origin.closed() == 1).await;
    exchange(&upstream, post("/", "two")).await.unwrap();
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    assert_eq!(origin.accepted(), 2);
}

/// A request that reached the origin is never repeated, whatever became of it.
#[tokio::test]
async fn a_request_that_was_written_is_not_sent_again() {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let origin = Origin::start(move |mut peer| {
        let requests = count.clone();
        async move {
            while peer.request().await.is_some() {
                if requests.fetch_add(1, Ordering::SeqCst) == 1 {
                    return;
                }
                peer.write(OK).await;
            }
        }
    })
    .await;
    let upstream = origin.upstream();
    exchange(&upstream, get("/")).await.unwrap();
    let error = exchange(&upstream, get("/")).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Send);
    assert!(error.may_have_been_sent());
    assert!(error.connection_reused());
    assert_eq!(requests.load(Ordering::SeqCst), 2);
    assert_eq!(origin.accepted(), 1);
}

/// What an origin does to an idle connection on another thread while this thread never lets the
/// reactor run: only asking the kernel shows it before the next request is written.
fn between_requests(
    act: impl FnOnce(&mut std::net::TcpStream) + Send + 'static,
) -> (String, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (go, going) = mpsc::channel::<()>();
    let (did, done) = mpsc::channel::<()>();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    thread::spawn(move || {
        let mut act = Some(act);
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).unwrap();
            stream.write_all(OK.as_bytes()).unwrap();
            if let Some(act) = act.take() {
                going.recv().unwrap();
                act(&mut stream);
                did.send(()).unwrap();
            }
            kept.push(stream);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let body = runtime.block_on(async {
        let target = octroi_egress::Target::parse(&format!("http://{address}")).unwrap();
        let spec = octroi_egress::UpstreamSpec::new(target);
        let upstream = local_client().upstream(spec).unwrap();
        exchange(&upstream, get("/")).await.unwrap();
        assert_eq!(upstream.stats().connections_idle, 1);
        go.send(()).unwrap();
        // Blocks the runtime on purpose.
        done.recv().unwrap();
        let response = within("the second answer", upstream.send(get("/")))
            .await
            .unwrap();
        body_text(response).await
    });
    (body, connections.load(Ordering::SeqCst))
}

#[test]
fn bytes_that_no_request_asked_for_are_never_its_response() {
    let (body, connections) = between_requests(|stream| {
        let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
        stream.write_all(smuggled.as_bytes()).unwrap();
    });
    assert_eq!(body, "ok");
    assert_eq!(connections, 2);
}

#[test]
fn a_close_that_the_reactor_has_not_reported_is_seen() {
    let (body, connections) = between_requests(|stream| {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    });
    assert_eq!(body, "ok");
    assert_eq!(connections, 2);
}
