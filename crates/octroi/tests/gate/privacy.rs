//! No payload, no secret and no client's address is kept or told: what passes through is looked for
//! everywhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{Answer, Fault, Hold, Net, Origin, Payment, Reply, Request, VERSIONS, World};
use octroi_x402::Version;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::process::GateProcess;
use crate::{FIRST, ITEM};

/// In bodies, headers and queries of requests, and in answers of origins.
const MARKERS: [&str; 7] = [
    "marker-request-body",
    "marker-answer-body",
    "marker-cookie",
    "marker-query",
    "marker-authorization",
    "marker-answer-header",
    "marker-websocket",
];
/// The client that a proxy in front of the gate speaks for. The proxy itself is known by its ports.
const CLIENT: &str = "203.0.113.77";
/// What the gate shows to origins, and what others show to it.
const BEARER: &str = "marker-bearer-of-an-origin";
const IN_QUERY: &str = "marker-key-in-a-query";
const FACILITATOR: &str = "marker-token-of-a-server";

async fn world() -> World {
    let mut world = World::around(Net::new()).await;
    world.server = "trusted_proxies = [\"127.0.0.1\"]".to_owned();
    world.write("bearer", BEARER);
    world.write("in-query", IN_QUERY);
    let hash = hex::encode(Sha256::digest(FACILITATOR));
    let nowhere = Origin::nowhere().await;
    world.sections = format!(
        r#"
[[service]]
name = "guarded"
origin = "http://{origin}"
timeout_ms = 300
[service.auth]
bearer_file = "bearer"
[[service.paywall]]
slug = "item"
price = "0.01"

[[service]]
name = "keyed"
origin = "http://{origin}"
[service.auth]
query = "key"
value_file = "in-query"
[[service.paywall]]
slug = "item"
price = "0.01"

[[service]]
name = "down"
origin = "http://{nowhere}"
[service.auth]
query = "key"
value_file = "in-query"
[[service.paywall]]
slug = "item"
price = "0.01"

[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://{origin}"
default = "pass"

[facilitator]
enabled = true
token_sha256 = ["{hash}"]

[log]
level = "trace"
format = "json"
"#,
        origin = world.origin.address(),
    );
    world
}

/// Everything that was sent and answered, to be looked through at the end.
struct Traffic {
    gate: GateProcess,
    signed: Vec<Payment>,
    /// Where connections came from.
    peers: Vec<String>,
    /// The gate's own words.
    said: Vec<Answer>,
}

fn marked(request: Request) -> Request {
    let target = format!("{}?q=marker-query", request.target);
    Request { target, ..request }
        .header("x-forwarded-for", CLIENT)
        .header("cookie", "marker-cookie")
        .header("authorization", "Bearer marker-authorization")
}

fn content() -> Reply {
    Reply::ok("marker-answer-body").header("x-secret", "marker-answer-header")
}

impl Traffic {
    /// Remembers what the gate itself said: all of an answer but what its origin said.
    fn hear(&mut self, mut answer: Answer) {
        if !answer.body.starts_with(b"{") {
            answer.body.clear();
            answer.headers.remove("x-secret");
        }
        self.said.push(answer);
    }

    async fn pay(&mut self, version: Version, request: &Request) -> Answer {
        let challenge = self.gate.send(request).await;
        let payment = self
            .gate
            .world
            .net
            .buyer()
            .sign(&challenge.required(version));
        self.hear(challenge);
        let answer = self.gate.send(&payment.on(request.clone())).await;
        // Used up: what the gate says about that is its own.
        let again = self.gate.send(&payment.on(request.clone())).await;
        self.hear(again);
        let other = Request {
            target: ITEM.to_owned(),
            ..request.clone()
        };
        let elsewhere = self.gate.send(&payment.on(other)).await;
        self.hear(elsewhere);
        self.signed.push(payment);
        answer
    }

    async fn sold(&mut self) {
        self.gate.world.origin.answer(content());
        for path in [
            ITEM,
            FIRST,
            "/api/x402/pay/guarded/item",
            "/api/x402/pay/keyed/item",
        ] {
            for version in VERSIONS {
                let request = marked(Request::post(path, "marker-request-body"));
                let answer = self.pay(version, &request).await;
                assert_eq!((answer.status, answer.text()), (200, "marker-answer-body"));
                self.hear(answer);
            }
        }
        let mut connection = self.gate.client.connect_h2().await;
        let request = marked(Request::post(ITEM, "marker-request-body"));
        let challenge = connection.send(&request).await;
        let payment = self
            .gate
            .world
            .net
            .buyer()
            .sign(&challenge.required(Version::V2));
        assert_eq!(connection.send(&payment.on(request)).await.status, 200);
        self.signed.push(payment);
    }

    async fn failed(&mut self) {
        for reply in [
            Reply::status(500, "marker-answer-body"),
            Reply::cut(),
            Reply::stream(200).data("marker-answer-body").broken(),
        ] {
            self.gate.world.origin.answer(reply);
            for path in [ITEM, FIRST, "/api/x402/pay/keyed/item"] {
                self.pay(
                    Version::V2,
                    &marked(Request::post(path, "marker-request-body")),
                )
                .await;
            }
        }
        let down = marked(Request::post(
            "/api/x402/pay/down/item",
            "marker-request-body",
        ));
        let answer = self.pay(Version::V2, &down).await;
        assert_eq!(answer.status, 502);
        self.hear(answer);
        let hold = Hold::new();
        self.gate.world.origin.answer(content().held(&hold));
        let slow = marked(Request::get("/api/x402/pay/guarded/item"));
        let answer = self.pay(Version::V2, &slow).await;
        assert_eq!(answer.status, 504);
        self.hear(answer);
        hold.release();
        self.gate.world.origin.answer(content());
        let body = "marker-request-body".repeat(10_000);
        let wrong = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
        let request = marked(Request::post(ITEM, body)).header("content-digest", wrong);
        let terms = self
            .gate
            .send(&Request::get(ITEM))
            .await
            .required(Version::V2);
        let payment = self.gate.world.net.buyer().sign(&terms);
        let answer = self.gate.send(&payment.on(request)).await;
        self.hear(answer);
        self.signed.push(payment);
    }

    async fn refused(&mut self) {
        let hostile = [
            STANDARD.encode("{\"marker-request-body\":"),
            "marker-request-body".to_owned(),
            STANDARD.encode("{\"x402Version\":2,\"payload\":\"marker-request-body\"}"),
        ];
        for value in hostile {
            for version in VERSIONS {
                let request = Request::get(ITEM).header(version.payment_header(), &value);
                let answer = self.gate.send(&request).await;
                self.hear(answer);
            }
        }
        for target in [
            "/marker-query%",
            "/%2e%2e%2fmarker-query",
            "/x?marker-query",
        ] {
            let answer = self.gate.send(&Request::get(target)).await;
            self.hear(answer);
        }
        // Two payments at once, and one whose signature was changed.
        let terms = self
            .gate
            .send(&Request::get(ITEM))
            .await
            .required(Version::V2);
        let payment = self.gate.world.net.buyer().sign(&terms);
        let twice = payment.on(payment.on(Request::get(ITEM)));
        let answer = self.gate.send(&twice).await;
        self.hear(answer);
        let mut json = payload(&payment);
        json["accepted"]["amount"] = json!("1");
        let mut forged = payment.clone();
        forged.header_value = STANDARD.encode(json.to_string());
        let answer = self.gate.send(&forged.on(Request::get(ITEM))).await;
        self.hear(answer);
        self.signed.extend([payment, forged]);
        // What no parser can read.
        for raw in [
            "GET / HTTP/1.1\r\nmarker-cookie\r\n\r\n",
            "marker-query / HTTP/9\r\n\r\n",
        ] {
            let mut connection = self.gate.client.connect().await;
            self.peers.push(connection.local_address().to_string());
            connection.write(raw.as_bytes()).await;
            if let Some(answer) = connection.try_answer().await {
                self.hear(answer);
            }
        }
    }

    async fn passed(&mut self) {
        self.gate.world.origin.answer(content());
        let free = marked(Request::post("/free", "marker-request-body")).host("site.test");
        let mut connection = self.gate.client.connect().await;
        self.peers.push(connection.local_address().to_string());
        connection.send(&free).await;
        assert_eq!(connection.answer().await.status, 200);
        // The gate knows for whom the proxy speaks.
        let seen = self.gate.world.origin.last();
        assert_eq!(seen.header("x-forwarded-for").as_deref(), Some(CLIENT));
        self.gate.world.origin.answer(Reply::echo());
        let mut connection = self.gate.client.connect().await;
        let upgrade = marked(Request::get("/chat"))
            .host("site.test")
            .header("connection", "upgrade")
            .header("upgrade", "websocket");
        connection.send(&upgrade).await;
        assert_eq!(connection.head().await.status, 101);
        connection.write(b"marker-websocket").await;
        assert!(connection.bytes().await.is_some());
        self.gate.world.origin.answer(content());
    }

    /// The chain fails while a payment is settled, and a client leaves.
    async fn pending(&mut self) {
        let node = std::sync::Arc::clone(&self.gate.world.node);
        let lost = node.always(
            &["eth_sendRawTransaction", "eth_sendRawTransactionSync"],
            || Fault::Refuse("nonce too high"),
        );
        let request = marked(Request::post(ITEM, "marker-request-body"));
        let answer = self.pay(Version::V2, &request).await;
        assert_eq!(answer.status, 503);
        self.hear(answer);
        drop(lost);
        let hold = Hold::new();
        self.gate.world.origin.answer(content().held(&hold));
        let terms = self.gate.send(&request).await.required(Version::V2);
        let payment = self.gate.world.net.buyer().sign(&terms);
        let mut connection = self.gate.client.connect().await;
        self.peers.push(connection.local_address().to_string());
        connection.send(&payment.on(request)).await;
        hold.reached().await;
        connection.reset();
        hold.release();
        self.signed.push(payment);
        self.gate.world.origin.answer(content());
    }

    async fn facilitated(&mut self) {
        let terms = self
            .gate
            .send(&Request::get(ITEM))
            .await
            .required(Version::V2);
        let payment = self.gate.world.net.buyer().sign(&terms);
        let payload = payload(&payment);
        let asked = json!({
            "x402Version": 2,
            "paymentRequirements": payload["accepted"],
            "paymentPayload": payload,
            "note": "marker-request-body",
        });
        let ask = |endpoint: &str, body: &str| {
            Request::post(&format!("/facilitator/{endpoint}"), body.to_owned())
                .header("authorization", format!("Bearer {FACILITATOR}"))
        };
        for endpoint in ["verify", "settle", "settle"] {
            let answer = self.gate.send(&ask(endpoint, &asked.to_string())).await;
            self.hear(answer);
            let answer = self
                .gate
                .send(&ask(endpoint, "{\"marker-request-body\""))
                .await;
            self.hear(answer);
        }
        self.signed.push(payment);
    }
}

fn payload(payment: &Payment) -> Value {
    serde_json::from_slice(&STANDARD.decode(&payment.header_value).unwrap()).unwrap()
}

/// Every text that must not be found.
fn secrets(traffic: &Traffic) -> Vec<String> {
    let mut secrets: Vec<String> = MARKERS
        .iter()
        .chain(&[BEARER, IN_QUERY, FACILITATOR, CLIENT])
        .map(|marker| (*marker).to_owned())
        .chain(traffic.peers.iter().cloned())
        .collect();
    for wallet in traffic.gate.world.net.wallets() {
        secrets.push(hex::encode(wallet.secret_key.expose()));
    }
    for payment in &traffic.signed {
        let header = &payment.header_value;
        secrets.push(header[..header.len() - 4].to_owned());
        let signature =
            payload(payment)["payload"]["signature"].as_str().unwrap()[2..66].to_owned();
        secrets.push(signature.to_uppercase());
        secrets.push(signature);
    }
    secrets
}

fn found<'s>(secrets: &'s [String], haystack: &str) -> Vec<&'s str> {
    secrets
        .iter()
        .map(String::as_str)
        .filter(|secret| haystack.contains(secret))
        .collect()
}

