//! The spliced 402 is the serialized 402.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_types::ChainId;
use octroi_x402::{
    EarlierTerms, Offer, OfferDetails, OfferError, Reason, Terms, Token, payment_identifier, v1, v2,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::sample;

/// Arc has no version 1 name.
fn arc() -> Terms {
    Terms {
        token: Arc::new(Token::new(
            ChainId(5_042_002),
            sample::address("0x3600000000000000000000000000000000000000"),
            "Name with \"quotes\"",
            "2",
        )),
        ..sample::terms()
    }
}

fn polygon() -> Terms {
    Terms {
        token: Arc::new(Token::new(
            ChainId(137),
            sample::usdc().address(),
            "USD Coin",
            "2",
        )),
        amount: sample::amount(7),
        ..sample::terms()
    }
}

fn json_of(header: &str) -> String {
    String::from_utf8(STANDARD.decode(header).unwrap()).unwrap()
}

#[test]
fn offers_that_clients_refuse_are_not_made() {
    let none = Offer::new(vec![], OfferDetails::default());
    assert_eq!(none.unwrap_err(), OfferError::NoTerms);
    let instant = Terms {
        max_timeout_seconds: 0,
        ..sample::terms()
    };
    let instant = Offer::new(vec![sample::terms(), instant], OfferDetails::default());
    assert_eq!(instant.unwrap_err(), OfferError::NoTimeout);
}

#[test]
fn the_v2_header_says_what_clients_need() {
    let offer = Offer::new(vec![sample::terms()], OfferDetails::default()).unwrap();
    assert_eq!(
        json_of(&offer.payment_required_header("https://a.b/c?d=\"e\"", None)),
        r#"{"x402Version":2,"resource":{"url":"https://a.b/c?d=\"e\""},"accepts":[{"scheme":"exact","network":"eip155:84532","amount":"10000","asset":"0x036CbD53842c5426634e7929541eC2318f3dCF7e","payTo":"0x209693Bc6afc0C5328bA36FaF03C514EF312287C","maxTimeoutSeconds":300,"extra":{"name":"USDC","version":"2"}}]}"#
    );
}

#[test]
fn the_v1_body_names_only_chains_that_its_clients_know() {
    let details = OfferDetails {
        description: Some("Weather".to_owned()),
        ..OfferDetails::default()
    };
    let offer = Offer::new(vec![arc(), sample::terms(), polygon()], details.clone()).unwrap();
    let body: Value = serde_json::from_slice(&offer.v1_body("https://a.b/c", Some("pay"))).unwrap();
    let networks: Vec<_> = body["accepts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|requirement| requirement["network"].as_str().unwrap())
        .collect();
    assert_eq!(networks, ["base-sepolia", "polygon"]);
    assert_eq!(body["accepts"][0]["resource"], "https://a.b/c");
    assert_eq!(body["accepts"][0]["description"], "Weather");
    assert_eq!(body["accepts"][0]["mimeType"], "");
    assert_eq!(body["accepts"][1]["maxAmountRequired"], "7");

    let nowhere = Offer::new(vec![arc()], details).unwrap();
    assert_eq!(
        String::from_utf8(nowhere.v1_body("https://a.b", None)).unwrap(),
        r#"{"x402Version":1,"accepts":[]}"#
    );
}

#[test]
fn debug_does_not_dump_the_prepared_bytes() {
    let offer = Offer::new(vec![sample::terms()], OfferDetails::default()).unwrap();
    assert!(!format!("{offer:?}").contains("[123"));
}

fn details() -> impl Strategy<Value = OfferDetails> {
    (
        any::<Option<String>>(),
        any::<Option<String>>(),
        any::<bool>(),
    )
        .prop_map(|(description, mime_type, declare)| {
            let mut extensions = octroi_x402::JsonObject::default();
            extensions.0.insert(
                payment_identifier::KEY.to_owned(),
                payment_identifier::declaration(false),
            );
            OfferDetails {
                description,
                mime_type,
                extensions: declare.then_some(extensions),
            }
        })
}

fn url() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\"\\\\/\u{0}-\u{1f}\u{7f}\u{2028}é🦀a]{0,20}",
        Just(String::new()),
        Just("\",\"accepts\":[],\"x\":\"".to_owned()),
    ]
}

