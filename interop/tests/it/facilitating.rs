//! Official servers settle with the gate's own facilitator.

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::Full;
use hyper::{Request, header};
use octroi_interop::{
    AFTER, BUYERS, Buyer, FACILITATOR_TOKEN, Fault, Http, Market, Order, PAID_PATH, PAYEE, PRICE,
    Payment, Reply, Seller, Service, Setup, Terms, sign_payments,
};
use serde_json::{Value, json};

const COPIES: usize = 64;

#[tokio::test]
async fn official_servers_settle_with_the_gate() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let pairs = [
        (Seller::Express, Buyer::Fetch),
        (Seller::FastApi, Buyer::Httpx),
        (Seller::ExpressV1, Buyer::FetchV1),
    ];
    for (index, (seller, buyer)) in pairs.into_iter().enumerate() {
        let shop = open(&market, seller).await?;
        let order = Order::get(BUYERS[index], shop.url(), PAID_PATH);
        let purchase = buyer.buy(&order).await?;
        assert!(purchase.success, "{seller:?}: {purchase:?}");
        assert_eq!(purchase.status_code, Some(200), "{seller:?}");
        let receipt = purchase.payment_response.context("no receipt")?;
        assert_eq!(receipt["success"], true, "{seller:?}");
        let records = market.concluded(index + 1).await?;
        let record = records.last().context("no record")?;
        assert_eq!(
            (&*record.state, &*record.rail),
            ("Completed", "facilitator"),
            "{seller:?}"
        );
        let hash = record.tx_hash.context("no hash")?.to_string();
        assert_eq!(receipt["transaction"], hash, "{seller:?}");
        let earned = (index as u128 + 1) * PRICE;
        assert_eq!(market.earned().await?, earned, "{seller:?}");
    }
    market.reconcile().await
}

/// The official middleware lets every copy of a payment do its work; our facilitator lets one have it.
#[tokio::test]
async fn of_many_copies_at_an_official_server_one_is_served() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let shop = open(&market, Seller::Express).await?;
    let order = Order::get(BUYERS[0], shop.url(), PAID_PATH);
    let signed = sign_payments(&order, 1).await?.remove(0);
    let url = format!("{}{PAID_PATH}", shop.url());
    let copies = (0..COPIES).map(|_| market.http.get_with(&url, "payment-signature", &signed));
    let replies = try_join_all(copies).await?;
    let served = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(served, 1);
    let late = market
        .http
        .get_with(&url, "payment-signature", &signed)
        .await?;
    assert_eq!(late.status, 402);
    assert_eq!(market.concluded(1).await?.len(), 1);
    assert_eq!(market.earned().await?, PRICE);
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 1);
    market.reconcile().await
}

#[tokio::test]
async fn a_success_is_handed_out_once() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let terms = market.terms(&format!("{AFTER}/json")).await?;
    let payment = terms.sign(&market.chain, BUYERS[0]).await?;
    let desk = Desk::of(&market)?;

    let valid = desk.ask("verify", &payment, &terms).await?;
    assert_eq!(valid["isValid"], true, "{valid}");
    let settled = desk.ask("settle", &payment, &terms).await?;
    assert_eq!(settled["success"], true, "{settled}");
    let hash = settled["transaction"].as_str().context("no hash")?;
    assert!(
        market
            .chain
            .receipt(hash.parse()?)
            .await?
            .context("not mined")?
            .succeeded
    );

    let again = desk.ask("settle", &payment, &terms).await?;
    assert_eq!(again["success"], false);
    assert_eq!(again["errorReason"], "duplicate_settlement");
    let invalid = desk.ask("verify", &payment, &terms).await?;
    assert_eq!(invalid["isValid"], false);
    assert_eq!(
        invalid["invalidReason"],
        "invalid_exact_evm_nonce_already_used"
    );

    // Nor does it buy anything at the gate itself, which the same claims guard.
    let reply = market.pay(&format!("{AFTER}/json"), &payment).await?;
    assert_eq!(reply.status, 409, "{:?}", reply.body);
    assert_eq!(reply.code().as_deref(), Some("payment_bound_elsewhere"));
    assert_eq!(market.origin.calls("/json"), 0);
    market.concluded(1).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// A settlement that is not in a block yet is told as pending; who asks again collects the success, once.
