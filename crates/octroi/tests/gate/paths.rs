//! A priced resource has no unpriced spelling.

use octroi_testkit::{Request, Setup, TestGate};

use crate::TREE;

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"

[[site.route]]
pattern = "/paid"
price = "0.01"

[[site.route]]
pattern = "/vault/**"
price = "0.01"

[[site.route]]
pattern = "/vault/free.txt"
free = true

[[site.route]]
pattern = "/book/:page/print"
price = "0.01"

[[site.route]]
pattern = "/internal/**"
deny = true
"#;

async fn site() -> TestGate {
    Setup::new().await.sections(SITE).start().await
}

/// Status of a request whose target goes over the wire as it is.
async fn status(gate: &TestGate, target: &str) -> u16 {
    let head = format!("GET {target} HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\n\r\n");
    gate.client
        .send_raw(head.as_bytes())
        .await
        .map_or(0, |answer| answer.status)
}

#[tokio::test]
async fn every_spelling_of_a_priced_path_is_priced_or_refused() {
    let gate = site().await;
    let spellings = [
        "/paid",
        "/paid/",
        "/PAID",
        "/Paid",
        "//paid",
        "/./paid",
        "/x/../paid",
        "/x/%2e%2e/paid",
        "/x/..%2fpaid",
        "/x/..%5cpaid",
        "/x/..\\paid",
        "/%70aid",
        "/%2570aid",
        "/pa%69d",
        "/%2Fpaid",
        "/%252Fpaid",
        "/paid;x",
        "/paid;x=1",
        "/paid%3Bx",
        "/paid?x",
        "/paid%2F",
        "/paid%5C",
        "/paid\\",
        "\\paid",
        "/\\paid",
        "/vault/1",
        "/vault//1",
        "/vault/./1",
        "/VAULT/1",
        "/vault%2F1",
        "/vault%252F1",
        "/vault\\1",
        "/vault%5C1",
        "/vault;a/1",
        "/x/../vault/1",
        "/vault/free.txt/../1",
        "/vault/free.txt%2F..%2F1",
        "/vault/free.txt/..;/1",
        "/vault/x/..%2f..%2fvault/1",
        "/book/1/print",
        "/book/1%2Fprint",
        "/book//1/print",
        "/book/1/PRINT",
        "/book/1/print/",
        "/book/%31/print",
        // One that cannot be read.
        "/paid%",
        "/paid%g0",
        "/paid%0",
        "/paid%00",
        "/paid%ff",
        "/paid%c0%af",
        "/%25252525paid",
    ];
    for target in spellings {
        let status = status(&gate, target).await;
        assert!([402, 400].contains(&status), "{target}: {status}");
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn a_denied_path_is_denied_in_every_spelling() {
    let gate = site().await;
    for target in [
        "/internal/a",
        "/INTERNAL/a",
        "/x/../internal/a",
        "/internal%2Fa",
        "/internal",
    ] {
        let status = status(&gate, target).await;
        assert!([403, 400].contains(&status), "{target}: {status}");
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn what_lies_beside_a_priced_path_still_passes() {
    let gate = site().await;
    let neighbours = [
        "/",
        "/pai",
        "/paidx",
        "/x/paid",
        "/vaults/1",
        "/book/1",
        "/book/1/prints",
    ];
    for target in neighbours {
        assert_eq!(status(&gate, target).await, 200, "{target}");
        assert_eq!(gate.origin.last().target, target);
    }
    assert_eq!(status(&gate, "/vault/free.txt").await, 200);
    assert_eq!(gate.origin.calls(), neighbours.len() + 1);
    gate.finish().await;
}

#[tokio::test]
async fn what_is_matched_is_what_is_forwarded() {
    let gate = site().await;
    for (sent, forwarded) in [
        ("/a/./b/../c", "/a/c"),
        ("//a///b", "/a/b"),
        ("/%61b", "/ab"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%20b", "/a%20b"),
        ("/a?x=%2e%2e/../&y=//", "/a?x=%2e%2e/../&y=//"),
    ] {
        assert_eq!(status(&gate, sent).await, 200, "{sent}");
        assert_eq!(gate.origin.last().target, forwarded, "{sent}");
    }
    gate.finish().await;
}

#[tokio::test]
async fn headers_that_name_another_path_or_method_do_not_reach_the_origin() {
    let gate = site().await;
    let names = [
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-forwarded-prefix",
    ];
    let mut request = Request::get("/free").host("site.test");
    for name in names {
        request = request.header(name, "/paid");
    }
    assert_eq!(gate.send(&request).await.status, 200);
    for name in names {
        assert_eq!(gate.origin.last().header(name), None, "{name}");
    }
    gate.finish().await;
}

#[tokio::test]
async fn a_path_below_a_paywall_does_not_climb_out_of_it() {
    let gate = TestGate::start().await;
    let buyer = gate.net.buyer();
    let tricks = [
        "/../item",
        "/%2e%2e/item",
        "/..%2fitem",
        "/..\\item",
        "/..;/item",
        "/a/../../x",
    ];
    for trick in tricks {
        let target = format!("{TREE}{trick}");
        let head = format!("GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        let answer = gate.client.send_raw(head.as_bytes()).await.unwrap();
        // Either another paywall's terms, or nothing at all.
        assert!(
            [402, 400, 404].contains(&answer.status),
            "{trick}: {}",
            answer.status
        );
    }
    let paid = gate
        .buy(&buyer, &Request::get(&format!("{TREE}/a/./b//c?q=1")))
        .await;
    assert_eq!(paid.status, 200);
    assert_eq!(gate.origin.last().target, "/tree/a/b/c?q=1");
    assert_eq!(gate.origin.calls(), 1);
    gate.finish().await;
}
