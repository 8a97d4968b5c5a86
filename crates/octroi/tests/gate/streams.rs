//! Streams stream: nothing waits for the end of an answer or of a body.

use octroi_testkit::{Connection, Hold, Reply, Request, Setup, TestGate, VERSIONS};
use octroi_x402::Version;

use crate::{FIRST, ITEM, PRICE, SERVED};

const EVENTS: usize = 5;

/// The next bytes of an answer, until they are these.
async fn expect(connection: &mut Connection, event: &str) {
    let mut come = Vec::new();
    while come.len() < event.len() {
        come.extend_from_slice(&connection.part().await.unwrap().unwrap());
    }
    assert_eq!(come, event.as_bytes());
}

#[tokio::test]
async fn events_of_a_paid_stream_arrive_one_by_one_in_both_orders() {
    for path in [ITEM, FIRST] {
        for version in VERSIONS {
            let gate = TestGate::start().await;
            let holds: Vec<_> = (0..EVENTS).map(|_| Hold::new()).collect();
            let mut reply = Reply::stream(200).header("content-type", "text/event-stream");
            for (number, hold) in holds.iter().enumerate() {
                reply = reply.data(format!("data: {number}\n\n")).wait(hold);
            }
            gate.origin.answer(reply);
            let request = Request::get(path);
            let payment = gate.sign_in(version, &gate.net.buyer(), &request).await;
            let mut connection = gate.client.connect().await;
            connection.send(&payment.on(request)).await;
            // The receipt is there before the stream has come to its end.
            let head = connection.head().await;
            assert!(head.receipt(version).unwrap().success);
            assert_eq!(
                head.header("content-type").as_deref(),
                Some("text/event-stream")
            );
            for (number, hold) in holds.iter().enumerate() {
                expect(&mut connection, &format!("data: {number}\n\n")).await;
                hold.reached().await;
                hold.release();
            }
            assert!(connection.part().await.is_none());
            drop(connection);
            let states = gate.finish().await.states();
            assert_eq!(states, [SERVED]);
        }
    }
}

#[tokio::test]
async fn events_arrive_one_by_one_over_http_2_too() {
    use http_body_util::BodyExt as _;
    let gate = TestGate::start().await;
    let hold = Hold::new();
    gate.origin
        .answer(Reply::stream(200).data("one").wait(&hold).data("two"));
    let paid = gate
        .sign(&gate.net.buyer(), &Request::get(ITEM))
        .await
        .on(Request::get(ITEM));
    let mut connection = gate.client.connect_h2().await;
    let mut body = connection.head(&paid).await.into_body();
    let one = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(one, "one");
    hold.release();
    let two = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(two, "two");
    assert!(body.frame().await.is_none_or(|end| end.is_ok()));
    drop((body, connection));
    gate.finish().await;
}

#[tokio::test]
async fn an_upload_passes_a_free_route_part_by_part() {
    let site = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"
"#;
    let gate = Setup::new().await.sections(site).start().await;
    let request = Request::new("PUT", "/up")
        .host("site.test")
        .header("transfer-encoding", "chunked");
    let mut connection = gate.client.connect().await;
    connection.send_head(&request).await;
    connection.write_chunk(b"first").await;
    // The origin has the request although its body goes on.
    gate.origin.called(1).await;
    connection.write_chunk(b"second").await;
    connection.write(b"0\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(gate.origin.last().body, "firstsecond");
    drop(connection);
    gate.finish().await;
}

#[tokio::test]
async fn a_large_answer_arrives_whole() {
    let gate = TestGate::start().await;
    let part = vec![b'x'; 1 << 20];
    let mut reply = Reply::stream(200);
    for _ in 0..16 {
        reply = reply.data(part.clone());
    }
    gate.origin.answer(reply);
    let answer = gate.buy(&gate.net.buyer(), &Request::get(ITEM)).await;
    assert_eq!((answer.status, answer.complete), (200, true));
    assert_eq!(answer.body.len(), 16 << 20);
    assert!(answer.receipt(Version::V2).unwrap().success);
    assert_eq!(gate.finish().await.settled_units(), PRICE);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_and_charges_nothing() {
    let site = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"
"#;
    let limits = "[server.limits]\nbody_bytes_max = 1000\n";
    let gate = Setup::new()
        .await
        .sections(limits)
        .sections(site)
        .start()
        .await;
    let payment = gate.sign(&gate.net.buyer(), &Request::post(ITEM, "")).await;
    for request in [
        payment.on(Request::post(ITEM, vec![b'x'; 1_001])),
        Request::post("/up", vec![b'x'; 1_001]).host("site.test"),
    ] {
        let answer = gate.send(&request).await;
        assert_eq!(answer.outcome(), (413, "body_too_large".to_owned()));
    }
    assert_eq!(gate.origin.calls(), 0);
    // Of a body that does not say how large it is, no more passes.
    for request in [
        payment.on(Request::new("POST", ITEM)),
        Request::new("POST", "/up").host("site.test"),
    ] {
        let mut connection = gate.client.connect().await;
        connection
            .send_head(&request.header("transfer-encoding", "chunked"))
            .await;
        connection.write_chunk(&[b'x'; 600]).await;
        connection.write_chunk(&[b'x'; 600]).await;
        connection.write(b"0\r\n\r\n").await;
        let answer = connection.answer().await;
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    assert!(gate.origin.seen().iter().all(|seen| !seen.complete));
    assert_eq!(gate.paid_units(), 0);
    let within = payment.on(Request::post(ITEM, vec![b'x'; 1_000]));
    assert_eq!(gate.send(&within).await.status, 200);
    gate.finish().await;
}
