//! The offline checks.

use octroi_types::{Address, Amount, B256, UnixSeconds};
use octroi_x402::{
    Authorization, CheckedAuthorization, ExactPayload, Payment, Reason, Terms, Uint256,
    WindowRules, address_of, match_terms, verify_exact,
};
use proptest::prelude::*;

use crate::sample::{
    self, NOW, RULES, amount, authorization, pay_v1, pay_v2, signed, terms, with_signature,
};

fn check(payment: &Payment) -> Result<CheckedAuthorization, Reason> {
    verify_exact(payment, &terms(), NOW, &RULES)
}

/// Both versions of a payment that the buyer really signed.
fn check_signed(authorization: Authorization) -> [Result<CheckedAuthorization, Reason>; 2] {
    let payload = signed(&terms(), authorization);
    [
        check(&pay_v2(&terms(), payload.clone())),
        check(&pay_v1(&terms(), payload)),
    ]
}

fn both(authorization: Authorization) -> Result<(), Reason> {
    let [v2, v1] = check_signed(authorization);
    assert_eq!(v2, v1);
    v2.map(|checked| assert!(checked.is_recovered()))
}

#[test]
fn a_good_payment_passes_in_both_versions() {
    for checked in check_signed(authorization()) {
        let checked = checked.unwrap();
        assert!(checked.is_recovered());
        assert_eq!(checked.payer, address_of(&sample::buyer()));
        assert_eq!(
            (checked.to, checked.value),
            (sample::seller(), amount(10_000))
        );
        assert_eq!(checked.nonce, authorization().nonce);
    }
    let [v2, v1] = check_signed(authorization());
    let token = sample::usdc();
    assert_eq!(v1.unwrap().identity(&token), v2.unwrap().identity(&token));
}

#[test]
fn the_end_of_the_window() {
    let ends = |seconds: u64| {
        both(Authorization {
            valid_before: seconds.into(),
            ..authorization()
        })
    };
    let (now, margin, day) = (NOW.0, 30, 86_400);
    assert_eq!(ends(now + margin), Ok(()));
    assert_eq!(ends(now + margin - 1), Err(Reason::ValidBefore));
    assert_eq!(ends(now), Err(Reason::ValidBefore));
    assert_eq!(ends(0), Err(Reason::ValidBefore));
    assert_eq!(ends(now + day), Ok(()));
    assert_eq!(ends(now + day + 1), Err(Reason::ValidBefore));
    assert_eq!(ends(u64::MAX), Err(Reason::ValidBefore));
    let beyond = "18446744073709551616".parse().unwrap();
    assert_eq!(
        both(Authorization {
            valid_before: beyond,
            ..authorization()
        }),
        Err(Reason::ValidBefore)
    );
}

#[test]
fn the_end_is_strict_even_without_a_margin() {
    let rules = WindowRules {
        settlement_margin_seconds: 0,
        ..RULES
    };
    for (seconds, expected) in [(NOW.0 + 1, true), (NOW.0, false)] {
        let authorization = Authorization {
            valid_before: seconds.into(),
            ..authorization()
        };
        let payment = pay_v2(&terms(), signed(&terms(), authorization));
        assert_eq!(
            verify_exact(&payment, &terms(), NOW, &rules).is_ok(),
            expected
        );
    }
}

#[test]
fn the_start_of_the_window() {
    let starts = |seconds: u64| {
        both(Authorization {
            valid_after: seconds.into(),
            ..authorization()
        })
    };
    assert_eq!(starts(0), Ok(()));
    assert_eq!(starts(NOW.0 - 1), Ok(()));
    assert_eq!(
        starts(NOW.0),
        Err(Reason::ValidAfter),
        "the token's bound is strict"
    );
    assert_eq!(starts(u64::MAX), Err(Reason::ValidAfter));
    let beyond = "18446744073709551616".parse().unwrap();
    assert_eq!(
        both(Authorization {
            valid_after: beyond,
            ..authorization()
        }),
        Err(Reason::ValidAfter)
    );
}

#[test]
fn a_checked_payment_can_be_checked_again_later() {
    let checked = check(&pay_v2(&terms(), signed(&terms(), authorization()))).unwrap();
    assert!(checked.is_open(NOW));
    assert!(checked.is_open(UnixSeconds(checked.valid_before.0 - 1)));
    assert!(!checked.is_open(checked.valid_before));
    assert!(!checked.is_open(checked.valid_after));
}

