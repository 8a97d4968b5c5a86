//! The gate settles through the official facilitator, and through one that fails in every way.

use futures_util::future::try_join_all;
use octroi_interop::{
    AFTER, BUYERS, BaseSepolia, Buyer, FIRST, Fault, GATE_WALLET, Market, Order, PRICE, Relay,
    Service, Setup, eventually, facilitator,
};
use serde_json::{Value, json};

use crate::outcome::{is_pending, is_served_from_a_credit};

/// A market whose gate has no wallet, the facilitator that settles for it, and the line between the two.
pub(crate) struct Delegated {
    pub(crate) market: Market,
    pub(crate) facilitator_line: Relay,
    _facilitator: Service,
}

impl Delegated {
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let chain = BaseSepolia::start().await?;
        let facilitator = facilitator(&chain).await?;
        let facilitator_line = Relay::start(facilitator.url()).await?;
        let setup = Setup::settled_by(&facilitator_line.url());
        let market = Market::open_on(chain, &setup).await?;
        Ok(Self {
            market,
            facilitator_line,
            _facilitator: facilitator,
        })
    }
}

#[tokio::test]
async fn the_official_facilitator_settles_for_the_gate() -> anyhow::Result<()> {
    let Delegated { market, .. } = &Delegated::open().await?;
    let url = market.gate.url()?.to_owned();
    let orders = [
        (AFTER, Buyer::Fetch),
        (FIRST, Buyer::Requests),
        (AFTER, Buyer::FetchV1),
    ];
    for (index, ((order, buyer), account)) in orders.into_iter().zip(BUYERS).enumerate() {
        let path = format!("{order}/json");
        let purchase = buyer.buy(&Order::get(account, &url, &path)).await?;
        assert!(purchase.success, "{buyer:?}: {purchase:?}");
        assert_eq!(market.origin.calls("/json"), index + 1, "{buyer:?}");
        assert_eq!(
            market.earned().await?,
            (index as u128 + 1) * PRICE,
            "{buyer:?}"
        );
        let records = market.concluded(index + 1).await?;
        assert_eq!(&*records[index].state, "Completed", "{buyer:?}");
        let hash = records[index].tx_hash.map(|hash| hash.to_string());
        let receipt = purchase.payment_response.unwrap_or_default();
        assert_eq!(
            receipt["transaction"].as_str(),
            hash.as_deref(),
            "{buyer:?}"
        );
    }
    let sent = market
        .chain
        .request(
            "eth_getTransactionCount",
            json!([GATE_WALLET.address, "latest"]),
        )
        .await?;
    assert_eq!(sent, "0x0", "the gate's own wallet was not used");
    market.reconcile().await
}

