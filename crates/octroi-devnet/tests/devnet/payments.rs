//! EIP-3009 payments, executed.

use alloy_primitives::{B256, Signature, U256, keccak256, uint};
use proptest::prelude::*;
use serde_json::json;

use crate::support::*;

const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

#[test]
fn a_signed_payment_moves_the_money_and_says_so() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let before = net.tokens(payer.address);
    let authorization = Authorization::new(payer.address, payee.address, 10_000, 1);
    let call = authorization.vrs_call(&payer.sign(authorization.digest()));
    let receipt = net.transact(&settler, token(), call);

    assert_eq!(receipt["status"], "0x1");
    assert_eq!(net.tokens(payee.address), U256::from(10_000));
    assert_eq!(net.tokens(payer.address), before - U256::from(10_000));
    assert!(net.is_used(payer.address, authorization.nonce));
    let logs = receipt["logs"].as_array().unwrap();
    assert_eq!(
        logs[0]["topics"],
        json!([
            topic("AuthorizationUsed(address,bytes32)"),
            payer.address.into_word().to_string(),
            authorization.nonce.to_string(),
        ])
    );
    assert_eq!(
        logs[1]["topics"],
        json!([
            topic("Transfer(address,address,uint256)"),
            payer.address.into_word().to_string(),
            payee.address.into_word().to_string(),
        ])
    );
    assert_eq!(
        U256::from_be_slice(&bytes(&logs[1]["data"])),
        U256::from(10_000)
    );
    assert_eq!(logs.len(), 2);
}

#[test]
fn the_bytes_form_takes_the_same_signature() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let authorization = Authorization::new(payer.address, payee.address, 5, 1);
    let mut signature = payer.sign(authorization.digest()).as_bytes();
    let receipt = net.transact(&settler, token(), authorization.bytes_call(&signature));
    assert_eq!(receipt["status"], "0x1");

    // v must be 27 or 28 by the time it reaches the token.
    let authorization = Authorization::new(payer.address, payee.address, 5, 2);
    signature = payer.sign(authorization.digest()).as_bytes();
    signature[64] -= 27;
    let reason = net.revert(token(), authorization.bytes_call(&signature));
    assert!(reason.ends_with("invalid signature"), "{reason}");
}

#[test]
fn a_replay_is_refused() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let call = payment(&payer, payee.address, 7, 1);
    assert_eq!(
        net.transact(&settler, token(), call.clone())["status"],
        "0x1"
    );
    let reason = net.revert(token(), call.clone());
    assert!(
        reason.ends_with("authorization is used or canceled"),
        "{reason}"
    );
    let receipt = net.transact(&settler, token(), call);
    assert_eq!(receipt["status"], "0x0");
    assert_eq!(receipt["logs"], json!([]));
    assert_eq!(net.tokens(payee.address), U256::from(7));
}

#[test]
fn both_ends_of_the_window_are_strict() {
    let net = Net::new();
    let (payer, payee) = (Wallet::of(2), Wallet::of(77));
    let window = |valid_after, valid_before| {
        let authorization = Authorization {
            valid_after,
            valid_before,
            ..Authorization::new(payer.address, payee.address, 7, 1)
        };
        authorization.vrs_call(&payer.sign(authorization.digest()))
    };
    let early = net.revert(token(), window(START, START + 10));
    assert!(early.ends_with("authorization is not yet valid"), "{early}");
    let late = net.revert(token(), window(0, START));
    assert!(late.ends_with("authorization is expired"), "{late}");
    assert!(net.call(token(), window(START - 1, START + 1)).is_empty());
    // Calls see the present, although no block has been made since.
    net.pass(1);
    let late = net.revert(token(), window(START - 1, START + 1));
    assert!(late.ends_with("authorization is expired"), "{late}");
}

