//! What passes between buyer and origin, and how it is dressed.

use octroi_testkit::{Reply, Request, Setup, TestGate};

use crate::ITEM;

const SITE: &str = r#"
[[site]]
name = "site"
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"

[[site]]
name = "renamed"
hosts = ["renamed.test"]
public_url = "https://renamed.test"
origin = "http://ORIGIN"
default = "pass"
preserve_host = false
"#;

async fn gate() -> TestGate {
    Setup::new().await.sections(SITE).start().await
}

#[tokio::test]
async fn trailers_pass_both_ways_where_nothing_is_sold() {
    let gate = gate().await;
    let reply = Reply::stream(200)
        .header("trailer", "x-sum")
        .data("ab")
        .trailer("x-sum", "7");
    gate.origin.answer(reply);
    let mut connection = gate.client.connect().await;
    let request = Request::new("POST", "/up")
        .host("site.test")
        .header("te", "trailers")
        .header("trailer", "x-check")
        .header("transfer-encoding", "chunked");
    connection.send_head(&request).await;
    connection.write_chunk(b"body").await;
    connection.write(b"0\r\nx-check: 42\r\n\r\n").await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "ab"));
    assert_eq!(answer.trailers["x-sum"], "7");
    let seen = gate.origin.last();
    assert_eq!(
        (&seen.body[..], &seen.trailers["x-check"]),
        (&b"body"[..], &"42".parse().unwrap())
    );
    drop(connection);
    gate.finish().await;
}

#[tokio::test]
async fn trailers_of_a_paid_answer_pass_and_those_of_a_bound_body_do_not() {
    let gate = gate().await;
    let reply = Reply::stream(200)
        .header("trailer", "x-sum")
        .data("ab")
        .trailer("x-sum", "7");
    gate.origin.answer(reply);
    let request = Request::new("POST", ITEM)
        .header("te", "trailers")
        .header("trailer", "x-check")
        .header("transfer-encoding", "chunked");
    let payment = gate.sign(&gate.net.buyer(), &Request::post(ITEM, "")).await;
    let mut connection = gate.client.connect().await;
    connection.send_head(&payment.on(request)).await;
    connection.write_chunk(b"body").await;
    connection.write(b"0\r\nx-check: 42\r\n\r\n").await;
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "ab"));
    assert_eq!(answer.trailers["x-sum"], "7");
    // They are outside of the digest that the payment is bound to.
    let seen = gate.origin.last();
    assert_eq!((&seen.body[..], seen.trailers.len()), (&b"body"[..], 0));
    drop(connection);
    gate.finish().await;
}

/// A trailer is a head that comes late: nothing passes in it that may not pass in a head.
#[tokio::test]
async fn trailers_carry_no_payments_and_no_receipts() {
    let gate = gate().await;
    let reply = Reply::stream(200)
        .header("trailer", "x-sum, payment-response, x-refund-credit")
        .data("ab")
        .trailer("payment-response", "forged")
        .trailer("x-refund-credit", "forged")
        .trailer("x-sum", "7");
    for path in ["/up", ITEM] {
        gate.origin.answer(reply.clone());
        let host = if path == ITEM {
            None
        } else {
            Some("site.test")
        };
        let mut request = Request::new("POST", path)
            .header("te", "trailers")
            .header(
                "trailer",
                "x-check, x-payment, x-original-url, x-request-id",
            )
            .header("transfer-encoding", "chunked");
        if let Some(host) = host {
            request = request.host(host);
        } else {
            let payment = gate.sign(&gate.net.buyer(), &Request::post(ITEM, "")).await;
            request = payment.on(request);
        }
        let mut connection = gate.client.connect().await;
        connection.send_head(&request).await;
        connection.write_chunk(b"body").await;
        let trailers = "0\r\nx-check: 42\r\nx-payment: e30=\r\nx-original-url: /other\r\n\
                        x-request-id: forged\r\n\r\n";
        connection.write(trailers.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "ab"), "{path}");
        let names: Vec<_> = answer.trailers.keys().map(|name| name.as_str()).collect();
        assert_eq!(names, ["x-sum"], "{path}");
        let seen = gate.origin.last();
        let names: Vec<_> = seen.trailers.keys().map(|name| name.as_str()).collect();
        let passed: &[&str] = if host.is_some() { &["x-check"] } else { &[] };
        assert_eq!(names, passed, "{path}");
    }
    gate.finish().await;
}