proptest! {
    #[test]
    fn splicing_is_serializing(
        url in url(), error in prop::option::of(url()), details in details(), picks in 1_usize..8
    ) {
        let terms: Vec<_> = [sample::terms(), arc(), polygon()]
            .into_iter()
            .enumerate()
            .filter_map(|(bit, terms)| (picks >> bit & 1 == 1).then_some(terms))
            .collect();
        let offer = Offer::new(terms, details).unwrap();
        let error = error.as_deref();

        let header = offer.payment_required_header(&url, error);
        let object = offer.payment_required(&url, error);
        prop_assert_eq!(json_of(&header), serde_json::to_string(&object).unwrap());
        prop_assert_eq!(v2::PaymentRequired::from_header(&header).unwrap(), object);

        let body = offer.v1_body(&url, error);
        let object = offer.payment_required_v1(&url, error);
        prop_assert_eq!(&body, &serde_json::to_vec(&object).unwrap());
        prop_assert_eq!(v1::PaymentRequired::from_body(&body).unwrap(), object);
    }
}

#[test]
fn earlier_terms_are_honoured_in_their_time_and_never_offered() {
    let earlier = Terms {
        amount: sample::amount(5_000),
        ..sample::terms()
    };
    let until = sample::NOW.plus(60);
    let offer = Offer::new(vec![sample::terms()], OfferDetails::default()).unwrap();
    let honouring = offer.clone().honouring(vec![EarlierTerms {
        terms: earlier.clone(),
        honoured_until: until,
    }]);
    let url = "https://octroi.example/x";
    assert_eq!(
        honouring.payment_required_header(url, None),
        offer.payment_required_header(url, None)
    );
    assert_eq!(honouring.v1_body(url, None), offer.v1_body(url, None));

    let half = octroi_x402::Authorization {
        value: 5_000.into(),
        ..sample::authorization()
    };
    let payload = sample::signed(&earlier, half);
    let payments = [
        (
            sample::pay_v2(&earlier, payload.clone()),
            Reason::InvalidRequirements,
        ),
        (sample::pay_v1(&earlier, payload), Reason::InvalidValue),
    ];
    for (payment, refused) in payments {
        let verify = |offer: &Offer, at| {
            let checked = offer.verify(&payment, at, &sample::RULES);
            checked.map(|(terms, checked)| (terms.amount, checked.value))
        };
        let half = sample::amount(5_000);
        assert_eq!(verify(&honouring, sample::NOW), Ok((half, half)));
        let last = octroi_types::UnixSeconds(until.0 - 1);
        assert_eq!(verify(&honouring, last), Ok((half, half)));
        assert_eq!(verify(&honouring, until), Err(refused));
        assert_eq!(verify(&offer, sample::NOW), Err(refused));
    }
}

/// Version 1 does not say which token is meant, and a signature for the other token looks like one of
/// a wallet contract.
#[test]
fn earlier_terms_in_several_tokens_are_told_apart_by_whose_digest_was_signed() {
    let other = Terms {
        token: Arc::new(Token::new(
            sample::BASE_SEPOLIA,
            sample::address("0x808456652fdb597867f38412077A9182bf77359F"),
            "EURC",
            "2",
        )),
        ..sample::terms()
    };
    let payment = sample::pay_v1(&other, sample::signed(&other, sample::authorization()));
    let honoured = |terms: Terms| EarlierTerms {
        terms,
        honoured_until: sample::NOW.plus(60),
    };
    let dear = |terms: Terms| Terms {
        amount: sample::amount(90_000),
        ..terms
    };
    // Both prices went up; the second token is taken no longer.
    for now in [
        vec![dear(sample::terms()), dear(other.clone())],
        vec![sample::terms()],
    ] {
        let offer = Offer::new(now, OfferDetails::default()).unwrap();
        let offer = offer.honouring(vec![honoured(sample::terms()), honoured(other.clone())]);
        let (terms, checked) = offer.verify(&payment, sample::NOW, &sample::RULES).unwrap();
        assert_eq!(terms, &other);
        assert!(checked.is_recovered());
    }
}
