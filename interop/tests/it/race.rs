//! One payment, one grant.

use anyhow::Context as _;
use futures_util::future::try_join_all;
use hyper::Method;
use octroi_interop::{
    AFTER, BUYERS, FIRST, Market, Order, PRICE, Payment, Reply, encoded, sign_payments,
};
use serde_json::Value;

const COPIES: usize = 64;

/// Signed by the official client; all copies are under way before any can have an answer.
#[tokio::test]
async fn many_copies_of_a_payment_are_one_call_and_one_settlement() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/stall");
    let url = market.gate.url()?.to_owned();
    let signed = sign_payments(&Order::get(BUYERS[0], &url, &path), 1)
        .await?
        .remove(0);
    let target = format!("{url}{path}");
    let copies = (0..COPIES).map(|_| {
        let (http, target, signed) = (market.http.clone(), target.clone(), signed.clone());
        tokio::spawn(async move { http.get_with(&target, "payment-signature", &signed).await })
    });
    let mut under_way: Vec<_> = copies.collect();
    market.origin.called("/stall", 1).await?;
    // Every copy but the one that bought is answered while the work is still going on.
    let mut refused = 0;
    while refused < COPIES - 1 {
        let (reply, _, rest) = futures_util::future::select_all(under_way).await;
        conflicts(&reply??, "payment_in_use")?;
        refused += 1;
        under_way = rest;
    }
    market.origin.release();
    let bought = under_way.remove(0).await??;
    assert_eq!(
        (bought.status.as_u16(), &bought.body[..]),
        (200, &b"at last"[..])
    );
    assert_eq!(market.origin.calls("/stall"), 1);
    is_sold_once(&market).await
}

/// In both settle orders, and in both versions of the protocol: the same authorization is the same
/// payment, however it is written.
#[tokio::test]
async fn however_it_is_written_a_payment_buys_once() -> anyhow::Result<()> {
    for (order, account) in [AFTER, FIRST].into_iter().zip(BUYERS) {
        let market = Market::open().await?;
        let path = format!("{order}/json");
        let payment = market.payment(account, &path).await?;
        let target = format!("{}{path}", market.gate.url()?);
        let texts = [
            ("payment-signature", payment.header()),
            ("x-payment", payment.header_v1()),
            (
                "payment-signature",
                url_safe(&encoded(&spelt_otherwise(&payment))),
            ),
        ];
        let copies = texts.iter().cycle().take(COPIES);
        let sent = copies.map(|(name, text)| market.http.get_with(&target, name, text));
        let replies = try_join_all(sent).await?;
        let (bought, refused): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|reply| reply.status == 200);
        assert_eq!(bought.len(), 1, "{order}");
        for reply in refused {
            let code = reply.code().context("no code")?;
            let known = ["payment_in_use", "payment_already_used"];
            assert!(known.contains(&&*code), "{order}: {code}");
            assert_eq!(reply.status, 409, "{order}");
            assert!(
                !reply.body.windows(5).any(|window| window == b"hello"),
                "{order}"
            );
        }
        assert_eq!(market.origin.calls("/json"), 1, "{order}");
        is_sold_once(&market).await?;
    }
    Ok(())
}

/// The same payment in other words: the hex digits in capitals, further keys, nulls for what is absent.
fn spelt_otherwise(payment: &Payment) -> Value {
    let mut spelt = payment.to_v2();
    let nonce = payment.draft.nonce.to_uppercase().replace("0X", "0x");
    spelt["payload"]["authorization"]["nonce"] = nonce.into();
    spelt["extensions"] = Value::Null;
    spelt["memo"] = "for nobody".into();
    spelt
}

fn url_safe(base64: &str) -> String {
    base64
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_")
}