#[tokio::test]
async fn ranges_and_conditions_are_the_origins_to_answer_and_are_sold() {
    let gate = gate().await;
    let buyer = gate.net.buyer();
    gate.origin.answer_with(|seen| match seen.header("range") {
        Some(_) => Reply::status(206, "bcd").header("content-range", "bytes 1-3/7"),
        None if seen.header("if-none-match").is_some() => {
            Reply::status(304, "").header("etag", "\"1\"")
        }
        None => Reply::ok("abcdefg").header("etag", "\"1\""),
    });
    let part = gate
        .buy(&buyer, &Request::get(ITEM).header("range", "bytes=1-3"))
        .await;
    assert_eq!((part.status, part.text()), (206, "bcd"));
    assert_eq!(part.header("content-range").as_deref(), Some("bytes 1-3/7"));
    let same = gate
        .buy(&buyer, &Request::get(ITEM).header("if-none-match", "\"1\""))
        .await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag").as_deref(), Some("\"1\""));
    for answer in [part, same] {
        assert!(answer.receipt(octroi_x402::Version::V2).unwrap().success);
        assert_eq!(answer.header("cache-control").as_deref(), Some("private"));
    }
    gate.finish().await;
}

#[tokio::test]
async fn no_shared_cache_may_keep_what_was_paid_for_or_what_was_refused() {
    let gate = gate().await;
    let reply = |status| {
        Reply::status(status, "content")
            .header("cache-control", "public, s-maxage=600, max-age=60")
            .header("cdn-cache-control", "max-age=600")
            .header("surrogate-control", "max-age=600")
            .header("expires", "Thu, 01 Jan 2099 00:00:00 GMT")
            .header("vary", "accept-encoding")
    };
    let buyer = gate.net.buyer();
    for status in [200, 404] {
        gate.origin.answer(reply(status));
        let answer = gate.buy(&buyer, &Request::get(ITEM)).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("cache-control").as_deref(),
            Some("private, max-age=60")
        );
        let vary = answer.header("vary").unwrap();
        assert!(
            vary.contains("accept-encoding") && vary.contains("PAYMENT-SIGNATURE"),
            "{vary}"
        );
        for name in ["cdn-cache-control", "surrogate-control", "expires"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
    let refused = gate.send(&Request::get(ITEM)).await;
    assert_eq!(refused.header("cache-control").as_deref(), Some("no-store"));
    // What is free is as cacheable as its origin says.
    gate.origin.answer(reply(200));
    let free = gate.send(&Request::get("/x").host("site.test")).await;
    assert_eq!(
        free.header("cache-control").as_deref(),
        Some("public, s-maxage=600, max-age=60")
    );
    gate.finish().await;
}

#[tokio::test]
async fn headers_of_one_connection_do_not_cross_the_gate() {
    let gate = gate().await;
    let names = [
        "x-mine",
        "keep-alive",
        "proxy-connection",
        "te",
        "upgrade",
        "trailer-x",
    ];
    let reply = Reply::ok("content")
        .header("connection", "x-mine, trailer-x")
        .header("x-mine", "1")
        .header("trailer-x", "1")
        .header("keep-alive", "timeout=5")
        .header("proxy-authenticate", "Basic")
        .header("x-end-to-end", "kept");
    gate.origin.answer(reply);
    let dressed = |request: Request| {
        request
            .header("connection", "keep-alive, x-mine, trailer-x")
            .header("x-mine", "1")
            .header("trailer-x", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic eA==")
            .header("te", "gzip")
            .header("x-end-to-end", "kept")
    };
    let free = gate
        .send(&dressed(Request::get("/x").host("site.test")))
        .await;
    let paid = gate
        .buy(&gate.net.buyer(), &dressed(Request::get(ITEM)))
        .await;
    for answer in [free, paid] {
        assert_eq!(answer.status, 200);
        for name in names.iter().chain(&["proxy-authenticate"]) {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.header("x-end-to-end").as_deref(), Some("kept"));
    }
    for seen in gate.origin.seen() {
        for name in names.iter().chain(&["proxy-authorization"]) {
            assert_eq!(seen.header(name), None, "{name}");
        }
        assert_eq!(seen.header("x-end-to-end").as_deref(), Some("kept"));
    }
    gate.finish().await;
}

#[tokio::test]
async fn an_origin_is_told_who_called_by_the_gate_and_not_by_the_client() {
    let gate = gate().await;
    let request = Request::get("/x")
        .host("site.test")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-port", "1")
        .header("forwarded", "for=6.6.6.6")
        .header("x-request-id", "req_forged");
    let answer = gate.send(&request).await;
    let seen = gate.origin.last();
    assert_eq!(seen.header("host").as_deref(), Some("site.test"));
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(
        seen.header("x-forwarded-host").as_deref(),
        Some("site.test")
    );
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("http"));
    assert_eq!(
        (seen.header("x-forwarded-port"), seen.header("forwarded")),
        (None, None)
    );
    let id = answer.header("x-request-id").unwrap();
    assert!(id.starts_with("req_") && id != "req_forged", "{id}");
    assert_eq!(seen.header("x-request-id"), Some(id));

    gate.send(&Request::get("/x").host("renamed.test")).await;
    let seen = gate.origin.last();
    assert_eq!(seen.header("host"), Some(gate.origin.address().to_string()));
    assert_eq!(
        seen.header("x-forwarded-host").as_deref(),
        Some("renamed.test")
    );
    gate.finish().await;
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_the_client() {
    let setup = Setup::new()
        .await
        .server("trusted_proxies = [\"127.0.0.1\"]");
    let gate = setup.sections(SITE).start().await;
    let id = octroi_types::RequestId::generate().to_string();
    let request = Request::get("/x")
        .host("site.test")
        .header("x-forwarded-for", "6.6.6.6, 9.9.9.9")
        .header("x-forwarded-proto", "https")
        .header("x-request-id", &id);
    let answer = gate.send(&request).await;
    let seen = gate.origin.last();
    // The last address is the one that the proxy saw; what is left of it anybody can write.
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("9.9.9.9"));
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(answer.header("x-request-id"), Some(id));
    gate.finish().await;
}

#[tokio::test]
async fn the_request_reaches_the_origin_as_it_was_sent() {
    let gate = gate().await;
    let body = vec![7_u8; 60_000];
    let request = Request::post(&format!("{ITEM}?a=1&b=%20"), body.clone())
        .header("content-type", "application/octet-stream")
        .header("accept-encoding", "br")
        .header("x-twice", "1")
        .header("x-twice", "2");
    assert_eq!(gate.buy(&gate.net.buyer(), &request).await.status, 200);
    let seen = gate.origin.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/item?a=1&b=%20")
    );
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("x-twice").as_deref(), Some("1, 2"));
    assert_eq!(seen.header("content-length").as_deref(), Some("60000"));
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("br"));
    gate.finish().await;
}

/// What an origin speaks is between it and the gate: its clients keep their connections.
#[tokio::test]
async fn an_origin_of_http_1_0_makes_no_client_of_it() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    let old = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = old.local_addr().unwrap();
    let origin = tokio::spawn(async move {
        loop {
            let (mut stream, _) = old.accept().await.unwrap();
            let mut head = [0; 4_096];
            drop(stream.read(&mut head).await);
            let answer = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold";
            stream.write_all(answer).await.unwrap();
        }
    });
    let site = format!(
        "[[site]]\nhosts = [\"old.test\"]\norigin = \"http://{address}\"\ndefault = \"pass\"\n"
    );
    let gate = Setup::new().await.sections(&site).start().await;
    let mut stream = TcpStream::connect(gate.client.address).await.unwrap();
    for _ in 0..2 {
        let ask = b"GET / HTTP/1.1\r\nHost: old.test\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut said = String::new();
        while !said.ends_with("\r\n\r\nold") {
            let mut part = [0; 4_096];
            let read = stream.read(&mut part).await.unwrap();
            assert!(read > 0, "{said}");
            said.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    }
    origin.abort();
    gate.finish().await;
}
