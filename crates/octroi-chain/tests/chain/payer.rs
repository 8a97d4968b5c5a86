//! What only the chain knows of a payer.

use std::time::Duration;

use futures_util::future::join_all;
use octroi_chain::SettleOutcome;
use octroi_claim::PaymentState;
use octroi_devnet::{Contract, TOKEN_ADDRESS};
use octroi_types::{Address, B256, keccak256};
use octroi_x402::{Counterfactual, Reason};
use secp256k1::{Message, SECP256K1};
use serde_json::json;

use crate::bench::{Bench, PAYEE, PRICE, Signed, amount, payer_address, payer_key, settled};
use crate::node::Fault;

const FACTORY: Address = Address([0xfa; 20]);

/// A wallet contract of a payer, deployed or only foreseen.
struct SmartWallet {
    owner: u32,
    salt: B256,
    address: Address,
}

impl SmartWallet {
    /// Where the factory would put it, with money there already.
    fn foresee(bench: &Bench, owner: u32) -> Self {
        bench
            .net
            .deploy(Contract::SmartWalletFactory, FACTORY)
            .unwrap();
        let salt = B256([owner.try_into().unwrap(); 32]);
        let data = Self::call("walletOf(address,bytes32)", owner, salt);
        let call = json!([{ "to": FACTORY, "data": format!("0x{}", hex::encode(data)) }, "latest"]);
        let word: B256 = bench
            .rpc("eth_call", call)
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let address = Address(*word.0.last_chunk().unwrap());
        bench.net.fund(address, amount(PRICE * 100), 0).unwrap();
        Self {
            owner,
            salt,
            address,
        }
    }

    fn deployed(bench: &Bench, owner: u32) -> Self {
        let wallet = Self::foresee(bench, owner);
        bench.send(3, FACTORY, wallet.deployment());
        assert!(wallet.exists(bench));
        wallet
    }

    fn call(signature: &str, owner: u32, salt: B256) -> Vec<u8> {
        let selector = &keccak256(signature.as_bytes()).0[..4];
        [selector, &payer_address(owner).to_word(), &salt.0].concat()
    }

    fn deployment(&self) -> Vec<u8> {
        Self::call("deploy(address,bytes32)", self.owner, self.salt)
    }

    fn exists(&self, bench: &Bench) -> bool {
        bench.rpc("eth_getCode", json!([self.address, "latest"])) != json!("0x")
    }

    /// A payment by the wallet, signed by whoever should not or should own it.
    fn pay(&self, bench: &Bench, signer: u32, is_wrapped: bool) -> Signed {
        let authorization = bench.authorization(self.address, |_| {});
        let digest = Message::from_digest(bench.token.digest(&authorization).0);
        let (id, rs) = SECP256K1
            .sign_ecdsa_recoverable(digest, &payer_key(signer))
            .serialize_compact();
        let v = 27 + u8::try_from(i32::from(id)).unwrap();
        let mut signature = [&rs[..], &[v]].concat();
        if is_wrapped {
            let calldata = self.deployment();
            signature = Counterfactual {
                factory: FACTORY,
                calldata,
                signature,
            }
            .wrap();
        }
        bench.checked(&authorization, &signature)
    }
}

async fn check(
    running: &crate::bench::Running,
    signed: &Signed,
) -> Result<octroi_types::Amount, Reason> {
    running
        .chain
        .check_payer(&signed.authorization, &signed.terms)
        .await
        .unwrap()
}

#[tokio::test]
async fn many_askers_share_one_answer() {
    let bench = Bench::with(|_, options| options.block_time = Duration::from_secs(600));
    let running = bench.start().await;
    let before = bench.node.count("eth_getCode");
    let payments: Vec<_> = (0..50).map(|_| bench.sign(0)).collect();
    let balances = join_all(payments.iter().map(|signed| check(&running, signed))).await;
    let held = bench.tokens(payer_address(0));
    assert!(balances.iter().all(|balance| *balance == Ok(amount(held))));
    assert_eq!(bench.node.count("eth_getCode") - before, 1);
    // Another payer is another question.
    check(&running, &bench.sign(1)).await.unwrap();
    assert_eq!(bench.node.count("eth_getCode") - before, 2);
    running.kill().await;
}

#[tokio::test]
async fn an_answer_is_believed_for_a_block_and_a_failure_never() {
    let bench = Bench::new();
    let running = bench.start().await;
    let poor = 40;
    let signed = bench.sign(poor);
    assert_eq!(
        check(&running, &signed).await,
        Err(Reason::InsufficientBalance)
    );
    bench
        .net
        .fund(payer_address(poor), amount(PRICE), 0)
        .unwrap();
    crate::node::eventually("the new balance is seen", || async {
        (check(&running, &signed).await == Ok(amount(PRICE))).then_some(())
    })
    .await;
    let lost = bench.node.always("eth_getCode", || Fault::Unreachable);
    let other = bench.sign(1);
    let failure = running
        .chain
        .check_payer(&other.authorization, &other.terms)
        .await;
    assert!(
        matches!(failure, Err(octroi_chain::ChainError::Node(_))),
        "{failure:?}"
    );
    drop(lost);
    check(&running, &other).await.unwrap();
    running.kill().await;
}

