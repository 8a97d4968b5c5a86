//! Which terms a payment is meant for.

use std::sync::Arc;

use octroi_types::ChainId;
use octroi_x402::{Payment, Reason, Terms, Token, match_terms, v2, verify_payment};
use serde_json::json;

use crate::sample::{self, NOW, RULES, amount, authorization, pay_v1, pay_v2, signed};

/// Another token on the same chain.
fn euro(units: u64) -> Terms {
    Terms {
        token: Arc::new(Token::new(
            sample::BASE_SEPOLIA,
            sample::address("0x808456652fdb597867f38412077A9182bf77359F"),
            "EURC",
            "2",
        )),
        amount: amount(units),
        ..sample::terms()
    }
}

fn dollars(units: u64) -> Terms {
    Terms {
        amount: amount(units),
        ..sample::terms()
    }
}

fn accepted(edit: impl FnOnce(&mut v2::PaymentRequirements)) -> Payment {
    let terms = sample::terms();
    let payload = signed(&terms, authorization());
    let Payment::V2(mut payment) = pay_v2(&terms, payload) else {
        unreachable!()
    };
    edit(&mut payment.accepted);
    Payment::V2(payment)
}

fn matched(payment: &Payment) -> Result<(), Reason> {
    let terms = [sample::terms()];
    match_terms(payment, &terms).map(|candidates| assert_eq!(candidates, [&terms[0]]))
}

#[test]
fn equal_terms_match_whatever_their_spelling() {
    assert_eq!(matched(&accepted(|_| {})), Ok(()));
    assert_eq!(
        matched(&accepted(|terms| terms.asset.make_ascii_lowercase())),
        Ok(())
    );
    let upper = |text: &str| format!("0x{}", text[2..].to_uppercase());
    assert_eq!(
        matched(&accepted(|terms| terms.pay_to = upper(&terms.pay_to))),
        Ok(())
    );
    let more = json!({"name": "USDC", "version": "2", "note": {"a": 1}, "paymentFlow": "x"});
    let more = serde_json::from_value(more).unwrap();
    assert_eq!(matched(&accepted(|terms| terms.extra = Some(more))), Ok(()));
}

#[test]
fn any_changed_term_does_not() {
    type Edit = fn(&mut v2::PaymentRequirements);
    let refused: &[(&str, Edit, Reason)] = &[
        (
            "scheme",
            |t| t.scheme = "upto".into(),
            Reason::InvalidScheme,
        ),
        ("case", |t| t.scheme = "EXACT".into(), Reason::InvalidScheme),
        (
            "chain",
            |t| t.network = "eip155:8453".into(),
            Reason::NetworkMismatch,
        ),
        (
            "v1 name",
            |t| t.network = "base-sepolia".into(),
            Reason::NetworkMismatch,
        ),
        (
            "zero",
            |t| t.network = "eip155:084532".into(),
            Reason::NetworkMismatch,
        ),
        (
            "solana",
            |t| t.network = "solana:5eykt".into(),
            Reason::NetworkMismatch,
        ),
        (
            "cheaper",
            |t| t.amount = "9999".into(),
            Reason::InvalidRequirements,
        ),
        (
            "dearer",
            |t| t.amount = "10001".into(),
            Reason::InvalidRequirements,
        ),
        (
            "huge",
            |t| t.amount = "9".repeat(50),
            Reason::InvalidRequirements,
        ),
        (
            "no number",
            |t| t.amount = "1e4".into(),
            Reason::InvalidRequirements,
        ),
        (
            "asset",
            |t| t.asset = t.pay_to.clone(),
            Reason::InvalidRequirements,
        ),
        ("no asset", |t| t.asset.clear(), Reason::InvalidRequirements),
        (
            "payee",
            |t| t.pay_to = t.asset.clone(),
            Reason::InvalidRequirements,
        ),
        (
            "timeout",
            |t| t.max_timeout_seconds += 1,
            Reason::InvalidRequirements,
        ),
        ("no extra", |t| t.extra = None, Reason::InvalidRequirements),
    ];
    for (what, edit, reason) in refused {
        assert_eq!(matched(&accepted(edit)), Err(*reason), "{what}");
    }
}

