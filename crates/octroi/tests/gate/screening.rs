//! Who is on the deny list neither pays nor is paid.

use std::time::Duration;

use octroi_testkit::{
    Answer, Fault, Net, PAYEE, Payment, Reply, Request, Setup, SmartWallet, TestGate, VERSIONS,
};
use octroi_types::Address;
use octroi_x402::client::Required;
use octroi_x402::{SettleResponse, VerifyResponse, Version};

use crate::facilitator::{self, asked};
use crate::metrics::Page;
use crate::{CREDITED, FIRST, ITEM, PRICE, RELEASED, SERVED};

const SECTION: &str = "[screening]\nfile = \"denied.txt\"\n";
/// A payee other than the shop's.
const OTHER: Address = Address([0x0d; 20]);

/// A gate on this chain that turns these away, and settles for others too.
async fn setup(net: Net, denied: &[Address]) -> Setup {
    let lines: Vec<_> = denied.iter().map(Address::to_string).collect();
    let setup = Setup::on(net).await.file("denied.txt", &lines.join("\n"));
    setup.sections(&facilitator::section()).sections(SECTION)
}

/// Puts these on the list of a gate, and starts it again.
async fn deny(gate: &mut TestGate, denied: Address) {
    std::fs::write(gate.folder().join("denied.txt"), denied.to_string()).unwrap();
    gate.restart().await;
}

#[track_caller]
fn is_denied(answer: &Answer) {
    assert_eq!(answer.outcome(), (403, "address_denied".to_owned()));
    assert!(
        answer.text().contains("Nothing was charged"),
        "{}",
        answer.text()
    );
    for version in VERSIONS {
        assert!(answer.receipt(version).is_none());
    }
    assert_eq!(
        answer.header("payment-required"),
        None,
        "nobody signs again"
    );
}

/// What the facilitator says to both questions about a payment: nothing, or why not.
async fn reason(gate: &TestGate, payment: &Payment) -> Option<String> {
    let verified = gate.send(&asked("verify", payment)).await;
    let verified = VerifyResponse::from_body(&verified.body).unwrap();
    let settled = settle(gate, payment).await;
    assert_eq!(verified.is_valid, settled.success);
    assert_eq!(verified.invalid_reason, settled.error_reason);
    settled.error_reason
}

async fn settle(gate: &TestGate, payment: &Payment) -> SettleResponse {
    let settled = gate.send(&asked("settle", payment)).await;
    serde_json::from_slice(&settled.body).unwrap()
}

async fn terms(gate: &TestGate) -> Required {
    gate.send(&Request::get(ITEM)).await.required(Version::V2)
}