#[tokio::test]
async fn many_copies_are_delegated_once() -> anyhow::Result<()> {
    let Delegated {
        market,
        facilitator_line,
        ..
    } = &Delegated::open().await?;
    let path = format!("{FIRST}/json");
    let payment = market.payment(BUYERS[0], &path).await?;
    let replies = try_join_all((0..64).map(|_| market.pay(&path, &payment))).await?;
    let count = |status: u16| {
        replies
            .iter()
            .filter(|reply| reply.status == status)
            .count()
    };
    assert_eq!((count(200), count(409)), (1, 63));
    assert_eq!(facilitator_line.calls("/settle"), 1);
    assert_eq!(market.origin.calls("/json"), 1);
    market.concluded(1).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// It settled, and the gate was not told: the chain tells, and the money is the buyer's credit.
#[tokio::test]
async fn a_settlement_without_word_of_it_becomes_a_credit() -> anyhow::Result<()> {
    let Delegated {
        market,
        facilitator_line,
        ..
    } = &Delegated::open().await?;
    for (index, (order, account)) in [AFTER, FIRST].into_iter().zip(BUYERS).enumerate() {
        facilitator_line.disturb("/settle", Fault::AnswerLost);
        let path = format!("{order}/json");
        let payment = market.payment(account, &path).await?;
        is_pending(&market.pay(&path, &payment).await?)?;
        facilitator_line.mend();
        is_served_from_a_credit(market, account, &path, 2 * index).await?;
        assert_eq!(market.earned().await?, (index as u128 + 1) * PRICE);
        assert_eq!(facilitator_line.calls("/settle"), index + 1);
    }
    market.reconcile().await
}

/// It takes longer than anybody waits, and settles after all.
#[tokio::test]
async fn a_late_settlement_becomes_a_credit() -> anyhow::Result<()> {
    let Delegated {
        market,
        facilitator_line,
        ..
    } = &Delegated::open().await?;
    let (path, account) = (format!("{AFTER}/json"), BUYERS[0]);
    facilitator_line.disturb("/settle", Fault::Held);
    let payment = market.payment(account, &path).await?;
    is_pending(&market.pay(&path, &payment).await?)?;
    // Neither the same payment nor a new one is served or sent meanwhile.
    is_pending(&market.pay(&path, &payment).await?)?;
    let fresh = market.payment(account, &path).await?;
    is_pending(&market.pay(&path, &fresh).await?)?;
    assert_eq!(facilitator_line.calls("/settle"), 1);
    assert_eq!(market.earned().await?, 0);
    facilitator_line.mend();
    is_served_from_a_credit(market, account, &path, 0).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// Whatever a facilitator says that is not a success, and every success that the chain does not show: not
/// served, not billed again, and seen through to the end of the authorization.
#[tokio::test]
async fn nothing_is_served_on_a_facilitators_word_alone() -> anyhow::Result<()> {
    let Delegated {
        market,
        facilitator_line,
        ..
    } = &Delegated::open().await?;
    let never_mined = format!("0x{}", "5e".repeat(32));
    let claimed = json!({
        "success": true, "transaction": never_mined, "network": "eip155:84532",
    });
    let answers = [
        Fault::Answered(500, json!({"error": "out of order"})),
        Fault::Answered(200, json!({"is": "no settlement"})),
        Fault::Answered(200, Value::Null),
        Fault::Lost,
        Fault::Answered(200, claimed),
    ];
    let path = format!("{AFTER}/json");
    for (index, (fault, account)) in answers.into_iter().zip(BUYERS).enumerate() {
        facilitator_line.disturb("/settle", fault.clone());
        let payment = market.payment(account, &path).await?;
        is_pending(&market.pay(&path, &payment).await?)?;
        assert!(facilitator_line.calls("/settle") > index, "{fault:?}");
        facilitator_line.mend();
        let asked = facilitator_line.calls("/settle");
        let fresh = market.payment(account, &path).await?;
        is_pending(&market.pay(&path, &fresh).await?)?;
        assert_eq!(
            facilitator_line.calls("/settle"),
            asked,
            "{fault:?}: nothing more is sent"
        );
    }
    let records = market.gate.transactions().await?;
    assert_eq!(records.len(), BUYERS.len() - 1);
    assert!(
        records.iter().all(|record| record.state == "Unknown"),
        "{records:?}"
    );
    ends_with_the_authorization(market, 5).await
}

/// A refusal of the facilitator is not its last word: whoever has the payload can still send it.
#[tokio::test]
async fn a_refusal_is_believed_when_the_authorization_has_ended() -> anyhow::Result<()> {
    let Delegated {
        market,
        facilitator_line,
        ..
    } = &Delegated::open().await?;
    let refusal = json!({
        "success": false,
        "errorReason": "invalid_exact_evm_transaction_failed",
        "transaction": "",
        "network": "eip155:84532",
    });
    let path = format!("{FIRST}/json");
    facilitator_line.disturb("/settle", Fault::Answered(200, refusal));
    let payment = market.payment(BUYERS[0], &path).await?;
    is_pending(&market.pay(&path, &payment).await?)?;
    assert_eq!(market.origin.calls("/json"), 0);
    facilitator_line.mend();
    let fresh = market.payment(BUYERS[0], &path).await?;
    is_pending(&market.pay(&path, &fresh).await?)?;
    assert_eq!(facilitator_line.calls("/settle"), 1);
    ends_with_the_authorization(market, 1).await
}

/// Unknown until a final block is later than the authorization, and failed then; nobody was charged.
async fn ends_with_the_authorization(market: &Market, count: usize) -> anyhow::Result<()> {
    let chain = &market.chain;
    chain.request("evm_increaseTime", json!([400])).await?;
    chain.mine(1).await?;
    // The newest block is later than the authorizations, the final one is not.
    let looked = market.line.calls("eth_getBlockByNumber");
    market
        .line
        .called("eth_getBlockByNumber", looked + 6)
        .await?;
    let records = market.gate.transactions().await?;
    assert!(
        records.iter().all(|record| record.state == "Unknown"),
        "{records:?}"
    );
    chain.mine(100).await?;
    let records = eventually("the end of the authorizations", async || {
        let records = market.gate.transactions().await?;
        Ok(records
            .iter()
            .all(|record| record.state == "Failed")
            .then_some(records))
    })
    .await?;
    assert_eq!(records.len(), count);
    assert!(records.iter().all(|record| record.payment == "failed"));
    assert_eq!(market.earned().await?, 0);
    market.reconcile().await
}
