//! Somebody else who sends transactions: whoever reads a payment header can.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use octroi_testkit::{Buyer, CHAIN, Net, Payment, TOKEN};
use octroi_types::{Address, keccak256};
use octroi_x402::{Authorization, sign_authorization};
use secp256k1::{Message, SECP256K1, SecretKey};
use serde_json::json;

/// Sends a payment's authorization; its transaction hash.
pub(crate) fn send(net: &Net, payment: &Payment) -> String {
    send_authorization(net, &payment.authorization, &signature(payment))
}

/// Lets a buyer's money go elsewhere, by another authorization of the buyer.
pub(crate) fn empty_purse(net: &Net, buyer: &Buyer) {
    send_elsewhere(net, buyer);
    assert_eq!(net.tokens(buyer.address), 0);
}

fn send_elsewhere(net: &Net, buyer: &Buyer) -> String {
    let token = octroi_x402::Token::new(CHAIN, TOKEN, "USDC", "2");
    let authorization = Authorization {
        from: buyer.address,
        to: Address([0xaa; 20]),
        value: net.tokens(buyer.address).into(),
        valid_after: 0.into(),
        valid_before: u64::MAX.into(),
        nonce: octroi_testkit::nonce(),
    };
    let signature = sign_authorization(buyer.key(), &token, &authorization);
    send_authorization(net, &authorization, &signature)
}

fn signature(payment: &Payment) -> Vec<u8> {
    use base64::Engine as _;
    let json = base64::engine::general_purpose::STANDARD
        .decode(&payment.header_value)
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let digits = json["payload"]["signature"].as_str().unwrap();
    hex::decode(digits.trim_start_matches("0x")).unwrap()
}

fn send_authorization(net: &Net, authorization: &Authorization, signature: &[u8]) -> String {
    let Authorization {
        from,
        to,
        value,
        valid_after,
        valid_before,
        nonce,
    } = authorization;
    let number = |number: &octroi_x402::Uint256| amount_word(number.to_u64().unwrap());
    let selector = &keccak256(
        b"transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,\
          bytes32)",
    )
    .0[..4];
    let v = u64::from(signature[64]);
    let arguments = [
        from.to_word(),
        to.to_word(),
        number(value),
        number(valid_after),
        number(valid_before),
        nonce.0,
        amount_word(if v < 27 { v + 27 } else { v }),
        signature[..32].try_into().unwrap(),
        signature[32..64].try_into().unwrap(),
    ];
    transact(net, TOKEN, [selector, arguments.as_flattened()].concat())
}

fn amount_word(units: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&units.to_be_bytes());
    word
}

/// A call by the stranger; its transaction hash.
pub(crate) fn transact(net: &Net, to: Address, data: Vec<u8>) -> String {
    let stranger = net.stranger();
    let key = SecretKey::from_byte_array(*stranger.secret_key.expose()).unwrap();
    let transaction = TxEip1559 {
        chain_id: CHAIN.0,
        nonce: net.sent_by(stranger.address),
        gas_limit: 1_000_000,
        max_fee_per_gas: 1_000_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: alloy_primitives::TxKind::Call(to.0.into()),
        input: data.into(),
        ..TxEip1559::default()
    };
    let message = Message::from_digest(transaction.signature_hash().0);
    let (parity, compact) = SECP256K1
        .sign_ecdsa_recoverable(message, &key)
        .serialize_compact();
    let odd = i32::from(parity) == 1;
    let signature = alloy_primitives::Signature::from_bytes_and_parity(&compact, odd);
    let raw = format!(
        "0x{}",
        hex::encode(transaction.into_signed(signature).encoded_2718())
    );
    let hash = net.rpc("eth_sendRawTransaction", &json!([raw]));
    if net
        .rpc("eth_getTransactionReceipt", &json!([hash]))
        .is_null()
    {
        net.mine(1);
    }
    let receipt = net.rpc("eth_getTransactionReceipt", &json!([hash]));
    assert_eq!(receipt["status"], "0x1", "{receipt:#}");
    hash.as_str().unwrap().to_owned()
}
