//! What stands behind the gate, and what reaches the buyer of it.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request};
use octroi_interop::{
    AFTER, BUYERS, FIRST, Market, PRICE, Payment, Reply, pattern_sha256, streaming_buyer,
};
use sha2::{Digest as _, Sha256};

const PAGE: &[u8] = b"0123456789";

/// Range and conditional requests are priced like any other: what is asked for without paying is the
/// terms, and what was paid for is the buyer's alone.
#[tokio::test]
async fn static_files_are_sold_and_not_leaked_through_caches() -> anyhow::Result<()> {
    let market = Market::open().await?;
    market.origin.publish("page.html", "text/html", PAGE);
    let direct = market
        .http
        .get(&format!("{}/files/page.html", market.origin.url()))
        .await?;
    let etag = direct.header("etag").unwrap().to_owned();
    let conditions = [
        ("accept", "text/html"),
        ("range", "bytes=2-4"),
        ("if-none-match", &*etag),
        ("if-modified-since", "Sat, 01 Jan 2028 00:00:00 GMT"),
    ];
    let site = market.site_url()?;
    let urls = [
        format!("{}{AFTER}/files/page.html", market.gate.url()?),
        format!("{site}/files/page.html"),
    ];
    for (url, account) in urls.iter().zip(BUYERS) {
        for method in [Method::GET, Method::HEAD] {
            for (name, value) in conditions {
                let request = request(&method, url).header(name, value);
                let unpaid = market.http.send(request.body(Full::default())?).await?;
                assert_eq!(unpaid.status, 402, "{method} {url} with {name}");
                assert_eq!(unpaid.header("cache-control"), Some("no-store"));
                assert!(unpaid.header("payment-required").is_some());
                assert_eq!(unpaid.body.is_empty(), method == Method::HEAD);
                for leaked in ["etag", "content-range", "accept-ranges", "last-modified"] {
                    assert_eq!(unpaid.header(leaked), None, "{method} {url} with {name}");
                }
            }
        }
        let calls = market.origin.calls("/files/page.html");
        let bought = async |name: &str, value: &str| {
            let payment = market.payment(account, url).await?;
            let request = request(&Method::GET, url)
                .header("payment-signature", payment.header())
                .header(name, value);
            market.http.send(request.body(Full::default())?).await
        };
        let whole = bought("accept", "text/html").await?;
        assert_eq!((whole.status.as_u16(), &whole.body[..]), (200, PAGE));
        let part = bought("range", "bytes=2-4").await?;
        assert_eq!((part.status.as_u16(), &part.body[..]), (206, &PAGE[2..5]));
        assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
        let unchanged = bought("if-none-match", &etag).await?;
        assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
        for reply in [&whole, &part, &unchanged] {
            is_private(&reply.headers);
            assert_eq!(reply.header("etag"), Some(&*etag), "{}", reply.status);
            assert_eq!(reply.decoded("payment-response")?["success"], true);
        }
        assert_eq!(market.origin.calls("/files/page.html"), calls + 3);
    }
    market.concluded(6).await?;
    assert_eq!(market.earned().await?, 6 * PRICE);
    market.reconcile().await
}

/// No shared cache may keep it, and one that does all the same must not give it to others.
fn is_private(headers: &HeaderMap) {
    let listed = |name: &str| {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
        texts.collect::<Vec<_>>().join(", ")
    };
    let caching = listed("cache-control");
    assert!(caching.starts_with("private"), "{caching}");
    assert!(
        !caching.contains("public") && !caching.contains("s-maxage"),
        "{caching}"
    );
    let vary = listed("vary");
    assert!(
        vary.contains("payment-signature") && vary.contains("x-payment"),
        "{vary}"
    );
}

/// Each event is sent only when the buyer has the one before it: nothing collects them on the way.
#[tokio::test]
async fn events_pass_one_by_one_in_both_settle_orders() -> anyhow::Result<()> {
    let market = Market::open().await?;
    for (order, account) in [AFTER, FIRST].into_iter().zip(BUYERS) {
        let path = format!("{order}/events");
        let payment = market.payment(account, &path).await?;
        let request = market.paid(Method::GET, &path, &payment, "")?;
        let open = market.http.open(request).await?;
        assert_eq!(open.status(), 200);
        assert_eq!(open.headers()["content-type"], "text/event-stream");
        assert!(open.headers().contains_key("payment-response"));
        is_private(open.headers());
        let events = market.origin.event_stream().await?;
        let mut listening = open.into_body();
        for text in ["one", "two", "three", "four"] {
            events.send(text).await?;
            let frame = listening.frame().await.unwrap()?;
            assert_eq!(
                frame.into_data().unwrap(),
                format!("data: {text}\n\n"),
                "{order}"
            );
        }
        drop(events);
        assert!(listening.frame().await.is_none(), "a proper end");
    }
    let sold = market.concluded(2).await?;
    assert!(
        sold.iter()
            .all(|one| one.state == "Completed" && one.work == "delivered")
    );
    assert_eq!(market.earned().await?, 2 * PRICE);
    market.reconcile().await
}

#[tokio::test]
async fn an_unmodified_client_reads_paid_events_as_they_come() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let url = market.site_url()?;
    let client = streaming_buyer(BUYERS[0], &url, "/events")?;
    let events = market.origin.event_stream().await?;
    for text in ["one", "two", "three"] {
        events.send(text).await?;
        let expected = format!("event {text}");
        client.line(|line| (line == expected).then_some(())).await?;
    }
    drop(events);
    let (status, output) = client.finish().await?;
    assert!(
        status.success() && output.contains(r#""success":true"#),
        "{output}"
    );
    assert_eq!(market.earned().await?, PRICE);
    market.concluded(1).await?;
    market.reconcile().await
}