#[test]
fn what_is_not_signed_by_the_payer_is_refused() {
    let net = Net::new();
    let (payer, payee, thief) = (Wallet::of(2), Wallet::of(77), Wallet::of(3));
    let authorization = Authorization::new(payer.address, payee.address, 7, 1);
    let signature = payer.sign(authorization.digest());
    let mirrored = Signature::new(signature.r(), ORDER - signature.s(), !signature.v());
    let dearer = Authorization {
        value: 8,
        ..authorization
    };
    for call in [
        authorization.vrs_call(&thief.sign(authorization.digest())),
        authorization.vrs_call(&mirrored),
        dearer.vrs_call(&signature),
        authorization.bytes_call(&signature.as_bytes()[..64]),
    ] {
        let reason = net.revert(token(), call);
        assert!(reason.ends_with("invalid signature"), "{reason}");
    }
}

#[test]
fn nobody_pays_what_they_do_not_have() {
    let net = Net::new();
    let (settler, poor, payee) = (Wallet::of(1), Wallet::of(50), Wallet::of(77));
    let call = payment(&poor, payee.address, 1, 1);
    let reason = net.revert(token(), call.clone());
    assert!(reason.ends_with("transfer exceeds the balance"), "{reason}");
    // A failed transfer does not use the authorization up.
    assert_eq!(
        net.transact(&settler, token(), call.clone())["status"],
        "0x0"
    );
    let funded = octroi_types::Address(poor.address.into_array());
    net.node
        .fund(funded, octroi_types::Amount::new(1).unwrap(), 0)
        .unwrap();
    assert_eq!(net.transact(&settler, token(), call)["status"], "0x1");
}

#[test]
fn canceling_and_receiving_need_their_own_signatures() {
    let net = Net::new();
    let (payer, payee) = (Wallet::of(2), Wallet::of(3));
    let authorization = Authorization::new(payer.address, payee.address, 7, 1);

    // A payment made out for `receiveWithAuthorization` is the payee's to take.
    let receive = payer.sign(authorization.digest_for(token(), "ReceiveWithAuthorization"));
    let call = authorization.vrs_call_of("receiveWithAuthorization", &receive);
    let reason = net.revert(token(), call.clone());
    assert!(reason.ends_with("caller must be the payee"), "{reason}");
    assert_eq!(net.transact(&payee, token(), call)["status"], "0x1");

    let next = Authorization::new(payer.address, payee.address, 7, 2);
    let message = words(&[
        keccak256("CancelAuthorization(address authorizer,bytes32 nonce)"),
        payer.address.into_word(),
        next.nonce,
    ]);
    let separator = net.call(token(), abi("DOMAIN_SEPARATOR()", &[]));
    let digest = typed_data_digest(B256::from_slice(&separator), keccak256(message));
    let signature = payer.sign(digest);
    let cancel = abi(
        "cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)",
        &[
            payer.address.into_word(),
            next.nonce,
            U256::from(27 + u8::from(signature.v())).into(),
            signature.r().into(),
            signature.s().into(),
        ],
    );
    assert_eq!(net.transact(&payee, token(), cancel)["status"], "0x1");
    let call = next.vrs_call(&payer.sign(next.digest()));
    let reason = net.revert(token(), call);
    assert!(
        reason.ends_with("authorization is used or canceled"),
        "{reason}"
    );
}

#[test]
fn a_batch_settles_all_but_its_bad_item() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let mut calls: Vec<_> = (0..64)
        .map(|salt| (token(), payment(&payer, payee.address, 100, salt)))
        .collect();
    calls[40].1 = calls[39].1.clone();
    let batch = aggregate(&calls);

    let outcome = successes(&net.call(multicall(), batch.clone()));
    assert_eq!(outcome.len(), 64);
    assert!(
        outcome
            .iter()
            .enumerate()
            .all(|(index, done)| *done == (index != 40))
    );

    let receipt = net.transact(&settler, multicall(), batch);
    assert_eq!(receipt["status"], "0x1");
    assert_eq!(receipt["logs"].as_array().unwrap().len(), 63 * 2);
    assert_eq!(net.tokens(payee.address), U256::from(6_300));
}

