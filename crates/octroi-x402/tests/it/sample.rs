//! One seller, one buyer, one moment.

use std::sync::Arc;

use octroi_types::{Address, Amount, B256, ChainId, UnixSeconds};
use octroi_x402::{
    Authorization, ExactPayload, JsonObject, Payment, SignatureBytes, Terms, Token, VersionTag,
    WindowRules, address_of, sign_authorization, v1, v2,
};
use secp256k1::SecretKey;

/// The moment at which the golden payments were signed.
pub(crate) const NOW: UnixSeconds = UnixSeconds(1_763_769_600);

pub(crate) const BASE_SEPOLIA: ChainId = ChainId(84532);

pub(crate) const RULES: WindowRules = WindowRules {
    settlement_margin_seconds: 30,
    max_window_seconds: octroi_x402::WINDOW_SECONDS_MAX,
};

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

/// The key of the golden vectors, from the documentation of web3.js.
pub(crate) fn buyer() -> SecretKey {
    let digits = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    SecretKey::from_byte_array(hex::decode(digits).unwrap().try_into().unwrap()).unwrap()
}

pub(crate) fn seller() -> Address {
    address("0x209693Bc6afc0C5328bA36FaF03C514EF312287C")
}

pub(crate) fn usdc() -> Arc<Token> {
    Arc::new(Token::new(
        BASE_SEPOLIA,
        address("0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
        "USDC",
        "2",
    ))
}

pub(crate) fn terms() -> Terms {
    Terms {
        token: usdc(),
        pay_to: seller(),
        amount: amount(10_000),
        max_timeout_seconds: 300,
    }
}

pub(crate) fn authorization() -> Authorization {
    Authorization {
        from: address_of(&buyer()),
        to: seller(),
        value: 10_000.into(),
        valid_after: 0.into(),
        valid_before: NOW.plus(300).0.into(),
        nonce: "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
            .parse()
            .unwrap(),
    }
}

pub(crate) fn signed(terms: &Terms, authorization: Authorization) -> ExactPayload {
    let signature = sign_authorization(&buyer(), &terms.token, &authorization);
    with_signature(authorization, signature.to_vec())
}

pub(crate) fn with_signature(authorization: Authorization, signature: Vec<u8>) -> ExactPayload {
    ExactPayload::Eip3009 {
        authorization,
        signature: SignatureBytes::from(signature),
    }
}

pub(crate) fn pay_v2(terms: &Terms, payload: ExactPayload) -> Payment {
    Payment::V2(v2::PaymentPayload {
        x402_version: VersionTag,
        resource: None,
        accepted: terms.to_v2(),
        payload,
        extensions: None,
    })
}

pub(crate) fn pay_v1(terms: &Terms, payload: ExactPayload) -> Payment {
    Payment::V1(v1::PaymentPayload {
        x402_version: VersionTag,
        scheme: "exact".to_owned(),
        network: terms.chain().v1_name().unwrap().to_owned(),
        payload,
    })
}

pub(crate) fn nonce(byte: u8) -> B256 {
    B256([byte; 32])
}

pub(crate) fn object(json: &str) -> JsonObject {
    serde_json::from_str(json).unwrap()
}
