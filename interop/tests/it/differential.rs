//! The same requests to the official Express stack and to the gate: what each answers, and every
//! difference with its reason. Both sell the same thing for the same price to the same payee.

mod ask;
mod cases;
mod change;

use anyhow::{Context as _, Result, ensure};
use octroi_interop::{
    AFTER, BUYERS, Market, PAID_PATH, PAYEE, PRICE, Reply, Seller, Setup, Terms, facilitator,
};
use serde_json::Value;

use self::cases::{CASES, Field, REQUESTS};
use self::change::{Change, Sent};

/// Sold to the same methods as what the reference sells.
const PAGE: &str = "/api/x402/pay/shop/page";
const PAYWALL: &str = r#"
[[service.paywall]]
slug = "page"
price = "0.001"
path = "/upload"
methods = ["GET", "POST"]
"#;
/// Where the gate says that it is.
const PUBLIC_URL: &str = "http://127.0.0.1:8402";

#[tokio::test]
async fn the_gate_answers_as_the_reference_does() -> Result<()> {
    let market = Market::open().await?;
    let facilitator = facilitator(&market.chain).await?;
    let shop = Seller::Express
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    let reference = Side::open(&market, format!("{}{PAID_PATH}", shop.url())).await?;
    let gate = Side::open(&market, format!("{}{AFTER}/json", market.gate.url()?)).await?;
    assert_eq!(gate.terms.accepted, reference.terms.accepted);

    let mut wrong = Vec::new();
    for (name, change, by_reference, by_gate, why) in CASES {
        assert_eq!(
            by_reference == by_gate,
            why.is_empty(),
            "{name}: say why, or do not"
        );
        for (who, side, expected) in [
            ("reference", &reference, by_reference),
            ("gate", &gate, by_gate),
        ] {
            let told = side
                .answer(change)
                .await
                .with_context(|| format!("{name}: {who}"))?;
            if told != **expected {
                wrong.push(format!(
                    "{name}: the {who} answers {told:?} and not {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Every other method, bodies, and a path that is not sold; and what the terms and the receipt say.
#[tokio::test]
async fn the_gate_answers_other_requests_as_the_reference_does() -> Result<()> {
    let setup = Setup {
        paywalls: PAYWALL.to_owned(),
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let facilitator = facilitator(&market.chain).await?;
    let shop = Seller::Express
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    let reference = Side::open(&market, format!("{}{PAID_PATH}", shop.url())).await?;
    let gate = Side::open(&market, format!("{}{PAGE}", market.gate.url()?)).await?;
    let mut wrong = Vec::new();
    for (name, ask, by_reference, by_gate, why) in REQUESTS {
        let is_same = by_reference == by_gate;
        assert_eq!(is_same, why.is_empty(), "{name}: say why, or do not");
        for (who, side, expected) in [
            ("reference", &reference, by_reference),
            ("gate", &gate, by_gate),
        ] {
            let told = side
                .asked(ask)
                .await
                .with_context(|| format!("{name}: {who}"))?;
            if told != **expected {
                wrong.push(format!("{name}: the {who} answers {told:?}"));
            }
        }
    }
    let (by_reference, by_gate) = (
        reference.documents(&reference.url).await?,
        gate.documents(&format!("{PUBLIC_URL}{PAGE}")).await?,
    );
    for (reference, gate, fields) in [
        (&by_reference.0, &by_gate.0, cases::terms()),
        (&by_reference.1, &by_gate.1, cases::receipt()),
    ] {
        wrong.extend(differences("reference", reference, &fields, |field| {
            &field.1
        }));
        wrong.extend(differences("gate", gate, &fields, |field| &field.2));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Where a document is not as its fields are listed.
fn differences(
    who: &str,
    document: &Value,
    fields: &[Field],
    expected: impl Fn(&Field) -> &Value,
) -> Vec<String> {
    let keys = document.as_object().into_iter().flat_map(|map| map.keys());
    let unlisted = keys.filter(|key| !fields.iter().any(|field| field.0 == **key));
    let mut wrong: Vec<_> = unlisted
        .map(|key| format!("{key}: the {who} writes {}", document[key]))
        .collect();
    for field in fields {
        let (key, why) = (field.0, field.3);
        let is_same = field.1 == field.2;
        assert_eq!(is_same, why.is_empty(), "{key}: say why, or do not");
        if document[key] != *expected(field) {
            wrong.push(format!("{key}: the {who} writes {}", document[key]));
        }
    }
    wrong
}

/// The body that clients of version 1 read, beside that of the last server of version 1.
#[tokio::test]
async fn the_terms_of_version_1_are_those_of_its_own_server() -> Result<()> {
    let market = Market::open().await?;
    let facilitator = facilitator(&market.chain).await?;
    let shop = Seller::ExpressV1
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    let reference = market
        .http
        .get(&format!("{}{PAID_PATH}", shop.url()))
        .await?
        .json()?;
    let gate = market.get(&format!("{AFTER}/json")).await?.json()?;
    assert_eq!(gate["x402Version"], reference["x402Version"]);
    assert_eq!(gate["accepts"].as_array().map(Vec::len), Some(1));
    let (reference, gate) = (&reference["accepts"][0], &gate["accepts"][0]);
    for key in [
        "scheme",
        "network",
        "maxAmountRequired",
        "payTo",
        "asset",
        "extra",
    ] {
        assert_eq!(gate[key], reference[key], "{key}");
    }
    for key in ["resource", "description", "mimeType"] {
        assert!(gate[key].is_string(), "{key}");
    }
    // The reference's clients refuse terms with a null in them.
    assert!(
        !gate
            .as_object()
            .context("no terms")?
            .values()
            .any(Value::is_null),
        "{gate}"
    );
    Ok(())
}

/// One of the two that are compared.
struct Side<'m> {
    market: &'m Market,
    url: String,
    terms: Terms,
}

impl<'m> Side<'m> {
    async fn open(market: &'m Market, url: String) -> Result<Self> {
        let terms = Terms::of(&market.http.get(&url).await?)?;
        Ok(Self { market, url, terms })
    }

    /// The terms and the receipt of a purchase, without what is another one each time. `named` is what the
    /// terms call the resource.
    async fn documents(&self, named: &str) -> Result<(Value, Value)> {
        let unpaid = self.market.http.get(&self.url).await?;
        let mut required = unpaid.decoded("payment-required")?;
        ensure!(required["resource"]["url"] == named, "{required}");
        required["resource"]["url"] = cases::ITS_URL.into();
        let payment = self.terms.sign(&self.market.chain, BUYERS[0]).await?;
        let header = payment.header();
        let paid = self
            .market
            .http
            .get_with(&self.url, "payment-signature", &header)
            .await?;
        let mut receipt = paid.decoded("payment-response")?;
        let hash = receipt["transaction"].as_str().context("no hash")?;
        let mined = self.market.chain.receipt(hash.parse()?).await?;
        ensure!(mined.is_some_and(|mined| mined.succeeded), "{receipt}");
        receipt["transaction"] = cases::ITS_HASH.into();
        Ok((required, receipt))
    }

    /// Sends the request, looks that exactly what the answer says was charged, and describes the answer.
    async fn answer(&self, change: &Change) -> Result<String> {
        let sent = change.request(&self.market.chain, &self.terms).await?;
        let earned = self.market.earned().await?;
        let reply = match sent {
            Sent::Nothing => self.market.http.get(&self.url).await?,
            Sent::Header(name, text) => self.market.http.get_with(&self.url, name, &text).await?,
        };
        let charged = self.market.earned().await? - earned;
        let is_paid = reply.status == 200;
        ensure!(
            charged == if is_paid { PRICE } else { 0 },
            "{charged} charged: {}",
            reply.status
        );
        let caching = reply.header("cache-control");
        ensure!(
            caching == Some(if is_paid { "private" } else { "no-store" }),
            "{caching:?}"
        );
        if !is_paid {
            let fresh = Terms::of(&reply)?;
            ensure!(
                fresh.accepted == self.terms.accepted,
                "other terms: {}",
                fresh.accepted
            );
        }
        describe(&reply)
    }
}

fn describe(reply: &Reply) -> Result<String> {
    let mut told = reply.status.as_u16().to_string();
    if reply.status == 402 {
        let terms = reply.decoded("payment-required")?;
        ensure!(terms["x402Version"] == 2, "{terms}");
        if let Some(code) = terms["error"].as_str().filter(|text| is_code(text)) {
            told.push_str(&format!(" {code}"));
        }
    }
    let receipt = match (
        reply.header("payment-response"),
        reply.header("x-payment-response"),
    ) {
        (Some(_), None) => reply.decoded("payment-response")?,
        (None, Some(_)) => reply.decoded("x-payment-response")?,
        (None, None) => return Ok(told),
        both => anyhow::bail!("{both:?}"),
    };
    if receipt["success"] == true {
        let payer = receipt["payer"].as_str().context("no payer")?;
        ensure!(payer == BUYERS[0].address.to_string(), "{receipt}");
        ensure!(
            receipt["transaction"].as_str().map(str::len) == Some(66),
            "{receipt}"
        );
        told.push_str(" paid");
    } else {
        let reason = receipt["errorReason"].as_str().context("no reason")?;
        told.push_str(&format!(", not paid: {reason}"));
    }
    Ok(told)
}

/// Whether a program could switch on it.
fn is_code(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
