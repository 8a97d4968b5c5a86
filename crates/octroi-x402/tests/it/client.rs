//! Choosing and paying.

use octroi_types::UnixSeconds;
use octroi_x402::client::{Choice, ChoiceError, Required, SpendingLimit};
use octroi_x402::payment_identifier::{self, PaymentIdentifier, PaymentIdentifierError};
use octroi_x402::{
    JsonObject, Offer, OfferDetails, Payment, Terms, Version, WINDOW_SECONDS_MAX, header, v2,
};
use serde_json::{Value, json};

use crate::sample::{self, NOW, RULES, amount, nonce, terms};

const URL: &str = "https://api.example.com/weather";

fn limit(units: u64) -> SpendingLimit {
    SpendingLimit {
        chain: sample::BASE_SEPOLIA,
        asset: sample::usdc().address(),
        amount_max: amount(units),
    }
}

fn offer(terms: Vec<Terms>) -> Offer {
    let mut extensions = JsonObject::default();
    extensions.0.insert(
        payment_identifier::KEY.to_owned(),
        payment_identifier::declaration(false),
    );
    let details = OfferDetails {
        extensions: Some(extensions),
        ..OfferDetails::default()
    };
    Offer::new(terms, details).unwrap()
}

fn required_v2(offer: &Offer) -> Required {
    let header = offer.payment_required_header(URL, None);
    Required::read(Some(&header), b"ignored").unwrap()
}

fn required_v1(offer: &Offer) -> Required {
    Required::read(None, &offer.v1_body(URL, Some("pay first"))).unwrap()
}

#[test]
fn the_gate_accepts_what_the_client_signs() {
    let offer = offer(vec![terms()]);
    let id = PaymentIdentifier::new("order-0000000000000001").unwrap();
    for (required, name) in [
        (required_v2(&offer), header::PAYMENT_SIGNATURE),
        (required_v1(&offer), header::X_PAYMENT),
    ] {
        let choice = Choice::pick(&required, &[limit(10_000)]).unwrap();
        assert_eq!(choice.terms(), &terms());
        let signed = choice.sign(&sample::buyer(), NOW, nonce(7), Some(&id));
        assert_eq!(signed.header_name, name);
        let version = required.version();
        let payment = Payment::from_header(version, signed.header_value.expose()).unwrap();
        let (matched, checked) = offer.verify(&payment, NOW, &RULES).unwrap();
        assert_eq!(matched, &terms());
        assert!(checked.is_recovered());
        assert_eq!(checked.identity(&matched.token), signed.identity);
        assert_eq!(checked.nonce, nonce(7));
        let found = PaymentIdentifier::of(&payment).unwrap();
        assert_eq!(found, (version == Version::V2).then_some(id.clone()));
        assert!(!format!("{signed:?}").contains(&signed.header_value.expose()[..40]));
    }
    assert_eq!(required_v1(&offer).error(), Some("pay first"));
}

#[test]
fn the_server_gets_its_own_words_back() {
    let mut accepted = terms().to_v2();
    accepted.asset.make_ascii_lowercase();
    accepted.extra = Some(sample::object(
        r#"{"name":"USDC","version":"2","note":[1]}"#,
    ));
    let offered = v2::PaymentRequired {
        accepts: vec![accepted.clone()],
        ..offer(vec![terms()]).payment_required(URL, Some("why"))
    };
    let required = Required::V2(offered.clone());
    let choice = Choice::pick(&required, &[limit(10_000)]).unwrap();
    let signed = choice.sign(&sample::buyer(), NOW, nonce(1), None);
    let header = signed.header_value.expose();
    let Ok(Payment::V2(payment)) = Payment::from_header(Version::V2, header) else {
        panic!("version 2");
    };
    assert_eq!(payment.accepted, accepted);
    assert_eq!(payment.resource, Some(offered.resource));
    assert_eq!(
        payment.extensions, offered.extensions,
        "no identifier was asked for"
    );
}

