//! The origins behave, and misbehave, as they say.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use octroi_interop::{Http, Origin, pattern_sha256};
use serde_json::json;
use sha2::{Digest as _, Sha256};

#[tokio::test]
async fn requests_are_remembered() -> anyhow::Result<()> {
    let origin = Origin::start().await?;
    let http = Http::new();
    let reply = http
        .get_with(&format!("{}/json?page=2", origin.url()), "x-trace", "abc")
        .await?;
    assert_eq!(reply.json()?, json!({"message": "hello", "call": 1}));
    origin.called("/json", 1).await?;
    let seen = origin.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].target, "/json?page=2");
    assert_eq!(seen[0].headers["x-trace"], "abc");
    assert_eq!(
        http.get(&format!("{}/status/503", origin.url()))
            .await?
            .status,
        503
    );
    assert_eq!(
        http.get(&format!("{}/elsewhere", origin.url()))
            .await?
            .status,
        404
    );
    Ok(())
}

#[tokio::test]
async fn files_know_validators_and_ranges() -> anyhow::Result<()> {
    let origin = Origin::start().await?;
    let http = Http::new();
    origin.publish("page.html", "text/html", "0123456789");
    let url = format!("{}/files/page.html", origin.url());
    let whole = http.get(&url).await?;
    assert_eq!(
        (whole.status.as_u16(), &whole.body[..]),
        (200, &b"0123456789"[..])
    );
    let etag = whole.header("etag").unwrap();
    let unchanged = http.get_with(&url, "if-none-match", etag).await?;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
    let part = http.get_with(&url, "range", "bytes=2-4").await?;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    Ok(())
}

#[tokio::test]
async fn bodies_arrive_whole_in_both_directions() -> anyhow::Result<()> {
    let origin = Origin::start().await?;
    let http = Http::new();
    let length = 3_000_001;
    let download = http
        .get(&format!("{}/download?bytes={length}", origin.url()))
        .await?;
    assert_eq!(download.body.len(), length);
    let digest = hex::encode(Sha256::digest(&download.body));
    assert_eq!(digest, pattern_sha256(length));

    let upload =
        Request::post(format!("{}/upload", origin.url())).body(Full::from(download.body))?;
    assert_eq!(
        http.send(upload).await?.json()?,
        json!({"bytes": length, "sha256": digest})
    );
    Ok(())
}

#[tokio::test]
async fn events_come_one_by_one_and_abandonment_is_noticed() -> anyhow::Result<()> {
    let origin = Origin::start().await?;
    let http = Http::new();
    let request =
        || Request::get(format!("{}/events", origin.url())).body(Full::<Bytes>::default());

    let mut listening = http.open(request()?).await?.into_body();
    let events = origin.event_stream().await?;
    for text in ["one", "two"] {
        events.send(text).await?;
        let frame = listening.frame().await.unwrap()?;
        assert_eq!(frame.into_data().unwrap(), format!("data: {text}\n\n"));
    }
    drop(events);
    assert!(listening.frame().await.is_none(), "a proper end");

    let mut listening = http.open(request()?).await?.into_body();
    origin.event_stream().await?.cut().await?;
    assert!(listening.frame().await.unwrap().is_err(), "a broken end");

    let listening = http.open(request()?).await?;
    let events = origin.event_stream().await?;
    drop(listening);
    events.abandoned().await
}

#[tokio::test]
async fn failures_fail_as_named() -> anyhow::Result<()> {
    let origin = Origin::start().await?;
    let http = Http::new();
    let open = |path| {
        let request = Request::get(format!("{}{path}", origin.url())).body(Full::default());
        let http = http.clone();
        async move { http.open(request?).await }
    };
    assert!(open("/cut").await.is_err());

    let mut broken = open("/cut-in-body").await?.into_body();
    assert_eq!(
        broken.frame().await.unwrap()?.into_data().unwrap().len(),
        500
    );
    assert!(broken.frame().await.unwrap().is_err());

    let mut halted = open("/stall-in-body").await?.into_body();
    assert_eq!(
        halted.frame().await.unwrap()?.into_data().unwrap().len(),
        500
    );
    let silent = tokio::spawn(open("/stall"));
    origin.called("/stall", 1).await?;
    assert!(!silent.is_finished());
    origin.release();
    assert_eq!(silent.await??.status(), 200);
    assert_eq!(
        halted.frame().await.unwrap()?.into_data().unwrap().len(),
        500
    );
    assert!(halted.frame().await.is_none());
    Ok(())
}
