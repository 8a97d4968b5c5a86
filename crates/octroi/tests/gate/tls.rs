//! TLS as `[server]` configures it, and the listeners beside it.

use octroi_testkit::{Answer, Request, Setup, TestGate, VERSIONS};
use octroi_x402::Version;
use octroi_x402::client::Required;
use rustls::{CertificateError, Error};

use crate::limits::beyond_loopback;
use crate::tls_client::{SelfSigned, TlsClient};
use crate::{ITEM, PRICE};

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
origin = "http://ORIGIN"
default = "pass"

[[site.route]]
pattern = "/paid"
price = "0.01"
"#;

/// A gate with a certificate for `gate.test` and one for `site.test`.
async fn gate(server: &str) -> (TestGate, [SelfSigned; 2]) {
    let certificates = ["gate.test", "site.test"].map(SelfSigned::of);
    let mut setup = Setup::new()
        .await
        .public_url("https://gate.test")
        .server(server)
        .sections(SITE);
    for (number, certificate) in certificates.iter().enumerate() {
        let (chain, key) = (format!("{number}.crt"), format!("{number}.key"));
        setup = setup
            .file(&chain, &certificate.certificate_pem)
            .file(&key, &certificate.key_pem)
            .sections(&format!(
                "[[server.tls]]\ncert_file = {chain:?}\nkey_file = {key:?}\n"
            ));
    }
    (setup.start().await, certificates)
}

fn client(gate: &TestGate, trusted: &SelfSigned) -> TlsClient {
    TlsClient::trusting(gate.client.address, &[&trusted.der])
}

/// What the terms are about.
fn resource(challenge: &Answer) -> String {
    match challenge.required(Version::V2) {
        Required::V2(required) => required.resource.url,
        Required::V1(_) => panic!("not what was asked for"),
    }
}

#[tokio::test]
async fn both_protocols_sell_over_tls_as_alpn_agrees() {
    let (gate, [for_gate, _]) = gate("").await;
    let client = client(&gate, &for_gate);
    let request = Request::get(ITEM).host("gate.test");
    for version in VERSIONS {
        let mut connection = client.connect_h2("gate.test").await;
        let challenge = connection.send(&request).await;
        assert_eq!(resource(&challenge), format!("https://gate.test{ITEM}"));
        let payment = gate.net.buyer().sign(&challenge.required(version));
        let paid = connection.send(&payment.on(request.clone())).await;
        assert_eq!((paid.status, paid.text()), (200, "content"));

        let mut connection = client.connect("gate.test").await;
        connection.send(&request).await;
        let challenge = connection.answer().await;
        assert_eq!(resource(&challenge), format!("https://gate.test{ITEM}"));
        let payment = gate.net.buyer().sign(&challenge.required(version));
        connection.send(&payment.on(request.clone())).await;
        let paid = connection.answer().await;
        assert_eq!((paid.status, paid.text()), (200, "content"));
    }
    // A client that knows nothing of ALPN speaks HTTP/1.1; one that knows nothing else is refused.
    for (offered, agreed) in [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&[], None)] {
        let stream = client.shake_hands("gate.test", offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
    }
    assert!(client.shake_hands("gate.test", &["smtp"]).await.is_err());
    // Plain HTTP is not spoken here.
    assert!(gate.client.try_send(&request).await.is_none());
    assert_eq!(gate.finish().await.settled_units(), 4 * PRICE);
}

#[tokio::test]
async fn each_host_has_its_certificate_and_an_unknown_one_sees_the_first() {
    let (gate, [for_gate, for_site]) = gate("").await;
    let free = Request::get("/free");
    let answer = client(&gate, &for_site).send("site.test", &free).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    let seen = gate.origin.last();
    assert_eq!(seen.header("x-forwarded-proto").as_deref(), Some("https"));
    let priced = client(&gate, &for_site)
        .send("site.test", &Request::get("/paid"))
        .await;
    assert_eq!(resource(&priced), "https://site.test/paid");
    // The other's certificate is not shown for it.
    let other = client(&gate, &for_gate);
    assert!(other.shake_hands("site.test", &[]).await.is_err());

    // No name is sent along with an address.
    for host in ["unknown.test", "127.0.0.1"] {
        let error = other.shake_hands(host, &[]).await.unwrap_err();
        let error = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        let Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented, ..
        }) = error
        else {
            panic!("{host}: {error}")
        };
        assert!(
            presented.iter().all(|name| name.contains("gate.test")),
            "{host}: {presented:?}"
        );
    }
    gate.finish().await;
}

#[tokio::test]
async fn the_redirecting_listener_sends_to_https_and_sells_nothing() {
    let (gate, _) = gate("redirect_listen = [\"127.0.0.1:0\"]").await;
    let plain = octroi_testkit::Client {
        address: gate.addresses[1],
    };
    for (host, target) in [("gate.test", ITEM), ("site.test", "/paid?a=b")] {
        let answer = plain.send(&Request::get(target).host(host)).await;
        assert_eq!(answer.status, 308);
        assert_eq!(
            answer.header("location"),
            Some(format!("https://{host}{target}"))
        );
    }
    let posted = plain
        .send(&Request::post(ITEM, "body").host("gate.test"))
        .await;
    assert_eq!(posted.outcome(), (403, "forbidden".to_owned()));
    let stranger = plain.send(&Request::get(ITEM).host("unknown.test")).await;
    assert_eq!(stranger.outcome(), (404, "not_found".to_owned()));
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn management_on_loopback_is_plain_beside_tls() {
    let (gate, [for_gate, _]) = gate("management_listen = \"127.0.0.1:0\"").await;
    let management = octroi_testkit::Client {
        address: gate.addresses[1],
    };
    let metrics = Request::get("/metrics");
    assert_eq!(management.send(&metrics).await.status, 200);
    let public = client(&gate, &for_gate).send("gate.test", &metrics).await;
    assert_eq!(public.outcome(), (404, "not_found".to_owned()));
    gate.finish().await;
}

#[tokio::test]
async fn management_beyond_loopback_speaks_tls() {
    let Some(address) = beyond_loopback() else {
        eprintln!("left out: this machine has no address but the loopback's");
        return;
    };
    let (gate, [for_gate, _]) = gate(&format!("management_listen = \"{address}:0\"")).await;
    let address = gate.addresses[1];
    let metrics = Request::get("/metrics");
    let management = TlsClient::trusting(address, &[&for_gate.der]);
    assert_eq!(management.send("gate.test", &metrics).await.status, 200);
    let plain = octroi_testkit::Client { address };
    assert!(plain.try_send(&metrics).await.is_none());
    gate.finish().await;
}
