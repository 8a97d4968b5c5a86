//! A payment from its JSON to its verification: what is verified pays our terms, and with any byte
//! changed it is no longer the payer's.
#![no_main]

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use octroi_types::{Address, Amount, B256, ChainId, UnixSeconds, keccak256};
use octroi_x402::{
    Authorization, CheckedAuthorization, ExactPayload, Offer, OfferDetails, PayerCheck, Payment,
    SignatureBytes, Terms, Token, Uint256, Version, WINDOW_SECONDS_MAX, WindowRules, recover,
};

/// When the seeds were signed.
const NOW: UnixSeconds = UnixSeconds(1_763_769_600);
const RULES: WindowRules = WindowRules {
    settlement_margin_seconds: 30,
    max_window_seconds: WINDOW_SECONDS_MAX,
};

static OFFER: LazyLock<Offer> = LazyLock::new(|| {
    let terms = [
        (
            84532,
            "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "USDC",
            10_000,
        ),
        (
            84532,
            "0x808456652fdb597867f38412077A9182bf77359F",
            "EURC",
            9_000,
        ),
        (
            8453,
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            "USD Coin",
            10_000,
        ),
    ]
    .map(|(chain, asset, name, units)| Terms {
        token: Arc::new(Token::new(
            ChainId(chain),
            asset.parse().expect("a token"),
            name,
            "2",
        )),
        pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
            .parse()
            .expect("a payee"),
        amount: Amount::new(units).expect("an amount"),
        max_timeout_seconds: 300,
    });
    Offer::new(terms.to_vec(), OfferDetails::default()).expect("an offer")
});

fuzz_target!(|json: &[u8]| {
    for version in [Version::V1, Version::V2] {
        let Ok(payment) = Payment::from_header(version, &STANDARD.encode(json)) else {
            continue;
        };
        let Ok((terms, checked)) = OFFER.verify(&payment, NOW, &RULES) else {
            continue;
        };
        let ExactPayload::Eip3009 {
            authorization,
            signature,
        } = payment.payload()
        else {
            panic!("nothing else is verified");
        };
        check(version, authorization, terms, &checked);
        let signature = signature.as_slice();
        let no_code = checked.payer_check(false, &[]);
        assert_eq!(no_code.is_ok(), checked.is_recovered());
        if !checked.is_recovered() {
            continue;
        }
        assert_eq!(no_code, Ok(PayerCheck::Proven));
        let signed = signature
            .try_into()
            .ok()
            .and_then(|bytes| recover(bytes, checked.digest));
        assert_eq!(signed, Some(authorization.from));
        // Which byte is changed, and how, is drawn from the input.
        let [at, flip, ..] = keccak256(json).0;
        let (changed, bytes) = changed(authorization, signature, usize::from(at), flip | 1);
        let payload = ExactPayload::Eip3009 {
            authorization: changed,
            signature: SignatureBytes::from(bytes),
        };
        let spoilt = with_payload(payment.clone(), payload);
        if let Ok((_, checked)) = OFFER.verify(&spoilt, NOW, &RULES) {
            assert!(!checked.is_recovered(), "byte {at} does not count");
        }
    }
});

fn check(version: Version, signed: &Authorization, terms: &Terms, checked: &CheckedAuthorization) {
    assert!(OFFER.terms().contains(terms));
    assert_eq!(
        (checked.payer, checked.to, checked.nonce),
        (signed.from, signed.to, signed.nonce)
    );
    assert_eq!(checked.to, terms.pay_to);
    assert_eq!(checked.digest, terms.token.digest(signed));
    assert_eq!(Uint256::from(checked.value.units()), signed.value);
    match version {
        Version::V1 => assert!(checked.value >= terms.amount),
        Version::V2 => assert_eq!(checked.value, terms.amount),
    }
    assert!(checked.is_open(NOW) && checked.is_open(NOW.plus(RULES.settlement_margin_seconds - 1)));
    assert!(checked.valid_before <= NOW.plus(RULES.max_window_seconds));
}

/// One byte of what was signed, or of the signature's `r` and `s`, is another.
fn changed(
    authorization: &Authorization,
    signature: &[u8],
    at: usize,
    flip: u8,
) -> (Authorization, Vec<u8>) {
    let mut authorization = *authorization;
    let mut signature = signature.to_vec();
    let (field, byte) = (at / 32, at % 32);
    let address = |mut address: Address| {
        address.0[byte % 20] ^= flip;
        address
    };
    let number = |number: Uint256| {
        let units = number.to_u64().expect("what is verified fits 64 bits");
        Uint256::from(units ^ u64::from(flip) << (byte % 8 * 8))
    };
    match field {
        0 => authorization.from = address(authorization.from),
        1 => authorization.to = address(authorization.to),
        2 => authorization.value = number(authorization.value),
        3 => authorization.valid_after = number(authorization.valid_after),
        4 => authorization.valid_before = number(authorization.valid_before),
        5 => {
            let B256(mut nonce) = authorization.nonce;
            nonce[byte] ^= flip;
            authorization.nonce = B256(nonce);
        }
        _ => signature[at - 6 * 32] ^= flip,
    }
    (authorization, signature)
}

fn with_payload(payment: Payment, payload: ExactPayload) -> Payment {
    match payment {
        Payment::V1(mut payment) => {
            payment.payload = payload;
            Payment::V1(payment)
        }
        Payment::V2(mut payment) => {
            payment.payload = payload;
            Payment::V2(payment)
        }
    }
}