#[test]
fn the_value_is_exact_in_version_2_and_at_least_the_price_in_version_1() {
    let pays = |value: Uint256| {
        check_signed(Authorization {
            value,
            ..authorization()
        })
    };
    let [v2, v1] = pays(9_999.into());
    assert_eq!(v2, Err(Reason::ValueMismatch));
    assert_eq!(v1, Err(Reason::InvalidValue));
    let [v2, v1] = pays(10_001.into());
    assert_eq!(v2, Err(Reason::ValueMismatch));
    assert_eq!(v1.unwrap().value, amount(10_001), "what is paid is booked");
    let [_, v1] = pays(Amount::MAX.units().into());
    assert_eq!(v1.unwrap().value, Amount::MAX);
    for huge in [
        "9223372036854775808",
        "18446744073709551616",
        "18446744073709561616", // 2^64 + 10000 would be the price if it wrapped.
        "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    ] {
        let [v2, v1] = pays(huge.parse().unwrap());
        assert_eq!(v2, Err(Reason::ValueMismatch), "{huge}");
        assert_eq!(v1, Err(Reason::InvalidValue), "{huge}");
    }
}

#[test]
fn reasons_come_in_the_order_of_the_reference() {
    let wrong = Authorization {
        to: Address([9; 20]),
        valid_before: NOW.0.into(),
        valid_after: NOW.0.into(),
        value: 1.into(),
        ..authorization()
    };
    let other_chain = Terms {
        token: octroi_x402::Token::new(octroi_types::ChainId(137), Address::ZERO, "a", "b").into(),
        ..terms()
    };
    // Each step repairs the first fault that is left.
    let mut steps: Vec<(Payment, Reason)> = vec![];
    let Payment::V2(mut payment) = pay_v2(&other_chain, with_signature(wrong, vec![])) else {
        unreachable!()
    };
    payment.accepted.scheme = "upto".to_owned();
    steps.push((Payment::V2(payment), Reason::InvalidScheme));
    steps.push((
        pay_v2(&other_chain, with_signature(wrong, vec![])),
        Reason::NetworkMismatch,
    ));
    steps.push((
        pay_v2(&terms(), ExactPayload::Unsupported),
        Reason::UnsupportedPayloadType,
    ));
    steps.push((
        pay_v2(&terms(), with_signature(wrong, vec![])),
        Reason::InvalidSignature,
    ));
    steps.push((
        pay_v2(&terms(), signed(&terms(), wrong)),
        Reason::RecipientMismatch,
    ));
    let wrong = Authorization {
        to: sample::seller(),
        ..wrong
    };
    steps.push((
        pay_v2(&terms(), signed(&terms(), wrong)),
        Reason::ValidBefore,
    ));
    let wrong = Authorization {
        valid_before: (NOW.0 + 60).into(),
        ..wrong
    };
    steps.push((
        pay_v2(&terms(), signed(&terms(), wrong)),
        Reason::ValidAfter,
    ));
    let wrong = Authorization {
        valid_after: 0.into(),
        ..wrong
    };
    steps.push((
        pay_v2(&terms(), signed(&terms(), wrong)),
        Reason::ValueMismatch,
    ));
    for (payment, reason) in steps {
        assert_eq!(check(&payment), Err(reason));
    }
    let right = Authorization {
        value: 10_000.into(),
        ..wrong
    };
    assert!(check(&pay_v2(&terms(), signed(&terms(), right))).is_ok());
}

#[test]
fn terms_are_only_compared() {
    // The client's spelling of the terms never reaches the result.
    let payment = pay_v2(&terms(), signed(&terms(), authorization()));
    let offered = [terms()];
    let found = match_terms(&payment, &offered).unwrap();
    assert!(std::ptr::eq(found[0], &raw const offered[0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_passes_keeps_every_promise(
        value in 9_990_u64..10_010, after in NOW.0 - 5..NOW.0 + 5, before in NOW.0..NOW.0 + 90_000,
        v1 in any::<bool>(), nonce in any::<[u8; 32]>(),
    ) {
        let authorization = Authorization {
            value: value.into(), valid_after: after.into(), valid_before: before.into(),
            nonce: B256(nonce), ..authorization()
        };
        let payload = signed(&terms(), authorization);
        let payment = if v1 { pay_v1(&terms(), payload) } else { pay_v2(&terms(), payload) };
        let value_fits = if v1 { value >= 10_000 } else { value == 10_000 };
        let window = NOW.0 + 30..=NOW.0 + 86_400;
        let expected = value_fits && after < NOW.0 && window.contains(&before);
        let outcome = check(&payment);
        prop_assert_eq!(outcome.is_ok(), expected);
        if let Ok(checked) = outcome {
            prop_assert!(checked.is_recovered() && checked.is_open(NOW));
            prop_assert_eq!(checked.value.units(), value);
        }
    }
}