#[tokio::test]
async fn a_listener_that_leaves_ends_the_stream_and_the_books_stay_straight() -> anyhow::Result<()>
{
    let market = Market::open().await?;
    let path = format!("{AFTER}/events");
    let payment = market.payment(BUYERS[0], &path).await?;
    let open = market
        .http
        .open(market.paid(Method::GET, &path, &payment, "")?)
        .await?;
    let events = market.origin.event_stream().await?;
    events.send("one").await?;
    let mut listening = open.into_body();
    listening.frame().await.unwrap()?;
    drop(listening);
    events.abandoned().await?;
    let sold = market.concluded(1).await?;
    assert_eq!(
        (&*sold[0].state, &*sold[0].payment),
        ("Completed", "settled")
    );
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// A hundred megabytes arrive as they were sent, and the gate never holds more than a part of them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_download_arrives_whole_and_is_not_collected() -> anyhow::Result<()> {
    const LENGTH: usize = 100_000_000;
    /// Resident memory while a gigabyte passes is to stay below this.
    const MEMORY_MAX: u64 = 60 << 20;
    let market = Market::open().await?;
    let path = format!("{AFTER}/download?bytes={LENGTH}");
    let payment = market.payment(BUYERS[0], &path).await?;
    let open = market
        .http
        .open(market.paid(Method::GET, &path, &payment, "")?)
        .await?;
    assert_eq!(open.status(), 200);
    assert_eq!(open.headers()["content-length"], LENGTH.to_string());
    let mut body = open.into_body();
    let (mut digest, mut length) = (Sha256::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            length += data.len();
            digest.update(&data);
        }
    }
    assert_eq!(length, LENGTH);
    assert_eq!(hex::encode(digest.finalize()), pattern_sha256(LENGTH));
    let peak = market.gate.peak_memory_bytes()?;
    assert!(peak < MEMORY_MAX, "{peak} bytes");
    let sold = market.concluded(1).await?;
    assert_eq!(&*sold[0].work, "delivered");
    market.reconcile().await
}

/// Above 64 KiB a body is bound by the digest that it announces.
#[tokio::test]
async fn an_upload_is_bound_by_its_digest() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/upload");
    let content: Bytes = (0..1_000_000_u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    let sha256 = Sha256::digest(&content);
    let truth = content_digest(&sha256);
    let lie = content_digest(&Sha256::digest(b"something else"));
    let upload = async |payment: &Payment, body: &Bytes, digest: Option<&str>| {
        let mut request = market.paid(Method::POST, &path, payment, body.clone())?;
        if let Some(digest) = digest {
            request
                .headers_mut()
                .insert("content-digest", digest.parse()?);
        }
        market.http.send(request).await
    };

    let payment = market.payment(BUYERS[0], &path).await?;
    let unbound = upload(&payment, &content, None).await?;
    refused(&unbound, 400, "digest_required");
    let small = content.slice(..1000);
    refused(
        &upload(&payment, &small, Some(&lie)).await?,
        400,
        "digest_mismatch",
    );
    assert_eq!(market.origin.calls("/upload"), 0);
    assert!(market.gate.transactions().await?.is_empty());

    // The whole body has to pass before the lie shows, and then the origin does not get its end.
    refused(
        &upload(&payment, &content, Some(&lie)).await?,
        400,
        "digest_mismatch",
    );
    let lied = market.concluded(1).await?.remove(0);
    assert_eq!((&*lied.state, &*lied.payment), ("Failed", "released"));
    assert_eq!(market.earned().await?, 0);

    let payment = market.payment(BUYERS[0], &path).await?;
    let done = upload(&payment, &content, Some(&truth)).await?;
    assert_eq!(done.status, 200, "{:?}", done.body);
    assert_eq!(done.json()?["sha256"], hex::encode(sha256));
    assert_eq!(done.json()?["bytes"], content.len());
    market.concluded(2).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// The terms are told before a body is read: a buyer does not upload it for nothing.
#[tokio::test]
async fn an_unpaid_upload_is_answered_before_its_body() -> anyhow::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let market = Market::open().await?;
    let address = market.gate.url()?.trim_start_matches("http://").to_owned();
    let mut buyer = tokio::net::TcpStream::connect(&address).await?;
    let head = format!(
        "POST {AFTER}/upload HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000000\r\n\r\n"
    );
    buyer.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(octroi_interop::PATIENCE, async {
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(buyer.read_u8().await?);
        }
        anyhow::Ok(())
    })
    .await??;
    let answer = String::from_utf8(answer)?.to_lowercase();
    assert!(answer.starts_with("http/1.1 402"), "{answer}");
    assert!(
        answer.contains("\r\nconnection: close\r\n"),
        "the body is not wanted: {answer}"
    );
    assert_eq!(market.origin.calls("/upload"), 0);
    Ok(())
}

fn content_digest(sha256: &[u8]) -> String {
    format!("sha-256=:{}:", octroi_interop::base64(sha256))
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status.as_u16(), status, "{:?}", reply.body);
    assert_eq!(reply.code().as_deref(), Some(code));
}

fn request(method: &Method, url: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(url)
}
