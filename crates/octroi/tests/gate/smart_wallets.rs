//! Payers that are contracts, deployed or not, through the whole gate.

use octroi_testkit::{Payment, Request, Setup, SmartWallet, TestGate};
use octroi_x402::{SettleResponse, VerifyResponse, Version};

use crate::{ITEM, PRICE, SERVED, facilitator, stranger};

const INVALID_SIGNATURE: &str = "invalid_exact_evm_signature";
const NOT_ALLOWED: &str = "eip6492_factory_not_allowed";

/// A gate that calls these factories.
async fn gate(factories: &[&str]) -> TestGate {
    let setup = Setup::new().await.sections(&facilitator::section());
    let setup = setup.network(&format!("erc6492_factories = {factories:?}\n"));
    setup.start().await
}

/// A gate that calls the wallets' factory.
async fn allowing() -> TestGate {
    gate(&[&SmartWallet::FACTORY.to_string()]).await
}

/// A wallet that was deployed by somebody else.
fn deployed(gate: &TestGate) -> SmartWallet {
    let wallet = SmartWallet::foresee(&gate.net, &gate.net.buyer());
    stranger::transact(&gate.net, SmartWallet::FACTORY, wallet.deployment());
    assert!(wallet.exists(&gate.net));
    wallet
}

/// How a payment ends, whichever way it came.
enum Way {
    /// To our own paywall.
    Sale,
    /// Over our facilitator.
    Facilitator,
}

const WAYS: [Way; 2] = [Way::Sale, Way::Facilitator];

async fn terms(gate: &TestGate) -> octroi_x402::client::Required {
    gate.send(&Request::get(ITEM)).await.required(Version::V2)
}

/// Lets a payment through, and names its payer as the receipt does; or says why it is refused.
async fn pay(gate: &TestGate, way: &Way, payment: &Payment) -> Result<String, String> {
    let settled = match way {
        Way::Sale => {
            let answer = gate.send(&payment.on(Request::get(ITEM))).await;
            if answer.status == 402 {
                let refused = answer.required(Version::V2);
                return Err(refused.error().unwrap().to_owned());
            }
            assert_eq!((answer.status, answer.text()), (200, "content"));
            answer.receipt(Version::V2).unwrap()
        }
        Way::Facilitator => {
            let verified = gate.send(&facilitator::asked("verify", payment)).await;
            let verified = VerifyResponse::from_body(&verified.body).unwrap();
            let settled = gate.send(&facilitator::asked("settle", payment)).await;
            let settled: SettleResponse = serde_json::from_slice(&settled.body).unwrap();
            assert_eq!(verified.is_valid, settled.success);
            assert_eq!(verified.invalid_reason, settled.error_reason);
            if let Some(reason) = settled.error_reason {
                return Err(reason);
            }
            settled
        }
    };
    assert!(settled.success && settled.transaction.starts_with("0x"));
    Ok(settled.payer.unwrap())
}

#[tokio::test]
async fn a_deployed_wallet_decides_about_its_payments() {
    let gate = gate(&[]).await;
    for way in &WAYS {
        let wallet = deployed(&gate);
        let terms = terms(&gate).await;
        let forged = wallet.sign_by(&gate.net.buyer(), &terms, false);
        assert_eq!(
            pay(&gate, way, &forged).await,
            Err(INVALID_SIGNATURE.to_owned())
        );
        let paid = pay(&gate, way, &wallet.sign(&terms)).await;
        assert_eq!(paid, Ok(wallet.address.to_string()));
        // One that is there already needs no factory, allowed or not.
        let wrapped = pay(&gate, way, &wallet.sign_undeployed(&terms)).await;
        assert_eq!(wrapped, Ok(wallet.address.to_string()));
    }
    assert_eq!((gate.origin.calls(), gate.paid_units()), (2, 4 * PRICE));
    assert_eq!(gate.finish().await.states(), [SERVED; 4]);
}

#[tokio::test]
async fn a_wallet_that_is_only_foreseen_is_deployed_by_an_allowed_factory() {
    let gate = allowing().await;
    for way in &WAYS {
        let wallet = SmartWallet::foresee(&gate.net, &gate.net.buyer());
        let terms = terms(&gate).await;
        let forged = wallet.sign_by(&gate.net.buyer(), &terms, true);
        assert_eq!(
            pay(&gate, way, &forged).await,
            Err(INVALID_SIGNATURE.to_owned())
        );
        assert!(!wallet.exists(&gate.net), "refusing deploys nothing");
        let paid = pay(&gate, way, &wallet.sign_undeployed(&terms)).await;
        assert_eq!(paid, Ok(wallet.address.to_string()));
        assert!(wallet.exists(&gate.net));
        // From now on it signs as any other.
        let again = pay(&gate, way, &wallet.sign(&terms)).await;
        assert_eq!(again, Ok(wallet.address.to_string()));
    }
    assert_eq!((gate.origin.calls(), gate.paid_units()), (2, 4 * PRICE));
    assert_eq!(gate.finish().await.states(), [SERVED; 4]);
}

#[tokio::test]
async fn no_other_factory_is_called() {
    for factories in [&[][..], &["0x00000000000000000000000000000000000000aa"]] {
        let gate = gate(factories).await;
        let wallet = SmartWallet::foresee(&gate.net, &gate.net.buyer());
        for way in &WAYS {
            let payment = wallet.sign_undeployed(&terms(&gate).await);
            assert_eq!(pay(&gate, way, &payment).await, Err(NOT_ALLOWED.to_owned()));
            // Without the way to deploy it, nobody is there who could have signed.
            let bare = wallet.sign(&terms(&gate).await);
            assert_eq!(
                pay(&gate, way, &bare).await,
                Err(INVALID_SIGNATURE.to_owned())
            );
        }
        assert!(!wallet.exists(&gate.net));
        assert_eq!((gate.origin.calls(), gate.paid_units()), (0, 0));
        assert_eq!(gate.node.count("eth_sendRawTransaction"), 0);
        assert!(gate.finish().await.transactions.is_empty());
    }
}