/// A payment is bound to the request that it was first used for: method, path, query and body.
#[tokio::test]
async fn a_payment_for_one_request_buys_no_other() -> anyhow::Result<()> {
    let market = Market::open().await?;
    market
        .origin
        .publish("other", "text/plain", "something else");
    let path = format!("{AFTER}/json?page=1");
    let other_path = format!("{AFTER}/files/other");
    let other_route = format!("{FIRST}/json?page=1");
    let others = [
        (Method::GET, &*other_path, ""),
        (Method::GET, &*other_route, ""),
        (Method::GET, &format!("{AFTER}/json?page=2"), ""),
        (Method::GET, &format!("{AFTER}/json"), ""),
        (Method::HEAD, &path, ""),
        (Method::POST, &path, ""),
        (Method::GET, &path, "a body"),
        (
            Method::GET,
            &format!("{}/json?page=1", market.site_url()?),
            "",
        ),
    ];
    // While its work is going on, and afterwards.
    let payment = market.payment(BUYERS[0], &format!("{AFTER}/stall")).await?;
    let stalled = {
        let request = market.paid(Method::GET, &format!("{AFTER}/stall"), &payment, "")?;
        let http = market.http.clone();
        tokio::spawn(async move { http.send(request).await })
    };
    market.origin.called("/stall", 1).await?;
    let elsewhere = market.pay(&path, &payment).await?;
    conflicts(&elsewhere, "payment_bound_elsewhere")?;
    market.origin.release();
    assert_eq!(stalled.await??.status, 200);

    let payment = market.payment(BUYERS[0], &path).await?;
    let bought = market.pay(&path, &payment).await?;
    assert_eq!(bought.status, 200);
    market.concluded(2).await?;
    let calls = market.origin.seen().len();
    for (method, other, body) in others {
        let request = market.paid(method.clone(), other, &payment, body)?;
        let reply = market.http.send(request).await?;
        assert_eq!(reply.status, 409, "{method} {other}");
        if method != Method::HEAD {
            conflicts(&reply, "payment_bound_elsewhere")?;
        }
    }
    let again = market.pay(&path, &payment).await?;
    conflicts(&again, "payment_already_used")?;
    let receipt = again.decoded("payment-response")?;
    assert_eq!(receipt["success"], false);
    assert_eq!(receipt["errorReason"], "duplicate_settlement");
    let first = bought.decoded("payment-response")?;
    assert_eq!(receipt["transaction"], first["transaction"]);
    assert_eq!(
        market.origin.seen().len(),
        calls,
        "the origin was not asked again"
    );
    assert_eq!(market.earned().await?, 2 * PRICE);
    market.reconcile().await
}

/// Many payments at once share transactions and get in nobody's way.
#[tokio::test]
async fn many_payments_at_once_are_all_served() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let terms = market.terms(&path).await?;
    let signed = (0..COPIES).map(|n| terms.sign(&market.chain, BUYERS[n % BUYERS.len()]));
    let payments = try_join_all(signed).await?;
    let replies = try_join_all(payments.iter().map(|payment| market.pay(&path, payment))).await?;
    for reply in &replies {
        assert_eq!(reply.status, 200, "{:?}", reply.body);
    }
    let records = market.concluded(COPIES).await?;
    assert!(records.iter().all(|record| record.state == "Completed"));
    assert_eq!(market.origin.calls("/json"), COPIES);
    assert_eq!(market.earned().await?, COPIES as u128 * PRICE);
    let sent = market.line.calls("eth_sendRawTransaction");
    assert!(sent < COPIES, "{sent} transactions for {COPIES} payments");
    market.reconcile().await
}

async fn is_sold_once(market: &Market) -> anyhow::Result<()> {
    let records = market.concluded(1).await?;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (&*records[0].state, &*records[0].work),
        ("Completed", "delivered")
    );
    assert_eq!(market.earned().await?, PRICE);
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 1);
    market.reconcile().await
}

fn conflicts(reply: &Reply, code: &str) -> anyhow::Result<()> {
    anyhow::ensure!(reply.status == 409, "{}: {:?}", reply.status, reply.body);
    let told = reply.code();
    anyhow::ensure!(told.as_deref() == Some(code), "{told:?} in place of {code}");
    Ok(())
}