#[tokio::test]
async fn a_pending_settlement_is_collected_later() -> anyhow::Result<()> {
    // Slow enough that the fee is not raised while nothing is mined: the hash stays what was told.
    let setup = Setup {
        block_time_ms: 1_000,
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let terms = market.terms(&format!("{AFTER}/json")).await?;
    let payment = terms.sign(&market.chain, BUYERS[0]).await?;
    let desk = Desk::of(&market)?;
    market.chain.set_automine(false).await?;
    let pending = desk.ask("settle", &payment, &terms).await?;
    assert_eq!(pending["success"], false, "{pending}");
    assert_eq!(pending["errorReason"], "settlement_pending");
    let hash = pending["transaction"]
        .as_str()
        .context("no hash")?
        .to_owned();
    assert_eq!(market.chain.pending().await?, [hash.parse()?]);
    market.chain.set_automine(true).await?;
    market.chain.mine(1).await?;
    let settled = octroi_interop::eventually("the settlement", async || {
        let told = desk.ask("settle", &payment, &terms).await?;
        Ok((told["errorReason"] != "settlement_pending").then_some(told))
    })
    .await?;
    assert_eq!(settled["success"], true, "{settled}");
    assert_eq!(settled["transaction"], hash);
    let late = desk.ask("settle", &payment, &terms).await?;
    assert_eq!(late["errorReason"], "duplicate_settlement");
    market.concluded(1).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// What could not be sent in the time that an answer waits is given back: it may come again.
#[tokio::test]
async fn a_settlement_that_was_not_sent_in_time_may_come_again() -> anyhow::Result<()> {
    // The payer is known for the length of a block, so that only the settlement asks the node.
    let setup = Setup {
        block_time_ms: 20_000,
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let terms = market.terms(&format!("{AFTER}/json")).await?;
    let payment = terms.sign(&market.chain, BUYERS[0]).await?;
    let desk = Desk::of(&market)?;
    assert_eq!(desk.ask("verify", &payment, &terms).await?["isValid"], true);
    for call in ["eth_call", "eth_estimateGas", "eth_getTransactionCount"] {
        market.line.disturb(call, Fault::Held);
    }
    let told = desk.ask("settle", &payment, &terms).await?;
    assert_eq!(told["success"], false, "{told}");
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 0);
    market.line.mend();
    let settled = octroi_interop::eventually("the settlement", async || {
        let told = desk.ask("settle", &payment, &terms).await?;
        assert_ne!(told["errorReason"], "duplicate_settlement", "nobody has it");
        Ok((told["success"] == true).then_some(told))
    })
    .await?;
    assert!(
        settled["transaction"]
            .as_str()
            .is_some_and(|hash| hash.len() == 66)
    );
    assert_eq!(market.earned().await?, PRICE);
    market.concluded(1).await?;
    market.reconcile().await
}

#[tokio::test]
async fn strangers_and_foreign_terms_are_refused() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let terms = market.terms(&format!("{AFTER}/json")).await?;
    let payment = terms.sign(&market.chain, BUYERS[0]).await?;
    for token in [None, Some("another-token")] {
        let stranger = Desk {
            token,
            ..Desk::of(&market)?
        };
        for endpoint in ["verify", "settle"] {
            let reply = stranger.post(endpoint, &payment, &terms).await?;
            assert_eq!(reply.status, 401, "{endpoint}");
        }
        let url = format!("{}/supported", stranger.url);
        assert_eq!(market.http.get(&url).await?.status, 401);
    }

    // The seller's own terms count, and what the payment says that it accepted has to be the same.
    let desk = Desk::of(&market)?;
    let stranger = json!(BUYERS[1].address);
    let domain = |name: &str, version: &str| json!({"name": name, "version": version});
    for (key, value, alone, accepted) in [
        (
            "amount",
            json!("1001"),
            "invalid_payment_requirements",
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (
            "payTo",
            stranger.clone(),
            "invalid_payment_requirements",
            "invalid_exact_evm_recipient_mismatch",
        ),
        (
            "asset",
            stranger,
            "invalid_payment_requirements",
            "invalid_payment_requirements",
        ),
        (
            "extra",
            domain("USD Coin", "2"),
            "invalid_exact_evm_token_name_mismatch",
            "invalid_exact_evm_token_name_mismatch",
        ),
        (
            "extra",
            domain("USDC", "1"),
            "invalid_exact_evm_token_version_mismatch",
            "invalid_exact_evm_token_version_mismatch",
        ),
    ] {
        let mut demanded = terms.clone();
        demanded.accepted[key] = value;
        let mut accepting = payment.clone();
        accepting.draft.terms = demanded.clone();
        for (payment, reason) in [(&payment, alone), (&accepting, accepted)] {
            let told = desk.ask("verify", payment, &demanded).await?;
            assert_eq!(told["isValid"], false, "{key}");
            assert_eq!(told["invalidReason"], reason, "{key}");
            let told = desk.ask("settle", payment, &demanded).await?;
            assert_eq!(told["success"], false, "{key}");
            assert_eq!(told["errorReason"], reason, "{key}");
        }
    }
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 0);
    assert!(market.gate.transactions().await?.is_empty());
    Ok(())
}

/// An official server that settles with the gate.
async fn open(market: &Market, seller: Seller) -> anyhow::Result<Service> {
    let url = format!("{}/facilitator", market.gate.url()?);
    seller
        .start(&url, Some(FACILITATOR_TOKEN), PAYEE.address)
        .await
}

/// The gate's facilitator, asked without any SDK.
struct Desk<'m> {
    http: &'m Http,
    url: String,
    token: Option<&'static str>,
}

impl<'m> Desk<'m> {
    fn of(market: &'m Market) -> anyhow::Result<Self> {
        Ok(Self {
            http: &market.http,
            url: format!("{}/facilitator", market.gate.url()?),
            token: Some(FACILITATOR_TOKEN),
        })
    }

    async fn ask(&self, endpoint: &str, payment: &Payment, terms: &Terms) -> anyhow::Result<Value> {
        let reply = self.post(endpoint, payment, terms).await?;
        anyhow::ensure!(reply.status == 200, "{}: {:?}", reply.status, reply.body);
        reply.json()
    }

    async fn post(
        &self,
        endpoint: &str,
        payment: &Payment,
        terms: &Terms,
    ) -> anyhow::Result<Reply> {
        let body = json!({
            "x402Version": 2,
            "paymentPayload": payment.to_v2(),
            "paymentRequirements": terms.accepted,
        });
        let mut request = Request::post(format!("{}/{endpoint}", self.url))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.http
            .send(request.body(Full::from(Bytes::from(body.to_string())))?)
            .await
    }
}