#[test]
fn the_buyers_order_and_the_cheapest_price_win() {
    let cheap = Terms {
        amount: amount(400),
        ..terms()
    };
    let polygon = Terms {
        token: octroi_x402::Token::new(
            octroi_types::ChainId(137),
            sample::usdc().address(),
            "USD Coin",
            "2",
        )
        .into(),
        ..terms()
    };
    let required = required_v2(&offer(vec![terms(), cheap.clone(), polygon.clone()]));
    let on_polygon = SpendingLimit {
        chain: polygon.chain(),
        ..limit(10_000)
    };
    let pick =
        |limits: &[SpendingLimit]| Choice::pick(&required, limits).map(|c| c.terms().clone());
    assert_eq!(pick(&[limit(10_000), on_polygon]), Ok(cheap));
    assert_eq!(pick(&[on_polygon, limit(10_000)]), Ok(polygon.clone()));
    // Too little for the first wish, enough for the second.
    assert_eq!(pick(&[limit(399), on_polygon]), Ok(polygon));
}

#[test]
fn limits_are_limits() {
    let required = required_v2(&offer(vec![terms()]));
    assert!(Choice::pick(&required, &[limit(10_000)]).is_ok());
    assert_eq!(
        Choice::pick(&required, &[limit(9_999)]),
        Err(ChoiceError::TooExpensive {
            price: amount(10_000),
            limit: amount(9_999),
            asset: sample::usdc().address(),
            chain: sample::BASE_SEPOLIA,
        })
    );
    let elsewhere = SpendingLimit {
        chain: octroi_types::ChainId(8453),
        ..limit(10_000)
    };
    let other_token = SpendingLimit {
        asset: sample::seller(),
        ..limit(10_000)
    };
    for limits in [&[elsewhere][..], &[other_token], &[]] {
        assert_eq!(
            Choice::pick(&required, limits),
            Err(ChoiceError::NothingAllowed { offered: 1 })
        );
    }
}

#[test]
fn what_cannot_be_signed_is_not_chosen() {
    let edits: &[(&str, &str, Value)] = &[
        ("scheme", "/scheme", json!("upto")),
        ("network", "/network", json!("solana:abc")),
        ("amount", "/amount", json!("1.5")),
        ("payee", "/payTo", json!("nobody")),
        ("no domain", "/extra", json!({})),
        (
            "empty domain",
            "/extra",
            json!({"name": "", "version": "2"}),
        ),
        ("permit2", "/extra/assetTransferMethod", json!("permit2")),
        (
            "another domain",
            "/extra/verifyingContract",
            json!(sample::seller().to_string()),
        ),
        ("no time", "/maxTimeoutSeconds", json!(0)),
    ];
    for (what, pointer, value) in edits {
        let mut accepted = serde_json::to_value(terms().to_v2()).unwrap();
        accepted["extra"]["assetTransferMethod"] = json!("eip3009");
        accepted["extra"]["verifyingContract"] = accepted["asset"].clone();
        let read = |accepted: &Value| {
            let offered = v2::PaymentRequired {
                accepts: vec![serde_json::from_value(accepted.clone()).unwrap()],
                ..offer(vec![terms()]).payment_required(URL, None)
            };
            Choice::pick(&Required::V2(offered), &[limit(10_000)])
                .map(|choice| choice.terms().clone())
        };
        assert!(read(&accepted).is_ok(), "{what}");
        *accepted.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(
            read(&accepted),
            Err(ChoiceError::NothingAllowed { offered: 1 }),
            "{what}"
        );
    }
}

