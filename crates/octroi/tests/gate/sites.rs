//! What a site's section says about its paths and its address.

use octroi_testkit::{Answer, Request, Setup, TestGate};
use octroi_x402::Version;
use octroi_x402::client::Required;

use crate::SERVED;

const SITES: &str = r#"
[[site]]
name = "listed"
hosts = ["listed.test", "www.listed.test"]
public_url = "https://shop.test:8443"
origin = "http://ORIGIN"
default = "deny"

[[site.route]]
pattern = "/free/*"
free = true

[[site.route]]
pattern = "/paid/*"
price = "0.01"
methods = ["GET"]

[[site]]
name = "unsaid"
hosts = ["unsaid.test"]
origin = "http://ORIGIN"

[[site.route]]
pattern = "/paid/*"
price = "0.01"
"#;

const PAID: &str = "/paid/1?a=b";

fn resource(challenge: &Answer) -> String {
    match challenge.required(Version::V2) {
        Required::V2(required) => required.resource.url,
        Required::V1(_) => panic!("not what was asked for"),
    }
}

/// A request that says it came another way than it did.
fn forwarded(host: &str) -> Request {
    Request::get(PAID)
        .host(host)
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-port", "1")
        .header("forwarded", "for=203.0.113.7;host=evil.test;proto=http")
}

async fn resources_are_public_urls(gate: &TestGate) {
    for host in ["listed.test", "www.listed.test", "listed.test:1"] {
        for request in [Request::get(PAID).host(host), forwarded(host)] {
            let url = resource(&gate.send(&request).await);
            assert_eq!(url, format!("https://shop.test:8443{PAID}"), "{host}");
        }
    }
    // Where the file is silent: the first host, with scheme and port of the gate's.
    let unsaid = gate.send(&forwarded("unsaid.test")).await;
    assert_eq!(resource(&unsaid), format!("http://unsaid.test:8402{PAID}"));
}

#[tokio::test]
async fn paths_that_no_route_lists_are_refused() {
    let gate = Setup::new().await.sections(SITES).start().await;
    let denied = [
        Request::get("/").host("listed.test"),
        Request::get("/other").host("www.listed.test"),
        Request::post("/freely", "body").host("listed.test"),
        // Denying is what happens if nothing is said.
        Request::get("/").host("unsaid.test"),
        Request::get("/free/1").host("unsaid.test"),
    ];
    for request in denied {
        let answer = gate.send(&request).await;
        assert_eq!(
            answer.outcome(),
            (403, "forbidden".to_owned()),
            "{request:?}"
        );
    }
    assert_eq!(gate.origin.calls(), 0);
    let free = gate
        .send(&Request::get("/free/1").host("listed.test"))
        .await;
    assert_eq!((free.status, free.text()), (200, "content"));
    let unsold = Request::post(PAID, "body").host("listed.test");
    assert_eq!(gate.send(&unsold).await.status, 405);
    let paid = gate
        .buy(&gate.net.buyer(), &Request::get(PAID).host("listed.test"))
        .await;
    assert_eq!((paid.status, paid.text()), (200, "content"));
    assert_eq!(gate.origin.calls(), 2);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn the_public_url_is_what_is_signed_whatever_clients_say() {
    let gate = Setup::new().await.sections(SITES).start().await;
    resources_are_public_urls(&gate).await;
    gate.finish().await;
}

#[tokio::test]
async fn the_public_url_is_what_is_signed_whatever_a_trusted_proxy_says() {
    let setup = Setup::new().await.sections(SITES);
    let trusting = setup.server("trusted_proxies = [\"127.0.0.1\"]\n");
    let gate = trusting.start().await;
    resources_are_public_urls(&gate).await;
    // The proxy is trusted: its word on the client reaches the origin.
    let free = Request::get("/free/1")
        .host("listed.test")
        .header("x-forwarded-for", "203.0.113.7");
    assert_eq!(gate.send(&free).await.status, 200);
    let told = gate.origin.last().header("x-forwarded-for");
    assert_eq!(told.as_deref(), Some("203.0.113.7"));
    gate.finish().await;
}