#[test]
fn a_call_that_may_not_fail_takes_the_batch_down() {
    let net = Net::new();
    let mut batch = aggregate(&[(token(), abi("nothing()", &[]))]);
    // The flag of the first call: selector, offset, length, first offset, target, flag.
    batch[4 + 5 * 32 - 1] = 0;
    let reason = net.revert(multicall(), batch);
    assert!(reason.ends_with("call failed"), "{reason}");
}

#[test]
fn only_the_owner_mints() {
    let net = Net::new();
    let (owner, other) = (Wallet::of(0), Wallet::of(1));
    let mint = abi(
        "mint(address,uint256)",
        &[other.address.into_word(), B256::with_last_byte(9)],
    );
    let before = net.tokens(other.address);
    assert_eq!(net.transact(&other, token(), mint.clone())["status"], "0x0");
    assert_eq!(net.transact(&owner, token(), mint)["status"], "0x1");
    assert_eq!(net.tokens(other.address), before + U256::from(9));
}

#[test]
fn the_domain_is_what_the_constants_say() {
    let net = Net::new();
    let text = |method: &str| {
        let answer = net.call(token(), abi(method, &[]));
        let length = usize::from(answer[63]);
        String::from_utf8(answer[64..64 + length].to_vec()).unwrap()
    };
    assert_eq!(text("name()"), octroi_devnet::TOKEN_NAME);
    assert_eq!(text("version()"), octroi_devnet::TOKEN_VERSION);
    let decimals = net.call(token(), abi("decimals()", &[]));
    assert_eq!(decimals[31], octroi_devnet::TOKEN_DECIMALS);
}

/// What a random user might do with tokens.
#[derive(Debug, Clone)]
enum Step {
    Pay {
        from: u32,
        to: u32,
        value: u64,
        salt: u64,
    },
    Transfer {
        from: u32,
        to: u32,
        value: u64,
    },
    Fund {
        to: u32,
        value: u64,
    },
    Mint {
        to: u32,
        value: u64,
    },
    Reorg {
        depth: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1..6_u32;
    // Often more than anybody has.
    let value = prop_oneof![0..1000_u64, 0..u64::MAX];
    prop_oneof![
        (who.clone(), who.clone(), value.clone(), 0..6_u64).prop_map(|(from, to, value, salt)| {
            Step::Pay {
                from,
                to,
                value,
                salt,
            }
        }),
        (who.clone(), who.clone(), value).prop_map(|(from, to, value)| Step::Transfer {
            from,
            to,
            value
        }),
        (who.clone(), 0..1000_u64).prop_map(|(to, value)| Step::Fund { to, value }),
        (who, 0..1000_u64).prop_map(|(to, value)| Step::Mint { to, value }),
        (1..3_u64).prop_map(|depth| Step::Reorg { depth }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn balances_always_add_up_to_the_supply(steps in prop::collection::vec(step(), 1..25)) {
        let net = Net::new();
        let relay = Wallet::of(0);
        let wallet = |index| Wallet::of(index);
        for step in steps {
            match step {
                Step::Pay { from, to, value, salt } => {
                    let call = payment(&wallet(from), wallet(to).address, value, salt);
                    net.transact(&relay, token(), call);
                }
                Step::Transfer { from, to, value } => {
                    let to = wallet(to).address.into_word();
                    let call = abi("transfer(address,uint256)", &[to, U256::from(value).into()]);
                    net.transact(&wallet(from), token(), call);
                }
                Step::Mint { to, value } => {
                    let to = wallet(to).address.into_word();
                    let call = abi("mint(address,uint256)", &[to, U256::from(value).into()]);
                    net.transact(&relay, token(), call);
                }
                Step::Fund { to, value } => {
                    let to = octroi_types::Address(wallet(to).address.into_array());
                    net.node.fund(to, octroi_types::Amount::new(value).unwrap(), 1).unwrap();
                }
                Step::Reorg { depth } => {
                    let _ = net.node.handle("anvil_reorg", &json!([depth, depth == 1]));
                }
            }
        }
        let sum: U256 = (0..10).map(|index| net.tokens(wallet(index).address)).sum();
        let supply = U256::from_be_slice(&net.call(token(), abi("totalSupply()", &[])));
        prop_assert_eq!(sum, supply);
    }
}
