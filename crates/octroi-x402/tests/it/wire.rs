//! Reading what other implementations write, and writing what they read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use octroi_types::B256;
use octroi_x402::{
    DecodeError, ExactPayload, Payment, Reason, RemoteReason, SettleResponse, VerifyResponse,
    Version, address_of, v1, v2,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::golden::{V1_HEADER, V2_HEADER};
use crate::sample;

fn header(json: &Value) -> String {
    STANDARD.encode(json.to_string())
}

fn v2_json() -> Value {
    serde_json::from_slice(&STANDARD.decode(V2_HEADER).unwrap()).unwrap()
}

fn read_v2(json: &Value) -> Result<Payment, DecodeError> {
    Payment::from_header(Version::V2, &header(json))
}

#[test]
fn every_base64_that_clients_write_is_read() {
    let expected = Payment::from_header(Version::V2, V2_HEADER).unwrap();
    // A character above ASCII makes the two alphabets differ.
    let mut json = v2_json();
    json["resource"]["description"] = json!("Wetter für Köln ☔ ???>>>");
    let text = json.to_string();
    let special = read_v2(&json).unwrap();
    assert_ne!(special, expected);
    for encoded in [
        STANDARD.encode(&text),
        URL_SAFE.encode(&text),
        URL_SAFE_NO_PAD.encode(&text),
        STANDARD.encode(&text).trim_end_matches('=').to_owned(),
    ] {
        assert_eq!(
            Payment::from_header(Version::V2, &encoded).as_ref(),
            Ok(&special)
        );
    }
    assert!(URL_SAFE.encode(&text).contains(['-', '_']));
    assert_eq!(
        special.to_header(),
        special.to_header().replace(['-', '_'], "")
    );
}

#[test]
fn null_is_absent() {
    let mut json = v2_json();
    json["extensions"] = Value::Null;
    json["resource"] = Value::Null;
    let Ok(Payment::V2(payment)) = read_v2(&json) else {
        panic!("nulls must read");
    };
    assert_eq!((payment.extensions, payment.resource), (None, None));

    let mut json = v2_json();
    for key in ["description", "mimeType", "serviceName", "tags", "iconUrl"] {
        json["resource"][key] = Value::Null;
    }
    json["accepted"]["extra"] = Value::Null;
    let Ok(Payment::V2(payment)) = read_v2(&json) else {
        panic!("nulls must read");
    };
    assert_eq!(payment.accepted.extra, None);
    let resource = payment.resource.clone().unwrap();
    assert_eq!((resource.description, resource.tags), (None, None));
    let written = serde_json::to_string(&payment).unwrap();
    assert!(!written.contains("null"), "{written}");

    let requirement = json!({
        "scheme": "exact", "network": "base", "maxAmountRequired": "1", "resource": "https://a.b",
        "description": null, "mimeType": null, "outputSchema": null, "payTo": "0x", "asset": "0x",
        "maxTimeoutSeconds": 60, "extra": null,
    });
    let body = json!({"x402Version": 1, "error": null, "accepts": [requirement]});
    let read = v1::PaymentRequired::from_body(body.to_string().as_bytes()).unwrap();
    let written = String::from_utf8(read.to_body()).unwrap();
    assert!(
        !written.contains("null") && !written.contains("outputSchema"),
        "{written}"
    );
    assert!(
        written.contains(r#""description":"","mimeType":"""#),
        "{written}"
    );

    let answer = VerifyResponse::from_body(
        br#"{"isValid":true,"invalidReason":null,"payer":null,"extensions":null,"extra":null}"#,
    )
    .unwrap();
    assert_eq!((answer.is_valid, answer.reason()), (true, None));
    let answer =
        SettleResponse::from_body(br#"{"success":false,"transaction":null,"network":null}"#)
            .unwrap();
    assert_eq!(
        (answer.transaction.as_str(), answer.network.as_str()),
        ("", "")
    );
    assert_eq!(answer.transaction_hash(), None);
}

#[test]
fn unknown_fields_are_ignored_everywhere() {
    let mut json = v2_json();
    for pointer in ["", "/resource", "/accepted", "/accepted/extra", "/payload"] {
        json.pointer_mut(pointer).unwrap()["somethingNew"] = json!({"a": [1, null]});
    }
    json["payload"]["authorization"]["somethingNew"] = json!(1.5);
    let Ok(Payment::V2(payment)) = read_v2(&json) else {
        panic!("unknown fields must read");
    };
    assert!(matches!(payment.payload, ExactPayload::Eip3009 { .. }));
}

#[test]
fn required_fields_are_required_and_numbers_are_strings() {
    for (pointer, key) in [
        ("/accepted", "scheme"),
        ("/accepted", "amount"),
        ("/accepted", "payTo"),
        ("/accepted", "maxTimeoutSeconds"),
        ("/payload", "signature"),
        ("/payload/authorization", "from"),
        ("/payload/authorization", "value"),
        ("/payload/authorization", "nonce"),
        ("", "accepted"),
        ("", "payload"),
    ] {
        let mut json = v2_json();
        let object = json.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.remove(key).unwrap();
        let error = read_v2(&json).unwrap_err();
        assert!(
            matches!(error, DecodeError::Shape { .. }),
            "{pointer}/{key}: {error}"
        );
        assert_eq!(error.reason(), Reason::InvalidPayload);
        json.pointer_mut(pointer).unwrap()[key] = Value::Null;
        assert!(read_v2(&json).is_err(), "{pointer}/{key} null");
    }
    for (key, values) in [
        (
            "value",
            [
                json!(10000),
                json!("1e4"),
                json!("0x2710"),
                json!("-1"),
                json!(""),
            ],
        ),
        (
            "validBefore",
            [json!(1), json!("1.0"), json!(" 1"), json!("+1"), json!([])],
        ),
        (
            "nonce",
            [
                json!("0x12"),
                json!("12"),
                json!(1),
                json!(""),
                json!("0xzz"),
            ],
        ),
        (
            "from",
            [
                json!("0x12"),
                json!("vitalik.eth"),
                json!(1),
                json!(""),
                json!({}),
            ],
        ),
    ] {
        for value in values {
            let mut json = v2_json();
            json["payload"]["authorization"][key] = value.clone();
            assert!(read_v2(&json).is_err(), "{key} {value}");
        }
    }
    for signature in [json!("1234"), json!("0x123"), json!("0xzz"), json!(1)] {
        let mut json = v2_json();
        json["payload"]["signature"] = signature.clone();
        assert!(read_v2(&json).is_err(), "{signature}");
    }
}

#[test]
fn the_header_fixes_the_version() {
    assert_eq!(
        Payment::from_header(Version::V1, V2_HEADER),
        Err(DecodeError::Version)
    );
    assert_eq!(
        Payment::from_header(Version::V2, V1_HEADER),
        Err(DecodeError::Version)
    );
    assert_eq!(DecodeError::Version.reason(), Reason::InvalidVersion);
    for version in [json!(3), json!("2"), json!(null), json!(2.5)] {
        let mut json = v2_json();
        json["x402Version"] = version.clone();
        assert_eq!(read_v2(&json), Err(DecodeError::Version), "{version}");
    }
}

#[test]
fn two_meanings_are_refused() {
    let text = v2_json().to_string();
    for (once, twice) in [
        (r#""value":"10000""#, r#""value":"10000","value":"1""#),
        (r#""value":"10000""#, r#""value":"10000","v\u0061lue":"1""#),
        (r#""name":"USDC""#, r#""name":"USD Coin","name":"USDC""#),
        (r#""x402Version":2"#, r#""x402Version":2,"x402Version":2"#),
        (
            r#""description":"Weather""#,
            r#""description":"a","description":"b""#,
        ),
    ] {
        assert!(text.contains(once), "{once}");
        let doubled = STANDARD.encode(text.replacen(once, twice, 1));
        assert_eq!(
            Payment::from_header(Version::V2, &doubled),
            Err(DecodeError::DuplicateKey),
            "{twice}"
        );
    }
}

#[test]
fn deep_and_long_headers_are_refused() {
    let mut json = v2_json();
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    json["extensions"] = json!({ "deep": deep });
    assert_eq!(read_v2(&json), Err(DecodeError::TooDeep));

    let mut json = v2_json();
    json["extensions"] = json!({ "long": "x".repeat(20_000) });
    assert!(matches!(read_v2(&json), Err(DecodeError::TooLarge { .. })));
}

#[test]
fn other_payloads_are_read_as_unsupported() {
    for payload in [
        json!({"signature": "0x12", "permit2Authorization": {"from": "0x"}}),
        json!({"transaction": "AQAAAA"}),
        json!({}),
        json!({"authorization": null, "signature": "0x"}),
    ] {
        let mut json = v2_json();
        json["payload"] = payload.clone();
        let payment = read_v2(&json).unwrap();
        assert_eq!(payment.payload(), &ExactPayload::Unsupported, "{payload}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let mut json = v2_json();
    json["extensions"] = json!({"payment-identifier": {"info": {"id": "s3cr3t-s3cr3t-s3cr3t"}}});
    let payment = read_v2(&json).unwrap();
    let shown = format!("{payment:?}");
    let signature = json["payload"]["signature"].as_str().unwrap();
    assert!(
        !shown.contains(&signature[2..20]) && !shown.contains("s3cr3t"),
        "{shown}"
    );
    assert!(!shown.contains("[85, 233"), "{shown}");
    json["payload"]["authorization"]["value"] = json!("s3cr3t");
    let error = read_v2(&json).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

#[test]
fn receipts_have_strings_where_clients_want_them() {
    let payer = address_of(&sample::buyer());
    let hash = B256([0xab; 32]);
    let settled = SettleResponse::settled(Version::V2, sample::BASE_SEPOLIA, hash, payer, None);
    assert_eq!(
        String::from_utf8(settled.to_body()).unwrap(),
        format!(
            r#"{{"success":true,"payer":"{payer}","transaction":"{hash}","network":"eip155:84532"}}"#
        )
    );
    assert_eq!(settled.transaction_hash(), Some(hash));
    let failed = SettleResponse::failed(
        Version::V1,
        sample::BASE_SEPOLIA,
        Reason::DuplicateSettlement,
        None,
        None,
    );
    let json: Value = serde_json::from_slice(&failed.to_body()).unwrap();
    assert_eq!(json["transaction"], "");
    assert_eq!(json["network"], "base-sepolia");
    assert_eq!(json["errorReason"], "duplicate_settlement");
    assert_eq!(
        failed.reason(),
        Some(RemoteReason::Known(Reason::DuplicateSettlement))
    );
    for receipt in [settled, failed] {
        assert_eq!(
            SettleResponse::from_header(&receipt.to_header()),
            Ok(receipt)
        );
    }
    // A facilitator that says neither yes nor no is not believed.
    assert!(SettleResponse::from_body(br#"{"transaction":"0x1","network":"base"}"#).is_err());
    assert!(VerifyResponse::from_body(br#"{"invalidReason":"x"}"#).is_err());
}

#[test]
fn a_foreign_way_to_pay_does_not_hide_the_others() {
    let required = json!({
        "x402Version": 2,
        "resource": {"url": "https://a.b/c"},
        "accepts": [
            {"scheme": "exact", "network": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "amount": "1",
             "asset": "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "payTo": "abc",
             "maxTimeoutSeconds": 60, "extra": {"feePayer": "xyz"}},
            sample::terms().to_v2(),
        ],
    });
    let read = v2::PaymentRequired::from_header(&header(&required)).unwrap();
    assert_eq!(read.accepts.len(), 2);
    assert_eq!(read.accepts[1], sample::terms().to_v2());
    assert_eq!(
        v2::PaymentRequired::from_header(&read.to_header()),
        Ok(read)
    );
}

#[test]
fn a_version_1_body_may_share_its_object_with_another_protocol() {
    let body = json!({
        "type": "https://paymentauth.org/problems/payment-required", "title": "Payment Required",
        "status": 402, "x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [],
    });
    let read = v1::PaymentRequired::from_body(body.to_string().as_bytes()).unwrap();
    assert_eq!(read.error.as_deref(), Some("X-PAYMENT header is required"));
    assert_eq!(
        v1::PaymentRequired::from_body(b"{}"),
        Err(DecodeError::Version)
    );
    assert!(matches!(
        v1::PaymentRequired::from_body(b"<html>"),
        Err(DecodeError::Json { .. })
    ));
}

proptest! {
    #[test]
    fn payments_round_trip(
        from in any::<[u8; 20]>(), value in any::<u128>(), after in any::<u64>(),
        before in any::<u64>(), nonce in any::<[u8; 32]>(),
        signature in prop::collection::vec(any::<u8>(), 0..300),
        url in prop::option::of(any::<String>()), key in any::<String>(), text in any::<String>(),
    ) {
        let authorization = octroi_x402::Authorization {
            from: octroi_types::Address(from),
            value: value.to_string().parse().unwrap(),
            valid_after: after.into(),
            valid_before: before.into(),
            nonce: B256(nonce),
            ..sample::authorization()
        };
        let payload = sample::with_signature(authorization, signature);
        let v1 = sample::pay_v1(&sample::terms(), payload.clone());
        prop_assert_eq!(Payment::from_header(Version::V1, &v1.to_header()), Ok(v1));
        let Payment::V2(mut v2) = sample::pay_v2(&sample::terms(), payload) else { unreachable!() };
        v2.resource = url.map(|url| v2::ResourceInfo { url, ..Default::default() });
        let mut extensions = octroi_x402::JsonObject::default();
        extensions.0.insert(key, Value::String(text));
        v2.extensions = Some(extensions);
        let v2 = Payment::V2(v2);
        prop_assert_eq!(Payment::from_header(Version::V2, &v2.to_header()), Ok(v2));
    }

    #[test]
    fn damaged_headers_never_panic(index in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        for (version, text) in [(Version::V2, V2_HEADER), (Version::V1, V1_HEADER)] {
            let mut bytes = text.as_bytes().to_vec();
            let at = index.index(bytes.len());
            bytes[at] = byte;
            let text = String::from_utf8(bytes).unwrap();
            if let Ok(payment) = Payment::from_header(version, &text) {
                prop_assert_eq!(payment.version(), version);
            }
        }
    }
}
