//! How sure a settlement is when the answer goes out.

use octroi_testkit::{Request, Setup, eventually};

use crate::{ITEM, PRICE, SERVED};

#[tokio::test]
async fn an_answer_waits_for_as_many_blocks_as_are_configured() {
    const CONFIRMATIONS: u64 = 40;
    let level = format!("settle_level = \"final\"\nfinal_confirmations = {CONFIRMATIONS}\n");
    let gate = Setup::new().await.network(&level).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let before = gate.net.height();
    let buying = gate.buy(&buyer, &request);
    let mining = async {
        eventually("it is in a block", async || {
            (gate.paid_units() == PRICE).then_some(())
        })
        .await;
        eventually("it is deep enough", async || {
            gate.net.mine(1);
            (gate.net.height() > before + CONFIRMATIONS).then_some(())
        })
        .await;
    };
    let answer = tokio::select! {
        answer = buying => answer,
        () = async { mining.await; std::future::pending().await } => unreachable!(),
    };
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert!(gate.net.height() > before + CONFIRMATIONS);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}
