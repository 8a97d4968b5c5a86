//! Whatever is changed about a valid payment, it buys nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{Payment, Request, Setup, TestGate, VERSIONS};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{ITEM, PRICE};

/// Paths to every field of a payment that says who pays whom what, when and where. What is not
/// among them (the resource, extensions) is the client's own note and never believed.
fn fields(payment: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    for root in [
        "/payload",
        "/accepted",
        "/scheme",
        "/network",
        "/x402Version",
    ] {
        if let Some(value) = payment.pointer(root) {
            leaves(root, value, &mut fields);
        }
    }
    fields
}

fn leaves(path: &str, value: &Value, fields: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                leaves(&format!("{path}/{key}"), value, fields);
            }
        }
        _ => fields.push(path.to_owned()),
    }
}

/// How a field is changed.
#[derive(Debug, Clone)]
enum Change {
    /// Another digit at some place.
    Digit {
        place: usize,
        by: u8,
    },
    /// One digit more or less.
    Longer,
    Shorter,
    /// Something of another kind.
    Kind(usize),
    /// Nothing.
    Gone,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<usize>(), 1_u8..15).prop_map(|(place, by)| Change::Digit { place, by }),
        1 => Just(Change::Longer),
        1 => Just(Change::Shorter),
        1 => (0_usize..6).prop_map(Change::Kind),
        1 => Just(Change::Gone),
    ]
}

/// Changes one field; none if that leaves the same meaning.
fn mutated(payment: &Value, field: &str, change: &Change) -> Option<Value> {
    let mut mutated = payment.clone();
    let (parent, key) = field.rsplit_once('/')?;
    let object = mutated.pointer_mut(parent)?.as_object_mut()?;
    let value = object.get(key)?.clone();
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let changed = match change {
        Change::Gone => {
            object.remove(key);
            return Some(mutated);
        }
        Change::Kind(kind) => [
            json!(null),
            json!(true),
            json!([]),
            json!({}),
            json!(""),
            json!(-1),
        ][*kind]
            .clone(),
        Change::Longer if value.is_number() => json!(value.as_u64()? * 10 + 1),
        Change::Shorter if value.is_number() => json!(value.as_u64()? / 10),
        Change::Digit { by, .. } if value.is_number() => json!(value.as_u64()? + u64::from(*by)),
        Change::Longer => json!(format!("{text}1")),
        Change::Shorter => json!(text.get(..text.len() - 1)?),
        Change::Digit { place, by } => {
            let mut bytes = text.clone().into_bytes();
            // The `0x` of a number is no digit.
            let first = if text.starts_with("0x") { 2 } else { 0 };
            let place = first + place % (bytes.len() - first);
            let digit = (bytes[place] as char).to_digit(16)?;
            let other = char::from_digit((digit + u32::from(*by)) % 16, 16)?;
            bytes[place] = u8::try_from(u32::from(other)).ok()?;
            json!(String::from_utf8(bytes).ok()?)
        }
    };
    if changed == value {
        return None;
    }
    object.insert(key.to_owned(), changed);
    Some(mutated)
}

fn is_refused(runtime: &Runtime, gate: &TestGate, payment: &Payment, json: &Value) {
    let header_value = STANDARD.encode(json.to_string());
    let request = Payment {
        header_value,
        ..payment.clone()
    }
    .on(Request::get(ITEM));
    let answer = runtime.block_on(gate.send(&request));
    assert_eq!(answer.status, 402, "{json:#}");
}

#[test]
fn every_single_field_mutation_is_refused_and_the_origin_is_not_called() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let gate = runtime.block_on(async { Setup::new().await.in_memory().start().await });
    for version in VERSIONS {
        let buyer = gate.net.buyer();
        let payment = runtime.block_on(gate.sign_in(version, &buyer, &Request::get(ITEM)));
        let json: Value =
            serde_json::from_slice(&STANDARD.decode(&payment.header_value).unwrap()).unwrap();
        let fields = fields(&json);
        assert!(fields.len() >= 10, "{fields:?}");
        let tried = AtomicUsize::new(0);
        let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
        let strategy = (any::<prop::sample::Index>(), change());
        runner
            .run(&strategy, |(field, change)| {
                let field = field.get(&fields);
                if let Some(mutated) = mutated(&json, field, &change) {
                    is_refused(&runtime, &gate, &payment, &mutated);
                    tried.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
            .unwrap();
        assert!(tried.load(Ordering::Relaxed) > 200);
        // All of that for one that is good.
        assert_eq!(gate.origin.calls(), usize::from(version != VERSIONS[0]));
        let answer = runtime.block_on(gate.send(&payment.on(Request::get(ITEM))));
        assert_eq!(answer.status, 200);
    }
    let books = runtime.block_on(gate.finish());
    assert_eq!(
        (books.transactions.len(), books.settled_units()),
        (2, 2 * PRICE)
    );
}
