//! No payment survives a change of any of its fields.

use std::sync::LazyLock;

use octroi_types::{Address, B256};
use octroi_x402::{ExactPayload, JsonObject, Payment, verify_exact, verify_payment};
use proptest::prelude::*;
use serde_json::Value;

use crate::sample::{NOW, RULES, authorization, pay_v1, pay_v2, signed, terms};

/// One change of one field of a payment, without signing again.
#[derive(Clone, Debug)]
enum Mutation {
    From([u8; 20]),
    To([u8; 20]),
    Value(u128),
    ValidAfter(u64),
    ValidBefore(u64),
    Nonce([u8; 32]),
    Signature(usize, u8),
    SignatureCut(usize),
    SignatureGrown(Vec<u8>),
    Scheme(String),
    Network(String),
    Amount(String),
    Asset(String),
    PayTo(String),
    MaxTimeout(u64),
    Extra(&'static str, Option<String>),
}

fn signed_part() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<[u8; 20]>().prop_map(Mutation::From),
        any::<[u8; 20]>().prop_map(Mutation::To),
        any::<u128>().prop_map(Mutation::Value),
        (0_u64..20_000).prop_map(|value| Mutation::Value(value.into())),
        any::<u64>().prop_map(Mutation::ValidAfter),
        (0..NOW.0).prop_map(Mutation::ValidAfter),
        any::<u64>().prop_map(Mutation::ValidBefore),
        (NOW.0..NOW.0 + 86_400).prop_map(Mutation::ValidBefore),
        any::<[u8; 32]>().prop_map(Mutation::Nonce),
        (0_usize..65, 1_u8..=255).prop_map(|(index, flip)| Mutation::Signature(index, flip)),
        (0_usize..65).prop_map(Mutation::SignatureCut),
        prop::collection::vec(any::<u8>(), 1..64).prop_map(Mutation::SignatureGrown),
    ]
}

fn accepted_part() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        any::<String>().prop_map(Mutation::Scheme),
        any::<String>().prop_map(Mutation::Network),
        any::<u64>().prop_map(|id| Mutation::Network(format!("eip155:{id}"))),
        "[0-9]{1,20}".prop_map(Mutation::Amount),
        any::<[u8; 20]>().prop_map(|bytes| Mutation::Asset(Address(bytes).to_string())),
        any::<[u8; 20]>().prop_map(|bytes| Mutation::PayTo(Address(bytes).to_string())),
        any::<u64>().prop_map(Mutation::MaxTimeout),
        (
            prop_oneof![Just("name"), Just("version")],
            any::<Option<String>>()
        )
            .prop_map(|(key, text)| Mutation::Extra(key, text)),
    ]
}

fn apply(mutation: Mutation, payment: &mut octroi_x402::v2::PaymentPayload) {
    let accepted = &mut payment.accepted;
    let ExactPayload::Eip3009 {
        authorization,
        signature,
    } = &mut payment.payload
    else {
        unreachable!()
    };
    let mut bytes = signature.as_slice().to_vec();
    match mutation {
        Mutation::From(from) => authorization.from = Address(from),
        Mutation::To(to) => authorization.to = Address(to),
        Mutation::Value(value) => authorization.value = value.to_string().parse().unwrap(),
        Mutation::ValidAfter(seconds) => authorization.valid_after = seconds.into(),
        Mutation::ValidBefore(seconds) => authorization.valid_before = seconds.into(),
        Mutation::Nonce(nonce) => authorization.nonce = B256(nonce),
        Mutation::Signature(index, flip) => bytes[index] ^= flip,
        Mutation::SignatureCut(length) => bytes.truncate(length),
        Mutation::SignatureGrown(more) => bytes.extend(more),
        Mutation::Scheme(scheme) => accepted.scheme = scheme,
        Mutation::Network(network) => accepted.network = network,
        Mutation::Amount(amount) => accepted.amount = amount,
        Mutation::Asset(asset) => accepted.asset = asset,
        Mutation::PayTo(pay_to) => accepted.pay_to = pay_to,
        Mutation::MaxTimeout(seconds) => accepted.max_timeout_seconds = seconds,
        Mutation::Extra(key, text) => {
            let JsonObject(extra) = accepted.extra.get_or_insert_default();
            match text {
                Some(text) => extra.insert(key.to_owned(), Value::String(text)),
                None => extra.remove(key),
            };
        }
    }
    *signature = bytes.into();
}

static ORIGINAL: LazyLock<Payment> =
    LazyLock::new(|| pay_v2(&terms(), signed(&terms(), authorization())));

fn changed(mutation: Mutation) -> Payment {
    let Payment::V2(mut payment) = ORIGINAL.clone() else {
        unreachable!()
    };
    apply(mutation, &mut payment);
    Payment::V2(payment)
}

/// A payment that differs from the original is refused, or is a question that dies with "the payer
/// has no code". Only another spelling of `v` is the same payment.
fn assert_not_proven(changed: &Payment) {
    match verify_payment(changed, &[terms()], NOW, &RULES) {
        Err(_) => {}
        Ok((_, checked)) if checked.is_recovered() => {
            assert_eq!(
                checked,
                verify_exact(&ORIGINAL, &terms(), NOW, &RULES).unwrap()
            );
        }
        Ok((_, checked)) => assert!(checked.payer_check(false, &[]).is_err()),
    }
}

#[test]
fn every_bit_that_is_signed_counts() {
    let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
    let mut mutations = Vec::new();
    for bit in 0..160 {
        let (mut from, mut to) = (authorization().from.0, authorization().to.0);
        flip(&mut from, bit);
        flip(&mut to, bit);
        mutations.extend([Mutation::From(from), Mutation::To(to)]);
    }
    for bit in 0..256 {
        let mut nonce = authorization().nonce.0;
        flip(&mut nonce, bit);
        mutations.push(Mutation::Nonce(nonce));
    }
    for bit in 0..64 {
        mutations.extend([
            Mutation::Value(10_000 ^ (1 << bit)),
            Mutation::ValidAfter(1 << bit),
            Mutation::ValidBefore((NOW.0 + 300) ^ (1 << bit)),
        ]);
    }
    for index in 0..65 {
        mutations.extend((0..8).map(|bit| Mutation::Signature(index, 1 << bit)));
    }
    for mutation in mutations {
        let v2 = changed(mutation);
        assert_not_proven(&pay_v1(&terms(), v2.payload().clone()));
        assert_not_proven(&v2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_changed_terms_are_accepted(mutation in accepted_part()) {
        let changed = changed(mutation);
        prop_assume!(changed != *ORIGINAL);
        prop_assert!(verify_payment(&changed, &[terms()], NOW, &RULES).is_err());
    }

    #[test]
    fn no_changed_payment_is_proven(mutation in signed_part()) {
        let v2 = changed(mutation);
        prop_assume!(v2 != *ORIGINAL);
        let v1 = pay_v1(&terms(), v2.payload().clone());
        for changed in [v2, v1] {
            assert_not_proven(&changed);
        }
    }
}