#[test]
fn our_extra_must_be_contained() {
    for extra in [
        r#"{"name":"USD Coin","version":"2"}"#,
        r#"{"name":"USDC","version":"1"}"#,
        r#"{"name":"USDC","version":2}"#,
        r#"{"name":"USDC"}"#,
        r#"{"version":"2"}"#,
        "{}",
    ] {
        let payment = accepted(|terms| terms.extra = Some(sample::object(extra)));
        assert_eq!(
            matched(&payment),
            Err(Reason::InvalidRequirements),
            "{extra}"
        );
    }
}

#[test]
fn version_2_finds_its_terms_among_many() {
    let terms = [dollars(1), euro(10_000), dollars(10_000), dollars(20_000)];
    for expected in &terms {
        let payment = pay_v2(expected, signed(expected, authorization()));
        assert_eq!(match_terms(&payment, &terms), Ok(vec![expected]));
    }
}

#[test]
fn version_1_is_matched_by_payee_and_value() {
    let other_payee = Terms {
        pay_to: sample::usdc().address(),
        ..dollars(10_000)
    };
    let terms = [
        dollars(5_000),
        other_payee.clone(),
        dollars(10_000),
        dollars(20_000),
    ];
    let best = |value: u64, to| {
        let authorization = octroi_x402::Authorization {
            value: value.into(),
            to,
            ..authorization()
        };
        let payment = pay_v1(&terms[0], signed(&terms[0], authorization));
        let candidates = match_terms(&payment, &terms).unwrap();
        assert_eq!(candidates.len(), terms.len());
        (candidates[0].amount.units(), candidates[0].pay_to)
    };
    let us = sample::seller();
    assert_eq!(best(10_000, us), (10_000, us));
    assert_eq!(
        best(12_000, us),
        (10_000, us),
        "the dearest that is covered"
    );
    assert_eq!(best(6_000, us), (5_000, us));
    assert_eq!(
        best(1, us),
        (5_000, us),
        "the cheapest when nothing is covered"
    );
    assert_eq!(best(u64::MAX, us), (20_000, us));
    assert_eq!(
        best(10_000, other_payee.pay_to),
        (10_000, other_payee.pay_to)
    );
}

#[test]
fn version_1_needs_a_known_name_that_is_offered() {
    let terms = sample::terms();
    let Payment::V1(payment) = pay_v1(&terms, signed(&terms, authorization())) else {
        unreachable!()
    };
    for network in ["base", "eip155:84532", "BASE-SEPOLIA", "", "atlantis"] {
        let payment = Payment::V1(octroi_x402::v1::PaymentPayload {
            network: network.to_owned(),
            ..payment.clone()
        });
        let refused = match_terms(&payment, std::slice::from_ref(&terms));
        assert_eq!(refused, Err(Reason::NetworkMismatch), "{network}");
    }
}

#[test]
fn version_1_tells_tokens_of_equal_price_apart_by_the_signature() {
    let offered = [dollars(10_000), euro(10_000)];
    for meant in &offered {
        let payment = pay_v1(meant, signed(meant, authorization()));
        let (terms, checked) = verify_payment(&payment, &offered, NOW, &RULES).unwrap();
        assert_eq!(terms, meant);
        assert!(checked.is_recovered());
        assert_eq!(checked.digest, meant.token.digest(&authorization()));
    }
    // A third token's signature is nobody's: it stays a question, for the best terms.
    let third = Terms {
        token: Arc::new(Token::new(ChainId(84532), sample::seller(), "X", "1")),
        ..sample::terms()
    };
    let payment = pay_v1(&third, signed(&third, authorization()));
    let (terms, checked) = verify_payment(&payment, &offered, NOW, &RULES).unwrap();
    assert_eq!(terms, &offered[0]);
    assert!(!checked.is_recovered());
}