/// Whether bytes hold a key of a settlement wallet as it is in memory.
fn holds_a_key(traffic: &Traffic, bytes: &[u8]) -> bool {
    traffic.gate.world.net.wallets().any(|wallet| {
        let key = &wallet.secret_key.expose()[..];
        bytes.windows(key.len()).any(|window| window == key)
    })
}

#[tokio::test]
async fn no_payload_and_no_secret_is_found_in_logs_metrics_errors_and_database() {
    let gate = GateProcess::start_in(world().await).await;
    let mut traffic = Traffic {
        gate,
        signed: Vec::new(),
        peers: Vec::new(),
        said: Vec::new(),
    };
    traffic.sold().await;
    traffic.failed().await;
    traffic.refused().await;
    traffic.passed().await;
    traffic.facilitated().await;
    traffic.pending().await;
    let metrics = traffic.gate.send(&Request::get("/metrics")).await;
    assert!(metrics.text().contains("octroi_"), "{}", metrics.text());

    // Signed transactions are kept until they are final, and no longer.
    traffic
        .gate
        .books_say("all is known", |books| books.open().count() == 0)
        .await;
    traffic.gate.world.net.mine(5);

    let secrets = secrets(&traffic);
    assert!(secrets.len() > 80, "{}", secrets.len());
    for answer in traffic.said.iter().chain([&metrics]) {
        let body = String::from_utf8_lossy(&answer.body);
        let text = format!("{:?} {body}", answer.headers);
        let mut found = found(&secrets, &text);
        // An offer names the URL that was asked for, to whoever asked for it.
        found.retain(|what| answer.status != 402 || *what != "marker-query");
        assert!(found.is_empty(), "{found:?} in {text}");
    }
    traffic.gate.kill();
    let logs = traffic.gate.logs();
    for line in logs.lines() {
        let found = found(&secrets, line);
        assert!(found.is_empty(), "{found:?} in {line}");
    }
    let mut kept = String::new();
    for entry in std::fs::read_dir(traffic.gate.world.folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("octroi.db") {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let found = found(&secrets, &text);
            assert!(found.is_empty(), "{found:?} in {name}");
            assert!(!holds_a_key(&traffic, &bytes), "{name} holds a key");
            kept.push_str(&text);
        }
    }
    // What may be told is told: the places that were looked through are the right ones.
    let failed = traffic.said.iter().find(|answer| answer.status == 502);
    let id = failed.unwrap().header("x-request-id").unwrap();
    assert!(logs.contains(&id), "no log line of {id}");
    assert!(logs.contains("\"TRACE\""), "nothing is traced");
    assert!(
        kept.contains("/api/x402/pay/keyed/item"),
        "the store keeps no paths"
    );
}
