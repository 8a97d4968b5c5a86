//! The REST bodies of facilitators.

use octroi_types::ChainId;
use octroi_x402::facilitator::{FacilitatorRequest, SupportedResponse};
use octroi_x402::{DecodeError, Offer, OfferDetails, Reason, Terms, Token, Version, verify_exact};
use serde_json::{Value, json};

use crate::sample::{self, NOW, RULES, authorization, pay_v1, pay_v2, signed, terms};

fn requests() -> [FacilitatorRequest; 2] {
    let payload = signed(&terms(), authorization());
    let offer = Offer::new(vec![terms()], OfferDetails::default()).unwrap();
    let resource = offer.resource("https://a.b/c");
    [
        FacilitatorRequest::new(pay_v2(&terms(), payload.clone()), &terms(), &resource).unwrap(),
        FacilitatorRequest::new(pay_v1(&terms(), payload), &terms(), &resource).unwrap(),
    ]
}

fn body(request: &FacilitatorRequest) -> Value {
    serde_json::from_slice(&request.to_body()).unwrap()
}

fn read(body: &Value) -> Result<FacilitatorRequest, DecodeError> {
    FacilitatorRequest::from_body(body.to_string().as_bytes())
}

#[test]
fn requests_of_both_versions_round_trip_and_verify() {
    for (request, version) in requests().into_iter().zip([2, 1]) {
        let json = body(&request);
        assert_eq!(json["x402Version"], version);
        assert_eq!(json["paymentPayload"]["x402Version"], version);
        assert_eq!(read(&json).as_ref(), Ok(&request));
        assert_eq!(request.terms(), Ok(terms()));
        let checked = verify_exact(request.payment(), &terms(), NOW, &RULES).unwrap();
        assert!(checked.is_recovered());
    }
    let [v2, v1] = requests();
    assert_eq!(
        (v2.network(), v1.network()),
        ("eip155:84532", "base-sepolia")
    );
    assert_eq!(body(&v2)["paymentRequirements"]["amount"], "10000");
    assert_eq!(
        body(&v1)["paymentRequirements"]["maxAmountRequired"],
        "10000"
    );
    assert_eq!(body(&v1)["paymentRequirements"]["description"], "");
}

#[test]
fn our_terms_are_sent_and_not_the_clients() {
    let wishful = Terms {
        amount: sample::amount(1),
        ..terms()
    };
    let payment = pay_v2(&wishful, signed(&wishful, authorization()));
    let offer = Offer::new(vec![terms()], OfferDetails::default()).unwrap();
    let request =
        FacilitatorRequest::new(payment, &terms(), &offer.resource("https://a.b")).unwrap();
    assert_eq!(body(&request)["paymentRequirements"]["amount"], "10000");
}

#[test]
fn versions_must_agree() {
    for request in requests() {
        let good = body(&request);
        let mut outer_missing = good.clone();
        outer_missing.as_object_mut().unwrap().remove("x402Version");
        assert_eq!(
            read(&outer_missing).as_ref(),
            Ok(&request),
            "the old SDK's schema lacks it"
        );
        let mut inner_missing = good.clone();
        inner_missing["paymentPayload"]
            .as_object_mut()
            .unwrap()
            .remove("x402Version");
        assert_eq!(read(&inner_missing), Err(DecodeError::Version));
        for version in [json!(0), json!(3), json!("2")] {
            let mut other = good.clone();
            other["x402Version"] = version.clone();
            assert_eq!(read(&other), Err(DecodeError::Version), "{version}");
            other["paymentPayload"]["x402Version"] = version;
            assert_eq!(read(&other), Err(DecodeError::Version));
        }
    }
    let [v2, v1] = requests();
    let mut mixed = body(&v2);
    mixed["paymentRequirements"] = body(&v1)["paymentRequirements"].clone();
    assert!(matches!(read(&mixed), Err(DecodeError::Shape { .. })));
    assert!(matches!(
        FacilitatorRequest::from_body(b"{"),
        Err(DecodeError::Json { .. })
    ));
    assert_eq!(
        FacilitatorRequest::from_body(b"{}"),
        Err(DecodeError::Version)
    );
    assert_eq!(
        FacilitatorRequest::from_body(&vec![b' '; 70_000]),
        Err(DecodeError::TooLarge { bytes_max: 65_536 })
    );
}

