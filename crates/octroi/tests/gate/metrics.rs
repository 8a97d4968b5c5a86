//! What `/metrics` tells of settlements and of the wallets that make them.

use octroi_testkit::{CHAIN, Fault, Request, Setup, TestGate, eventually};

use crate::{ITEM, SENDS};

/// The values of a page of metrics.
pub(crate) struct Page(String);

impl Page {
    pub(crate) async fn of(gate: &TestGate) -> Self {
        let answer = gate.send(&Request::get("/metrics")).await;
        assert_eq!(answer.status, 200);
        Self(answer.text().to_owned())
    }

    /// A metric of the network, with these labels beside it.
    fn value(&self, name: &str, labels: &str) -> f64 {
        let series = format!("{name}{{network=\"{CHAIN}\"{labels}}} ");
        let value = self.0.lines().find_map(|line| line.strip_prefix(&series));
        value
            .unwrap_or_else(|| panic!("no {series}"))
            .parse()
            .unwrap()
    }

    /// How far a metric is above what it was before; gates of other tests may count as well.
    pub(crate) fn above(&self, before: &Self, name: &str, labels: &str) -> f64 {
        self.value(name, labels) - before.value(name, labels)
    }
}

#[tokio::test]
async fn settlements_are_counted_and_timed() {
    let gate = TestGate::start().await;
    let before = Page::of(&gate).await;
    for _ in 0..3 {
        let answer = gate.buy(&gate.net.buyer(), &Request::get(ITEM)).await;
        assert_eq!(answer.status, 200);
    }
    let after = Page::of(&gate).await;
    let settled = ",result=\"settled\"";
    for (name, labels) in [
        ("octroi_settlements_total", settled),
        ("octroi_settlement_seconds_count", settled),
        ("octroi_settlement_batch_size_sum", ""),
    ] {
        assert!(after.above(&before, name, labels) >= 3.0, "{name}");
    }
    assert!(after.above(&before, "octroi_settlement_seconds_sum", settled) > 0.0);
    let transactions = after.above(&before, "octroi_settlement_batch_size_count", "");
    assert!(transactions >= 1.0);
    gate.finish().await;
}

#[tokio::test]
async fn what_is_unknown_counts_again_when_it_is_known() {
    let gate = Setup::new().await.start().await;
    let before = Page::of(&gate).await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let paid = gate.sign(&buyer, &request).await.on(request);
    // Ours is lost and expires; nobody else sends it.
    let lost = gate
        .node
        .rule(|method, _| SENDS.contains(&method).then_some(Fault::Unreachable));
    let paying = gate.send(&paid);
    let expiring = async {
        eventually("it is sent in vain", async || {
            let page = Page::of(&gate).await;
            let batches = page.above(&before, "octroi_settlement_batch_size_count", "");
            (batches >= 1.0).then_some(())
        })
        .await;
        gate.net.pass(3_600);
        drop(lost);
    };
    let (answer, ()) = tokio::join!(paying, expiring);
    assert_ne!(answer.status, 200);
    eventually("it is known that it failed", async || {
        let page = Page::of(&gate).await;
        let ended = |result| {
            let labels = format!(",result=\"{result}\"");
            page.above(&before, "octroi_settlements_total", &labels)
        };
        (ended("unknown") >= 1.0 && ended("failed") >= 1.0).then_some(())
    })
    .await;
    gate.finish().await;
}

#[tokio::test]
async fn the_next_nonce_of_every_wallet_is_told() {
    let mut gate = TestGate::start().await;
    for restarted in [false, true] {
        if restarted {
            gate.restart().await;
        } else {
            let answer = gate.buy(&gate.net.buyer(), &Request::get(ITEM)).await;
            assert_eq!(answer.status, 200);
        }
        eventually("the nonces are those of the chain", async || {
            let page = Page::of(&gate).await;
            let is_told = gate.net.wallets().all(|wallet| {
                let address = wallet.address;
                let told = page.value("octroi_wallet_nonce", &format!(",wallet=\"{address}\""));
                told.to_string() == gate.net.sent_by(address).to_string()
            });
            is_told.then_some(())
        })
        .await;
        assert!(
            gate.net
                .wallets()
                .any(|wallet| gate.net.sent_by(wallet.address) > 0)
        );
    }
    gate.finish().await;
}
