//! Which hosts and listeners the gate's own surfaces answer on.

use octroi_testkit::{Client, Request, Setup, TestGate};
use octroi_x402::Version;
use octroi_x402::client::Required;

use crate::{ITEM, facilitator};

/// Everything that the gate answers about itself.
const OPERATIONS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/openapi.json"];
const SUPPORTED: &str = "/facilitator/supported";

const SITES: &str = r#"
[[site]]
hosts = ["open.test"]
public_url = "https://open.test"
origin = "http://ORIGIN"
default = "pass"

[[site.route]]
pattern = "/healthz"
price = "0.01"

[[site]]
hosts = ["closed.test"]
public_url = "https://closed.test"
origin = "http://ORIGIN"
"#;

async fn setup() -> Setup {
    let setup = Setup::new().await.server("aliases = [\"alias.test\"]\n");
    setup.sections(SITES).sections(&facilitator::section())
}

async fn outcome(gate: &TestGate, host: &str, target: &str) -> (u16, String) {
    gate.send(&Request::get(target).host(host)).await.outcome()
}

#[tokio::test]
async fn surfaces_answer_on_the_gates_hosts_and_on_no_other() {
    let gate = setup().await.start().await;
    for host in [
        "127.0.0.1:8402",
        "127.0.0.1",
        "alias.test",
        "alias.test:80",
        "ALIAS.test",
    ] {
        for target in OPERATIONS {
            assert_eq!(outcome(&gate, host, target).await.0, 200, "{host} {target}");
        }
        let unauthorized = (401, "unauthorized".to_owned());
        assert_eq!(
            outcome(&gate, host, SUPPORTED).await,
            unauthorized,
            "{host}"
        );
        let challenge = gate.send(&Request::get(ITEM).host(host)).await;
        let Required::V2(required) = challenge.required(Version::V2) else {
            panic!("not what was asked for")
        };
        // The name that was used does not matter to what is signed.
        assert_eq!(
            required.resource.url,
            format!("http://127.0.0.1:8402{ITEM}")
        );
    }
    // Neither names that nobody has nor those of the machine, once there is a public one.
    for host in ["other.test", "localhost", "sub.alias.test", "[::1]"] {
        for target in OPERATIONS.iter().chain(&[SUPPORTED, ITEM]) {
            let nowhere = (404, "not_found".to_owned());
            assert_eq!(
                outcome(&gate, host, target).await,
                nowhere,
                "{host} {target}"
            );
        }
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn every_path_of_a_site_is_the_sites() {
    let gate = setup().await.start().await;
    let mut passed = 0;
    for target in [
        "/readyz",
        "/metrics",
        "/openapi.json",
        SUPPORTED,
        ITEM,
        "/.octroi",
        "/.octroix/a",
    ] {
        let answer = gate.send(&Request::get(target).host("open.test")).await;
        assert_eq!((answer.status, answer.text()), (200, "content"), "{target}");
        assert_eq!(gate.origin.last().target, target);
        passed += 1;
        let closed = outcome(&gate, "closed.test", target).await;
        assert_eq!(closed, (403, "forbidden".to_owned()), "{target}");
    }
    // What the site sells under such a name is sold.
    assert_eq!(outcome(&gate, "open.test", "/healthz").await.0, 402);
    assert_eq!(gate.origin.calls(), passed);
    gate.finish().await;
}

#[tokio::test]
async fn what_is_reserved_on_a_site_never_reaches_its_origin() {
    let gate = setup().await.start().await;
    for host in ["open.test", "closed.test"] {
        for target in ["/.octroi/", "/.octroi/metrics", "/.octroi/a/b?c"] {
            let nothing = (404, "not_found".to_owned());
            assert_eq!(
                outcome(&gate, host, target).await,
                nothing,
                "{host} {target}"
            );
        }
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn operations_move_to_the_management_listener() {
    let setup = setup()
        .await
        .server("management_listen = \"127.0.0.1:0\"\n");
    let gate = setup.start().await;
    let management = Client {
        address: gate.addresses[1],
    };
    for target in OPERATIONS {
        assert_eq!(
            management.send(&Request::get(target)).await.status,
            200,
            "{target}"
        );
        let public = outcome(&gate, "alias.test", target).await;
        assert_eq!(public, (404, "not_found".to_owned()), "{target}");
    }
    // Nothing is sold there, and no site answers.
    for request in [Request::get(ITEM), Request::get("/").host("open.test")] {
        let answer = management.send(&request).await;
        assert_eq!(answer.outcome(), (404, "not_found".to_owned()));
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}