#[test]
fn requirements_that_cannot_be_met_have_a_reason() {
    let cases = [
        ("scheme", json!("upto"), Reason::InvalidScheme),
        ("extra", json!(null), Reason::MissingEip712Domain),
        (
            "extra",
            json!({"name": "USDC"}),
            Reason::MissingEip712Domain,
        ),
        (
            "extra",
            json!({"name": 1, "version": "2"}),
            Reason::MissingEip712Domain,
        ),
        ("network", json!("atlantis:1"), Reason::InvalidNetwork),
        ("asset", json!("0x12"), Reason::InvalidRequirements),
        ("payTo", json!(""), Reason::InvalidRequirements),
        (
            "maxTimeoutSeconds",
            json!(u64::MAX),
            Reason::InvalidRequirements,
        ),
        (
            "extra",
            json!({"name": "USDC", "version": "2", "assetTransferMethod": "permit2"}),
            Reason::UnsupportedPayloadType,
        ),
    ];
    for request in requests() {
        for (key, value, reason) in &cases {
            let mut json = body(&request);
            json["paymentRequirements"][key] = value.clone();
            assert_eq!(read(&json).unwrap().terms(), Err(*reason), "{key} {value}");
        }
    }
    let [v2, _] = requests();
    let mut json = body(&v2);
    json["paymentPayload"]["accepted"]["scheme"] = json!("upto");
    assert_eq!(read(&json).unwrap().terms(), Err(Reason::InvalidScheme));
}

#[test]
fn version_1_cannot_name_every_chain() {
    let arc = Terms {
        token: Token::new(ChainId(5042), sample::seller(), "USDC", "2").into(),
        ..terms()
    };
    let payment = pay_v1(&terms(), signed(&terms(), authorization()));
    let offer = Offer::new(vec![arc.clone()], OfferDetails::default()).unwrap();
    let refused = FacilitatorRequest::new(payment, &arc, &offer.resource("https://a.b"));
    assert_eq!(refused, Err(Reason::InvalidNetwork));
}

#[test]
fn supported_kinds_cover_both_versions_where_they_can() {
    let arc = ChainId(5042);
    let supported = SupportedResponse::exact(&[sample::BASE_SEPOLIA, arc], &[sample::seller()]);
    assert!(supported.covers(Version::V2, sample::BASE_SEPOLIA));
    assert!(supported.covers(Version::V1, sample::BASE_SEPOLIA));
    assert!(supported.covers(Version::V2, arc));
    assert!(!supported.covers(Version::V1, arc));
    assert!(!supported.covers(Version::V2, ChainId(1)));
    let json: Value = serde_json::from_slice(&supported.to_body()).unwrap();
    assert_eq!(
        json,
        json!({
            "kinds": [
                {"x402Version": 2, "scheme": "exact", "network": "eip155:84532"},
                {"x402Version": 2, "scheme": "exact", "network": "eip155:5042"},
                {"x402Version": 1, "scheme": "exact", "network": "base-sepolia"},
            ],
            "extensions": [],
            "signers": {"eip155:*": ["0x209693Bc6afc0C5328bA36FaF03C514EF312287C"]},
        })
    );
    assert_eq!(
        SupportedResponse::from_body(&supported.to_body()),
        Ok(supported)
    );
    let short =
        br#"{"kinds":[{"x402Version":2,"scheme":"exact","network":"eip155:1","extra":null}]}"#;
    assert!(
        SupportedResponse::from_body(short)
            .unwrap()
            .covers(Version::V2, ChainId(1))
    );
    let nulls = br#"{"kinds":[],"extensions":null,"signers":null}"#;
    assert_eq!(
        SupportedResponse::from_body(nulls),
        Ok(SupportedResponse::default())
    );
}