#[test]
fn windows_are_the_servers_but_never_longer_than_a_day() {
    let window = |seconds: u32, required: fn(&Offer) -> Required| {
        let terms = Terms {
            max_timeout_seconds: seconds,
            ..terms()
        };
        let required = required(&offer(vec![terms]));
        let choice = Choice::pick(&required, &[limit(10_000)]).unwrap();
        let signed = choice
            .sign(&sample::buyer(), NOW, nonce(1), None)
            .authorization;
        (
            signed.valid_after.to_u64().unwrap(),
            signed.valid_before.to_u64().unwrap(),
        )
    };
    assert_eq!(window(300, required_v2), (0, NOW.0 + 300));
    assert_eq!(window(300, required_v1), (NOW.0 - 600, NOW.0 + 300));
    assert_eq!(
        window(u32::MAX, required_v2),
        (0, NOW.0 + WINDOW_SECONDS_MAX)
    );
    // A clock that stands at the epoch does not underflow.
    let required = required_v1(&offer(vec![terms()]));
    let choice = Choice::pick(&required, &[limit(10_000)]).unwrap();
    let signed = choice.sign(&sample::buyer(), UnixSeconds(5), nonce(1), None);
    assert_eq!(signed.authorization.valid_after.to_u64(), Some(0));
}

#[test]
fn identifiers_have_their_alphabet_and_length() {
    for good in ["a".repeat(16), "Z_-9".repeat(32)] {
        assert_eq!(PaymentIdentifier::new(&good).unwrap().expose(), good);
    }
    for bad in [
        "",
        &"a".repeat(15),
        &"a".repeat(129),
        "aaaaaaaaaaaaaaa é",
        "aaaaaaaaaaaaaaa/aa",
    ] {
        assert_eq!(
            PaymentIdentifier::new(bad),
            Err(PaymentIdentifierError),
            "{bad}"
        );
    }
    let id = PaymentIdentifier::new("s3cr3t-s3cr3t-s3cr3t").unwrap();
    assert!(!format!("{id:?}").contains("s3cr3t"));
}

#[test]
fn identifiers_are_read_or_refused() {
    let with = |extensions: Value| {
        let payload = sample::signed(&terms(), sample::authorization());
        let Payment::V2(mut payment) = sample::pay_v2(&terms(), payload) else {
            unreachable!()
        };
        payment.extensions = Some(serde_json::from_value(extensions).unwrap());
        PaymentIdentifier::of(&Payment::V2(payment)).map(|id| id.map(|id| id.expose().to_owned()))
    };
    let key = payment_identifier::KEY;
    let text = "order-0000000000000001";
    assert_eq!(
        with(json!({key: {"info": {"id": text}}})),
        Ok(Some(text.to_owned()))
    );
    for absent in [
        json!({}),
        json!({key: null}),
        json!({key: {"info": {"required": true}}}),
        json!({key: {"info": {"id": null}}}),
        json!({key: {"info": []}}),
    ] {
        assert_eq!(with(absent.clone()), Ok(None), "{absent}");
    }
    for bad in [
        json!(1),
        json!("short"),
        json!(["order-0000000000000001"]),
        json!({}),
    ] {
        assert_eq!(
            with(json!({key: {"info": {"id": bad}}})),
            Err(PaymentIdentifierError),
            "{bad}"
        );
    }
}

#[test]
fn identifiers_are_not_sent_to_servers_that_did_not_declare_them() {
    let offer = Offer::new(vec![terms()], OfferDetails::default()).unwrap();
    let required = required_v2(&offer);
    let choice = Choice::pick(&required, &[limit(10_000)]).unwrap();
    let id = PaymentIdentifier::new("order-0000000000000001").unwrap();
    let signed = choice.sign(&sample::buyer(), NOW, nonce(1), Some(&id));
    let payment = Payment::from_header(Version::V2, signed.header_value.expose()).unwrap();
    assert_eq!(PaymentIdentifier::of(&payment), Ok(None));
}

#[test]
fn an_unreadable_402_is_an_error() {
    assert!(Required::read(Some("%%%"), b"").is_err());
    assert!(Required::read(None, b"{}").is_err());
    assert!(Required::read(None, b"not json").is_err());
}
