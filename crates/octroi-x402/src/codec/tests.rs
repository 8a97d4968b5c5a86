use proptest::prelude::*;

use super::ambiguity::{check_unambiguous, is_plainly_unambiguous};
use super::*;

fn walk(json: &str) -> Result<(), DecodeError> {
    check_unambiguous(json.as_bytes())
}

fn nested(depth: usize) -> String {
    format!(
        "{}1{}",
        "[{\"a\":".repeat(depth / 2),
        "}]".repeat(depth / 2)
    )
}

#[test]
fn either_alphabet_with_or_without_padding() {
    // 0xfb 0xff needs `+/` in one alphabet and `-_` in the other.
    for text in ["+/8=", "+/8", "-_8=", "-_8", "  -_8\t"] {
        assert_eq!(decode_base64(text), Ok(vec![0xfb, 0xff]), "{text}");
    }
    for text in ["+_8=", "-/8", "+/8==", "+/9", "a", "é", "a b="] {
        assert_eq!(decode_base64(text), Err(DecodeError::Base64), "{text}");
    }
    assert_eq!(decode_base64(""), Ok(vec![]));
    assert_eq!(encode_base64(&[0xfb, 0xff]), "+/8=");
}

#[test]
fn sizes_are_bounded() {
    let longest = "A".repeat(HEADER_BYTES_MAX);
    assert_eq!(
        decode_base64(&longest).map(|bytes| bytes.len()),
        Ok(12 * 1024)
    );
    assert_eq!(
        decode_base64(&format!("{longest}AAAA")),
        Err(DecodeError::TooLarge {
            bytes_max: HEADER_BYTES_MAX
        })
    );
    let body = format!("\"{}\"", "a".repeat(BODY_BYTES_MAX));
    assert_eq!(
        from_body::<String>(body.as_bytes()),
        Err(DecodeError::TooLarge {
            bytes_max: BODY_BYTES_MAX
        })
    );
}

#[test]
fn depth_is_bounded() {
    assert_eq!(walk(&nested(JSON_DEPTH_MAX)), Ok(()));
    assert_eq!(walk(&nested(JSON_DEPTH_MAX + 2)), Err(DecodeError::TooDeep));
    // Far beyond serde_json's own limit, and never closed.
    assert_eq!(walk(&"[".repeat(10_000)), Err(DecodeError::TooDeep));
}

#[test]
fn duplicate_keys_are_refused_at_any_level_and_in_any_spelling() {
    for json in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"\u0061":3}"#,
        r#"{"x":[{"y":{"":0,"":0}}]}"#,
    ] {
        assert_eq!(walk(json), Err(DecodeError::DuplicateKey), "{json}");
    }
    assert_eq!(
        walk(r#"{"a":{"a":1},"b":{"a":1},"A":[{"a":1},{"a":1}]}"#),
        Ok(())
    );
}

