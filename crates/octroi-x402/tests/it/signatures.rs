//! Kinds of signatures, and what decides about them.

use octroi_types::{Address, B256};
use octroi_x402::{
    CheckedAuthorization, Counterfactual, PayerCheck, Reason, Signature, address_of, recover,
    sign_authorization, verify_exact,
};

use crate::sample::{self, NOW, RULES, authorization, pay_v2, terms, with_signature};

const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

fn genuine() -> [u8; 65] {
    sign_authorization(&sample::buyer(), &sample::usdc(), &authorization())
}

fn check(signature: &[u8]) -> Result<CheckedAuthorization, Reason> {
    let payment = pay_v2(
        &terms(),
        with_signature(authorization(), signature.to_vec()),
    );
    verify_exact(&payment, &terms(), NOW, &RULES)
}

/// The mirror image: `s` becomes `n - s`, `v` flips.
fn malleated() -> [u8; 65] {
    let mut signature = genuine();
    let mut borrow = 0_i16;
    for index in (0..32).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(signature[32 + index]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + index] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    signature[64] = 55 - signature[64];
    signature
}

fn wrapped(factory: Address, signature: &[u8]) -> Vec<u8> {
    Counterfactual {
        factory,
        calldata: vec![1, 2, 3],
        signature: signature.to_vec(),
    }
    .wrap()
}

#[test]
fn v_is_normalised() {
    let standard = genuine();
    let expected = check(&standard).unwrap().signature;
    let Signature::Eoa { v, .. } = expected else {
        panic!("recovered");
    };
    assert_eq!(v, standard[64]);
    let mut raw = standard;
    raw[64] -= 27;
    assert_eq!(check(&raw).unwrap().signature, expected);
}

#[test]
fn the_other_v_is_somebody_else() {
    let mut signature = genuine();
    signature[64] = 55 - signature[64];
    assert!(recover(&signature, check(&signature).unwrap().digest).is_some());
    for v in [55 - genuine()[64], 2, 3, 26, 29, 30, 255] {
        signature[64] = v;
        let checked = check(&signature).unwrap();
        assert_eq!(
            checked.signature,
            Signature::Contract(signature.to_vec()),
            "v = {v}"
        );
        assert_eq!(
            checked.payer_check(false, &[]),
            Err(Reason::InvalidSignature),
            "v = {v}"
        );
    }
}

#[test]
fn a_high_s_is_refused_although_it_recovers() {
    let digest = sample::usdc().digest(&authorization());
    assert_eq!(
        recover(&malleated(), digest),
        Some(address_of(&sample::buyer()))
    );
    assert_eq!(check(&malleated()), Err(Reason::InvalidSignature));
}

#[test]
fn numbers_off_the_curve_are_not_signatures_of_an_account() {
    let mut zero_r = genuine();
    zero_r[..32].fill(0);
    let mut zero_s = genuine();
    zero_s[32..64].fill(0);
    let mut order_r = genuine();
    order_r[..32].copy_from_slice(&ORDER);
    let mut order_s = genuine();
    order_s[32..64].copy_from_slice(&ORDER);
    let mut full = genuine();
    full[..64].fill(0xff);
    for signature in [zero_r, zero_s, order_r, order_s, full] {
        assert_eq!(recover(&signature, B256([7; 32])), None);
        // One-owner Safes sign with such bytes, so it is the wallet's question.
        let checked = check(&signature).unwrap();
        assert_eq!(checked.signature, Signature::Contract(signature.to_vec()));
        assert_eq!(
            checked.payer_check(false, &[]),
            Err(Reason::InvalidSignature)
        );
    }
}

#[test]
fn nothing_is_no_signature() {
    assert_eq!(check(&[]), Err(Reason::InvalidSignature));
}

#[test]
fn an_account_without_code_is_proven_and_one_with_code_is_asked() {
    let checked = check(&genuine()).unwrap();
    assert_eq!(checked.payer_check(false, &[]), Ok(PayerCheck::Proven));
    // EIP-7702: the delegate decides, about the same 65 bytes.
    assert_eq!(
        checked.payer_check(true, &[]),
        Ok(PayerCheck::AskWallet {
            signature: genuine().to_vec().into()
        })
    );
}

#[test]
fn contract_wallets_are_asked_and_never_believed() {
    for length in [1, 64, 66, 96, 500] {
        let signature = vec![0x42; length];
        let checked = check(&signature).unwrap();
        assert!(!checked.is_recovered());
        assert_eq!(
            checked.payer_check(true, &[]),
            Ok(PayerCheck::AskWallet {
                signature: signature.into()
            })
        );
        assert_eq!(
            checked.payer_check(false, &[]),
            Err(Reason::InvalidSignature)
        );
    }
}

#[test]
fn counterfactual_wallets_need_an_allowed_factory() {
    let (good, other) = (Address([1; 20]), Address([2; 20]));
    let signature = wrapped(good, b"inner");
    let checked = check(&signature).unwrap();
    assert!(!checked.is_recovered());
    assert_eq!(
        checked.payer_check(false, &[]),
        Err(Reason::FactoryNotAllowed)
    );
    assert_eq!(
        checked.payer_check(false, &[other]),
        Err(Reason::FactoryNotAllowed)
    );
    assert_eq!(
        checked.payer_check(false, &[other, good]),
        Ok(PayerCheck::DeployFirst {
            factory: good,
            calldata: &[1, 2, 3],
            signature: b"inner"
        })
    );
    // Deployed meanwhile: the inner signature counts and no factory is called.
    assert_eq!(
        checked.payer_check(true, &[]),
        Ok(PayerCheck::AskWallet {
            signature: b"inner".into()
        })
    );
    // Even if the inner signature is the payer's own, a wrapper asks for a deployment.
    assert!(!check(&wrapped(good, &genuine())).unwrap().is_recovered());
}

#[test]
fn malformed_wrappers_are_refused() {
    let mut signature = wrapped(Address([1; 20]), b"inner");
    signature[63] = 0x61;
    assert_eq!(check(&signature), Err(Reason::FailedToParseSignature));
    assert_eq!(
        check(&wrapped(Address::ZERO, b"inner")),
        Err(Reason::FailedToParseSignature)
    );
    let magic = &wrapped(Address([1; 20]), b"")[192 - 32..];
    assert!(Counterfactual::is_wrapped(&magic[magic.len() - 32..]));
    assert_eq!(
        check(&magic[magic.len() - 32..]),
        Err(Reason::FailedToParseSignature)
    );
    // 65 bytes that end in the magic are a wrapper too, and a malformed one.
    let mut short = vec![0; 33];
    short.extend_from_slice(&magic[magic.len() - 32..]);
    assert_eq!(check(&short), Err(Reason::FailedToParseSignature));
}

#[test]
fn signatures_are_not_shown() {
    let digits = hex::encode(genuine());
    for signature in [
        genuine().to_vec(),
        vec![0x42; 70],
        wrapped(Address([1; 20]), b"inner"),
    ] {
        let checked = check(&signature).unwrap();
        for shown in [
            format!("{checked:?}"),
            format!("{:?}", checked.payer_check(true, &[])),
        ] {
            assert!(
                !shown.contains(&digits[..16]) && !shown.contains("66, 66"),
                "{shown}"
            );
            assert!(!shown.contains("105, 110"), "{shown}");
        }
    }
}
