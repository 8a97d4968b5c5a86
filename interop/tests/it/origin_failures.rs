//! Origins that fail, in every way: what the buyer is told, and what it costs.

use http_body_util::BodyExt as _;
use hyper::Method;
use octroi_interop::{AFTER, BUYERS, FIRST, Market, Origin, PRICE, Reply, Setup};

/// Nothing is charged for an answer that is an error or does not come, and the same payment may buy
/// again.
#[tokio::test]
async fn a_failed_answer_is_not_charged() -> anyhow::Result<()> {
    let gone = Origin::start().await?.url().to_owned();
    let setup = Setup {
        paywalls: format!(
            r#"
[[service]]
name = "hasty"
origin = "{{origin}}"
timeout_ms = 300

[[service.paywall]]
slug = "all"
price = "0.001"
path = "/"
subpaths = true

[[service]]
name = "gone"
origin = "{gone}"

[[service.paywall]]
slug = "all"
price = "0.001"
path = "/"
subpaths = true
"#
        ),
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let cases = [
        (format!("{AFTER}/status/500"), 500, None),
        (format!("{AFTER}/status/404"), 404, None),
        (format!("{AFTER}/cut"), 502, Some("origin_unreachable")),
        (
            "/api/x402/pay/gone/all/json".to_owned(),
            502,
            Some("origin_unreachable"),
        ),
        (
            "/api/x402/pay/hasty/all/stall".to_owned(),
            504,
            Some("origin_timeout"),
        ),
    ];
    for (sold, (path, status, code)) in cases.iter().enumerate() {
        let payment = market.payment(BUYERS[0], path).await?;
        for _ in 0..2 {
            let reply = market.pay(path, &payment).await?;
            assert_eq!(reply.status.as_u16(), *status, "{path}: {:?}", reply.body);
            assert_eq!(reply.code().as_deref(), *code, "{path}");
            assert_eq!(reply.header("payment-response"), None, "{path}");
            assert_eq!(reply.header("x-refund-credit"), None, "{path}");
        }
        // Twice the same payment, once for each attempt.
        let records = market.concluded(2 * (sold + 1)).await?;
        let record = &records[2 * sold + 1];
        assert_eq!(
            (&*record.state, &*record.payment),
            ("Failed", "released"),
            "{path}"
        );
    }
    assert_eq!(market.origin.calls("/status/500"), 2);
    assert_eq!(market.earned().await?, 0);
    market.reconcile().await
}

/// Where the settlement came first, a failed answer leaves the buyer a credit, which buys the next one.
#[tokio::test]
async fn a_failed_answer_that_was_settled_for_becomes_a_credit() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let failing = format!("{FIRST}/status/500");
    let payment = market.payment(BUYERS[0], &failing).await?;
    let failed = market.pay(&failing, &payment).await?;
    assert_eq!(failed.status, 500);
    let credit = failed.header("x-refund-credit").unwrap().to_owned();
    assert!(credit.starts_with("cr_"), "{credit}");
    assert_eq!(market.earned().await?, PRICE);
    let again = market.pay(&failing, &payment).await?;
    used(&again);
    assert_eq!(market.origin.calls("/status/500"), 1);

    // Another answer of the same seller, and the other settle order.
    let path = format!("{AFTER}/json");
    let next = market.payment(BUYERS[0], &path).await?;
    let covered = market.pay(&path, &next).await?;
    assert_eq!(covered.status, 200, "{:?}", covered.body);
    let receipt = covered.decoded("payment-response")?;
    assert_eq!(
        (&receipt["success"], &receipt["transaction"]),
        (&true.into(), &"".into())
    );
    assert_eq!(
        market.earned().await?,
        PRICE,
        "the second payment was not sent"
    );
    let records = market.concluded(2).await?;
    assert_eq!(records[0].refund_credit.as_deref(), Some(&*credit));
    assert_eq!(records[1].covered_by.as_deref(), Some(&*credit));
    assert_eq!(&*records[1].state, "Completed");

    // It is spent now; and nobody else could have spent it.
    let third = market.payment(BUYERS[0], &path).await?;
    assert_eq!(market.pay(&path, &third).await?.status, 200);
    assert_eq!(market.earned().await?, 2 * PRICE);
    let other = market.payment(BUYERS[1], &path).await?;
    assert_eq!(market.pay(&path, &other).await?.status, 200);
    assert_eq!(market.earned().await?, 3 * PRICE);
    market.concluded(4).await?;
    market.reconcile().await
}

/// An answer that breaks off after its first byte costs what the route says.
#[tokio::test]
async fn a_broken_answer_is_charged_by_the_route() -> anyhow::Result<()> {
    let setup = Setup {
        paywalls: r#"
[[service.paywall]]
slug = "whole"
price = "0.001"
path = "/"
subpaths = true
break_charge = "credit"
"#
        .to_owned(),
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let cases = [AFTER, "/api/x402/pay/shop/whole"];
    for (route, account) in cases.into_iter().zip(BUYERS) {
        let path = format!("{route}/cut-in-body");
        let payment = market.payment(account, &path).await?;
        let open = market
            .http
            .open(market.paid(Method::GET, &path, &payment, "")?)
            .await?;
        assert_eq!(open.status(), 200, "{route}");
        let mut body = open.into_body();
        let half = body.frame().await.unwrap()?.into_data().unwrap();
        assert_eq!(half.len(), 500, "{route}");
        assert!(
            body.frame().await.unwrap().is_err(),
            "{route}: a broken end"
        );
    }
    let records = market.concluded(2).await?;
    assert_eq!(
        (&*records[0].state, &records[0].refund_credit),
        ("Completed", &None)
    );
    assert_eq!(&*records[1].state, "Failed");
    assert!(records[1].refund_credit.is_some());
    assert_eq!(market.earned().await?, 2 * PRICE);
    market.reconcile().await
}

fn used(reply: &Reply) {
    assert_eq!(reply.status, 409, "{:?}", reply.body);
    assert_eq!(reply.code().as_deref(), Some("payment_already_used"));
}
