//! Whole messages: bounds, deadline, JSON, redirects, reuse.

use std::time::Duration;

use http::{HeaderValue, Method};
use octroi_egress::{Client, FetchRequest, Phase};
use serde::{Deserialize, Serialize};

use crate::origin::{Origin, header, local_client, within};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sum {
    left: u64,
    right: u64,
}

async fn adder() -> Origin {
    Origin::start(|mut peer| async move {
        while let Some(request) = peer.request().await {
            assert!(request.head.starts_with("POST /add?key=1 HTTP/1.1\r\n"));
            assert_eq!(
                header(&request.head, "content-type"),
                Some("application/json")
            );
            let sum: Sum = serde_json::from_slice(&request.body).unwrap();
            let json = (sum.left + sum.right).to_string();
            let length = json.len();
            peer.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{json}"
            ))
            .await;
        }
    })
    .await
}

#[tokio::test]
async fn json_goes_out_and_comes_back_on_one_connection() {
    let origin = adder().await;
    let client = local_client();
    for left in 0..5 {
        let sum = Sum { left, right: 2 };
        let request = FetchRequest::post_json(origin.url("/add?key=1"), &sum).unwrap();
        let response = client.fetch(request).await.unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(response.json::<u64>().unwrap(), left + 2);
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    for body in [
        "content-length: 11\r\n\r\nhello world",
        "transfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
        "content-length: 18446744073709551613\r\n\r\nhello",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\n{body}").leak();
        let origin = Origin::answering(response).await;
        let mut request = FetchRequest::new(Method::GET, origin.url("/"));
        request.body_bytes_max = 10;
        let client = local_client();
        let error = within("refusal", client.fetch(request)).await.unwrap_err();
        assert_eq!(error.phase(), Phase::BodyTooLarge);
        assert!(error.may_have_been_sent());
    }
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n",
    )
    .await;
    let mut request = FetchRequest::new(Method::GET, origin.url("/"));
    request.body_bytes_max = 11;
    let response = local_client().fetch(request).await.unwrap();
    assert_eq!(response.body, "hello world");
}

#[tokio::test]
async fn one_deadline_covers_everything() {
    for (bytes, phase) in [
        ("", Phase::HeadTimeout),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no",
            Phase::BodyTimeout,
        ),
    ] {
        let origin = Origin::start(move |mut peer| async move {
            peer.request().await;
            peer.write(bytes).await;
            peer.until_closed().await;
        })
        .await;
        let mut request = FetchRequest::new(Method::GET, origin.url("/"));
        request.timeout = Duration::from_millis(100);
        let error = within("deadline", local_client().fetch(request))
            .await
            .unwrap_err();
        assert_eq!(error.phase(), phase);
        assert!(error.may_have_been_sent());
    }
}

#[tokio::test]
async fn urls_are_judged_before_anything_is_sent() {
    let client = Client::new(octroi_egress::ClientOptions::default()).unwrap();
    for url in [
        "http://127.0.0.1/",
        "http://user:pw@example.com/",
        "ftp://example.com/",
        "//example.com/",
        "http://[::ffff:169.254.169.254]/latest/meta-data",
        "http://2130706433/",
        "not a url",
    ] {
        let request = FetchRequest::new(Method::GET, url);
        let error = client.fetch(request).await.unwrap_err();
        assert_eq!(error.phase(), Phase::Policy, "{url}");
        assert!(!error.may_have_been_sent(), "{url}");
    }
}

/// Redirects `/` with the given head and tells back request line and some headers of what follows.
async fn redirecting(head: String) -> Origin {
    Origin::start(move |mut peer| {
        let head = head.clone();
        async move {
            while let Some(request) = peer.request().await {
                if request.head.contains(" / HTTP/1.1") {
                    peer.write(format!("{head}content-length: 0\r\n\r\n")).await;
                    continue;
                }
                let line = request.head.lines().next().unwrap();
                let token = header(&request.head, "authorization").unwrap_or("-");
                let body = String::from_utf8(request.body).unwrap();
                let text = format!("{line} {token} {body}");
                let length = text.len();
                peer.write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}"
                ))
                .await;
            }
        }
    })
    .await
}

fn authorized(url: String) -> FetchRequest {
    let mut request = FetchRequest::new(Method::POST, url);
    request.body = "body".into();
    let token = HeaderValue::from_static("token");
    request.headers.insert("authorization", token);
    request
}

#[tokio::test]
async fn redirects_are_responses_unless_asked_for() {
    let origin = redirecting("HTTP/1.1 302 Found\r\nlocation: /next\r\n".into()).await;
    let response = local_client()
        .fetch(authorized(origin.url("/")))
        .await
        .unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.headers["location"], "/next");
}

#[tokio::test]
async fn followed_redirects_keep_or_change_the_method() {
    for (status, expected) in [
        ("302 Found", "GET /next HTTP/1.1 token "),
        ("303 See Other", "GET /next HTTP/1.1 token "),
        ("307 Temporary Redirect", "POST /next HTTP/1.1 token body"),
        ("308 Permanent Redirect", "POST /next HTTP/1.1 token body"),
    ] {
        let origin = redirecting(format!("HTTP/1.1 {status}\r\nlocation: /next\r\n")).await;
        let mut request = authorized(origin.url("/"));
        request.redirects_max = 1;
        let response = local_client().fetch(request).await.unwrap();
        assert_eq!(response.body, expected);
        assert_eq!(origin.accepted(), 1);
    }
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin() {
    let other = redirecting(String::new()).await;
    let location = other.url("/there");
    let origin = redirecting(format!("HTTP/1.1 307 Moved\r\nlocation: {location}\r\n")).await;
    let mut request = authorized(origin.url("/"));
    request.redirects_max = 3;
    let response = local_client().fetch(request).await.unwrap();
    assert_eq!(response.body, "POST /there HTTP/1.1 - body");
}

#[tokio::test]
async fn redirects_are_bounded_and_judged_at_each_hop() {
    let endless = redirecting("HTTP/1.1 302 Found\r\nlocation: /\r\n".into()).await;
    let inside = redirecting("HTTP/1.1 302 Found\r\nlocation: http://10.0.0.1/\r\n".into()).await;
    let elsewhere =
        redirecting("HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n".into()).await;
    let nowhere = redirecting("HTTP/1.1 302 Found\r\n".into()).await;
    for origin in [endless, inside, elsewhere, nowhere] {
        let mut request = FetchRequest::new(Method::GET, origin.url("/"));
        request.redirects_max = 5;
        let error = within("refusal", local_client().fetch(request))
            .await
            .unwrap_err();
        assert_eq!(error.phase(), Phase::Policy);
    }
}

#[test]
fn requests_and_responses_print_no_secrets() {
    let mut request = FetchRequest::post_json("https://rpc.example/v2/api-key", &"body").unwrap();
    let token = HeaderValue::from_static("token");
    request.headers.insert("authorization", token);
    let shown = format!("{request:?}");
    for secret in ["api-key", "token", "body"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