#[tokio::test]
async fn a_denied_payer_buys_nothing_and_others_do() {
    let net = Net::new();
    let (denied, other) = (net.buyer(), net.buyer());
    let gate = setup(net, &[denied.address, OTHER]).await.start().await;
    let before = Page::of(&gate).await;
    let request = Request::get(ITEM);
    for version in VERSIONS {
        let payment = gate.sign_in(version, &denied, &request).await;
        for _ in 0..2 {
            is_denied(&gate.send(&payment.on(request.clone())).await);
        }
    }
    assert_eq!(gate.origin.calls(), 0);
    assert!(gate.books().await.transactions.is_empty());
    let refused = ",result=\"refused\",reason=\"denied\"";
    let counted = Page::of(&gate)
        .await
        .above(&before, "octroi_payments_total", refused);
    assert!(counted >= 4.0, "{counted}");

    let answer = gate.buy(&other, &request).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn the_facilitator_settles_neither_from_nor_to_a_denied_address() {
    let net = Net::new();
    let (denied, payer) = (net.buyer(), net.buyer());
    let gate = setup(net, &[denied.address, OTHER]).await.start().await;
    let terms = terms(&gate).await;
    let Required::V2(mut to_other) = terms.clone() else {
        panic!("not what was asked for")
    };
    to_other.accepts[0].pay_to = OTHER.to_string();
    let to_other = Required::V2(to_other);
    for payment in [denied.sign(&terms), payer.sign(&to_other)] {
        let reason = reason(&gate, &payment).await;
        assert_eq!(reason.as_deref(), Some("address_denied"));
    }
    assert_eq!((gate.net.all_tokens(OTHER), gate.paid_units()), (0, 0));
    assert!(gate.books().await.transactions.is_empty());
    assert_eq!(reason(&gate, &payer.sign(&terms)).await, None);
    assert_eq!(gate.paid_units(), PRICE);
    gate.finish().await;
}

#[tokio::test]
async fn a_smart_wallet_is_denied_by_its_own_address_and_not_by_its_owners() {
    let net = Net::new();
    let wallets = [net.buyer(), net.buyer()].map(|owner| {
        let wallet = SmartWallet::foresee(&net, &owner);
        (owner, wallet)
    });
    let [(_, denied), (owner, other)] = &wallets;
    let factory = SmartWallet::FACTORY;
    let setup = Setup::on(net).await.sections(&facilitator::section());
    let (denied_address, owner) = (denied.address, owner.address);
    let gate = setup
        .network(&format!("erc6492_factories = [\"{factory}\"]\n"))
        .sections(&format!(
            "[screening]\naddresses = [\"{denied_address}\", \"{owner}\"]\n"
        ))
        .start()
        .await;
    let request = Request::get(ITEM);
    let payment = denied.sign_undeployed(&terms(&gate).await);
    is_denied(&gate.send(&payment.on(request.clone())).await);
    let reason = reason(&gate, &payment).await;
    assert_eq!(reason.as_deref(), Some("address_denied"));
    assert!(!denied.exists(&gate.net), "refusing deploys nothing");

    let payment = other.sign_undeployed(&terms(&gate).await);
    let answer = gate.send(&payment.on(request)).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

/// A buyer whose payment was claimed before it came onto the list is told what became of that payment.
#[tokio::test]
async fn what_was_paid_before_the_payer_was_denied_is_told_and_nothing_more_is_sold() {
    let mut gate = setup(Net::new(), &[OTHER]).await.start().await;
    let buyer = gate.net.buyer();
    let served = gate.sign(&buyer, &Request::get(ITEM)).await;
    let served = served.on(Request::get(ITEM));
    assert_eq!(gate.send(&served).await.status, 200);
    gate.origin.answer(Reply::status(500, "sorry"));
    let lost = gate.sign(&buyer, &Request::get(FIRST)).await;
    let lost = lost.on(Request::get(FIRST));
    assert!(gate.send(&lost).await.credit().is_some());

    deny(&mut gate, buyer.address).await;
    for paid in [&served, &lost] {
        let answer = gate.send(paid).await;
        assert_eq!(answer.outcome(), (409, "payment_already_used".to_owned()));
        let receipt = answer.receipt(Version::V2).unwrap();
        assert!(receipt.transaction.starts_with("0x"));
    }
    // Not from its credit either.
    is_denied(&gate.buy(&buyer, &Request::get(ITEM)).await);
    let books = gate.finish().await;
    assert_eq!(books.states(), [SERVED, CREDITED]);
    assert_eq!(books.credit_units(), PRICE);
}

/// What was not sent has cost nothing, and does not come again.
#[tokio::test]
async fn a_payment_that_was_released_before_the_payer_was_denied_is_refused() {
    let mut gate = setup(Net::new(), &[OTHER]).await.start().await;
    let buyer = gate.net.buyer();
    let paid = gate.sign(&buyer, &Request::get(ITEM)).await;
    let paid = paid.on(Request::get(ITEM));
    gate.origin.answer(Reply::status(500, "sorry"));
    assert_eq!(gate.send(&paid).await.status, 500);
    deny(&mut gate, buyer.address).await;
    is_denied(&gate.send(&paid).await);
    assert_eq!(gate.paid_units(), 0);
    assert_eq!(gate.finish().await.states(), [RELEASED]);
}

/// Terms that were offered before the restart are honoured, but not to a payee that is denied since.
#[tokio::test]
async fn a_payee_that_was_replaced_and_denied_is_not_paid_and_its_successor_is() {
    let service = |payee: Address| {
        format!(
            r#"
[[service]]
name = "own"
origin = "http://ORIGIN"
pay_to = "{payee}"
[[service.paywall]]
slug = "item"
price = "0.01"
"#
        )
    };
    let mut gate = Setup::new().await.sections(&service(OTHER)).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get("/api/x402/pay/own/item"));
    let to_other = gate.sign(&buyer, &request).await;
    assert_eq!(to_other.authorization.to, OTHER);
    let denied = format!("[screening]\naddresses = [\"{OTHER}\"]\n");
    gate.restart_with(&(service(PAYEE) + &denied)).await;
    let refused = gate.send(&to_other.on(request.clone())).await;
    let terms = refused.required(Version::V2);
    assert_eq!(terms.error(), Some("invalid_payment_requirements"));
    let answer = gate.send(&buyer.sign(&terms).on(request)).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!((gate.net.all_tokens(OTHER), gate.paid_units()), (0, PRICE));
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn a_success_of_before_is_collected_and_a_new_settlement_refused() {
    let setup = setup(Net::new(), &[OTHER]).await.options(|options| {
        options.payments.settle_wait = Duration::from_millis(200);
    });
    let mut gate = setup.start().await;
    let buyer = gate.net.buyer();
    let (payment, next) = (
        buyer.sign(&terms(&gate).await),
        buyer.sign(&terms(&gate).await),
    );
    let unseen = &["eth_getTransactionReceipt", "eth_getLogs"];
    let unseen = gate.node.always(unseen, || Fault::Silent);
    let pending = settle(&gate, &payment).await;
    assert_eq!(pending.error_reason.as_deref(), Some("settlement_pending"));
    drop(unseen);
    gate.books_say("it is settled", |books| books.settled_units() == PRICE)
        .await;

    deny(&mut gate, buyer.address).await;
    let denied = reason(&gate, &next).await;
    assert_eq!(denied.as_deref(), Some("address_denied"));
    assert!(settle(&gate, &payment).await.success);
    let again = settle(&gate, &payment).await;
    assert_eq!(again.error_reason.as_deref(), Some("duplicate_settlement"));
    assert_eq!(gate.finish().await.states(), [SERVED]);
}