#[tokio::test]
async fn a_signature_by_nobody_is_not_the_payers() {
    let bench = Bench::new();
    let running = bench.start().await;
    let authorization = bench.authorization(payer_address(0), |_| {});
    let signed = bench.checked(&authorization, &[7; 65]);
    assert_eq!(
        check(&running, &signed).await,
        Err(Reason::InvalidSignature)
    );
    running.kill().await;
}

#[tokio::test]
async fn a_wallet_contract_decides_by_itself() {
    let bench = Bench::new();
    let wallet = SmartWallet::deployed(&bench, 0);
    let running = bench.start().await;
    let good = wallet.pay(&bench, 0, false);
    assert_eq!(check(&running, &good).await, Ok(amount(PRICE * 100)));
    let forged = wallet.pay(&bench, 1, false);
    assert_eq!(
        check(&running, &forged).await,
        Err(Reason::InvalidSignature)
    );
    settled(running.chain.settle(bench.claim(&good).await).await);
    // One that is deployed already may still come wrapped.
    let wrapped = wallet.pay(&bench, 0, true);
    check(&running, &wrapped).await.unwrap();
    settled(running.chain.settle(bench.claim(&wrapped).await).await);
    assert_eq!(bench.tokens(PAYEE), 2 * PRICE);
    running.kill().await;
}

#[tokio::test]
async fn an_account_that_has_code_is_not_believed_by_its_key() {
    let bench = Bench::new();
    let running = bench.start().await;
    // A delegation (EIP-7702) to a contract that does not answer for signatures.
    bench.rpc("anvil_setCode", json!([payer_address(0), "0x00"]));
    assert_eq!(
        check(&running, &bench.sign(0)).await,
        Err(Reason::InvalidSignature)
    );
    running.kill().await;
}

#[tokio::test]
async fn a_wallet_is_deployed_by_an_allowed_factory_and_then_pays() {
    let bench = Bench::with(|_, options| options.erc6492_factories = vec![FACTORY]);
    let wallet = SmartWallet::foresee(&bench, 0);
    let running = bench.start().await;
    let forged = wallet.pay(&bench, 1, true);
    assert_eq!(
        check(&running, &forged).await,
        Err(Reason::InvalidSignature)
    );
    let signed = wallet.pay(&bench, 0, true);
    assert_eq!(check(&running, &signed).await, Ok(amount(PRICE * 100)));
    assert!(!wallet.exists(&bench), "asking deploys nothing");
    settled(running.chain.settle(bench.claim(&signed).await).await);
    assert!(wallet.exists(&bench));
    assert_eq!(bench.tokens(PAYEE), PRICE);
    let nonces: Vec<_> = bench
        .unfinished()
        .await
        .iter()
        .map(|row| row.nonce)
        .collect();
    assert_eq!(nonces, [0, 1], "the deployment, then the payment");
    running.kill().await;
}

#[tokio::test]
async fn a_wallet_is_not_deployed_for_a_payment_that_would_fail() {
    let bench = Bench::with(|net, options| {
        options.erc6492_factories = vec![FACTORY];
        crate::bench::unsimulated(net, options);
    });
    let wallet = SmartWallet::foresee(&bench, 0);
    let running = bench.start().await;
    let mut signed = wallet.pay(&bench, 0, true);
    signed.authorization.value = amount(PRICE * 101);
    signed.terms.amount = amount(PRICE * 101);
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Refused { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::InsufficientBalance);
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    assert!(!wallet.exists(&bench));
    running.kill().await;
}

#[tokio::test]
async fn no_other_factory_is_called() {
    let bench = Bench::with(|_, options| options.erc6492_factories = vec![TOKEN_ADDRESS]);
    let wallet = SmartWallet::foresee(&bench, 0);
    let running = bench.start().await;
    let signed = wallet.pay(&bench, 0, true);
    assert_eq!(
        check(&running, &signed).await,
        Err(Reason::FactoryNotAllowed)
    );
    let job = bench.claim(&signed).await;
    let outcome = running.chain.settle(job).await;
    assert!(
        matches!(
            outcome,
            SettleOutcome::Refused {
                reason: Reason::FactoryNotAllowed
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(bench.node.count("eth_sendRawTransaction"), 0);
    running.kill().await;
}