#[test]
fn what_is_not_json_is_told_with_its_position_only() {
    for json in [
        "",
        "{",
        "{\"secret\":}",
        "nul",
        "[1,]",
        "{} {}",
        "\"\u{1}\"",
        "1e999",
    ] {
        let error = walk(json).unwrap_err();
        assert!(matches!(error, DecodeError::Json { .. }), "{json}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
    assert!(matches!(
        check_unambiguous(b"\"\xff\""),
        Err(DecodeError::Json { .. })
    ));
    // Nor is what nobody reads.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Nothing {}
    assert!(matches!(
        from_json::<Nothing>(b"{\"ignored\":\"\xff\"}"),
        Err(DecodeError::Json { .. })
    ));
}

#[test]
fn errors_never_repeat_the_payload() {
    #[derive(Debug, Deserialize)]
    struct Target {
        #[expect(dead_code, reason = "only its type matters")]
        number: u8,
    }
    let error = from_json::<Target>(br#"{"number":"s3cr3t"}"#).unwrap_err();
    assert!(matches!(error, DecodeError::Shape { line: 1, .. }));
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

#[test]
fn versions_are_read_from_outside_or_inside() {
    for (json, expected) in [
        (r#"{"x402Version":2}"#, Ok(2)),
        (
            r#"{"x402Version":1,"paymentPayload":{"x402Version":1}}"#,
            Ok(1),
        ),
        (r#"{"paymentPayload":{"x402Version":1}}"#, Ok(1)),
        (
            r#"{"x402Version":null,"paymentPayload":{"x402Version":2}}"#,
            Ok(2),
        ),
        (
            r#"{"x402Version":2,"paymentPayload":{"x402Version":1}}"#,
            Err(DecodeError::Version),
        ),
        (
            r#"{"x402Version":2,"paymentPayload":{}}"#,
            Err(DecodeError::Version),
        ),
        (r#"{"x402Version":"2"}"#, Err(DecodeError::Version)),
        (r#"{"x402Version":2.0}"#, Err(DecodeError::Version)),
        (r#"{"x402Version":258}"#, Err(DecodeError::Version)),
        ("{}", Err(DecodeError::Version)),
        ("[]", Err(DecodeError::Version)),
    ] {
        assert_eq!(peek_version(json.as_bytes()), expected, "{json}");
    }
}

#[test]
fn debug_of_an_open_object_shows_keys_only() {
    let object: JsonObject = from_json(br#"{"info":{"id":"s3cr3t"}}"#).unwrap();
    assert_eq!(format!("{object:?}"), r#"{"info"}"#);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON of few letters, so that keys meet, spelled in several ways.
fn colliding_json() -> impl Strategy<Value = String> {
    let text = || {
        let letters = [
            "a", "b", "\\u0061", "\\\"", "\\\\", ":", "{", "]", ",", " ", "é",
        ];
        prop::collection::vec(prop::sample::select(letters.to_vec()), 0..3)
            .prop_map(|letters| format!("\"{}\"", letters.concat()))
    };
    let space = || prop::sample::select(vec!["", " ", "\n\t"]);
    let leaf = prop_oneof![text(), Just("1.5e3".to_owned()), Just("null".to_owned())];
    leaf.prop_recursive(5, 60, 5, move |inner| {
        let entry = (text(), space(), space(), inner.clone())
            .prop_map(|(key, before, after, value)| format!("{key}{before}:{after}{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            prop::collection::vec(entry, 0..5)
                .prop_map(|items| format!("{{{}}}", items.join(", "))),
        ]
    })
}

#[test]
fn payments_as_clients_write_them_are_plain() {
    let json =
        r#"{"x402Version":2,"accepted":{"extra":{"name":"USDC"}},"payload":{"signature":"0x"}}"#;
    assert!(is_plainly_unambiguous(json.as_bytes()));
    // What is not plain may be good all the same.
    let escaped = r#"{"resource":{"url":"a\/b"}}"#;
    assert!(!is_plainly_unambiguous(escaped.as_bytes()));
    assert_eq!(walk(escaped), Ok(()));
    let wide: Vec<_> = (0..100).map(|key| format!("\"{key}\":0")).collect();
    let wide = format!("{{{}}}", wide.join(","));
    assert!(!is_plainly_unambiguous(wide.as_bytes()));
    assert_eq!(walk(&wide), Ok(()));
    assert!(!is_plainly_unambiguous(
        nested(JSON_DEPTH_MAX + 2).as_bytes()
    ));
}

proptest! {
    #[test]
    fn nothing_ambiguous_is_plain(json in colliding_json()) {
        prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
        let walked = walk(&json);
        prop_assert!(walked.is_ok() || !is_plainly_unambiguous(json.as_bytes()), "{}", json);
        let read = from_json::<Value>(json.as_bytes());
        prop_assert_eq!(read.map(|_| ()), walked);
    }

    #[test]
    fn headers_round_trip(value in any_json()) {
        prop_assert_eq!(from_header::<Value>(&to_header(&value)), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let walked = check_unambiguous(&bytes).is_ok();
        let parsed = serde_json::from_slice::<Value>(&bytes).is_ok();
        // The walk refuses whatever serde_json refuses.
        prop_assert!(parsed || !walked);
    }
}
