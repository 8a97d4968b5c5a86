//! Backups of a gate that sells, and gates that start from them.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use octroi_claim::{PaymentState, WorkState};
use octroi_store_sqlite::SqliteReader;
use octroi_testkit::{Buyer, Client, Fault, Hold, Payment, Reply, Request, eventually};
use octroi_x402::Version;
use serde_json::Value;

use crate::process::GateProcess;
use crate::{COVERED, CREDITED, ITEM, PRICE, RELEASED, SENDS, SERVED};

const NONCE_USED: &str = "invalid_exact_evm_nonce_already_used";
const SHOPPERS: usize = 4;
/// What each of them buys.
const PURCHASES: usize = 8;

async fn octroi(gate: &GateProcess, args: &'static str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_octroi"));
    command
        .args(args.split(' '))
        .current_dir(gate.world.folder())
        .env_clear();
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = ran.await.unwrap();
    assert!(output.status.success(), "{args}: {output:?}");
    output
}

async fn back_up(gate: &GateProcess) {
    octroi(
        gate,
        "backup --config octroi.toml --plain --force octroi.backup",
    )
    .await;
}

/// The gate and its store are lost, and another gate starts with what was backed up.
async fn lose_and_restore(gate: &mut GateProcess) {
    gate.kill();
    octroi(gate, "restore octroi.backup --into restored").await;
    let folder = gate.world.folder();
    for name in ["octroi.db", "octroi.db-wal", "octroi.db-shm"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    std::fs::rename(folder.join("restored/octroi.db"), folder.join("octroi.db")).unwrap();
    std::fs::remove_dir(folder.join("restored")).unwrap();
    gate.restart().await;
}

async fn at_rest(gate: &GateProcess) {
    let books = gate.books_say("all is known", |books| books.open().count() == 0);
    books.await.check_at_rest();
    let reader = SqliteReader::open(gate.world.folder().join("octroi.db")).unwrap();
    reader.audit().await.unwrap();
}

async fn shop(client: Client, buyer: Buyer) -> Vec<Payment> {
    let mut payments = Vec::new();
    for _ in 0..PURCHASES {
        let challenge = client.send(&Request::get(ITEM)).await;
        let payment = buyer.sign(&challenge.required(Version::V2));
        let answer = client.send(&payment.on(Request::get(ITEM))).await;
        assert_eq!((answer.status, answer.text()), (200, "content"));
        payments.push(payment);
    }
    payments
}

/// A payment that was used before, for the same request: what the gate says.
async fn again(gate: &GateProcess, payment: &Payment) -> (u16, String) {
    gate.send(&payment.on(Request::get(ITEM))).await.outcome()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_goes_on_from_a_backup_that_was_made_while_it_sold() {
    let mut gate = GateProcess::start().await;
    gate.world.origin.answer(Reply::ok("content"));
    let shoppers: Vec<_> = (0..SHOPPERS)
        .map(|_| tokio::spawn(shop(gate.client, gate.world.net.buyer())))
        .collect();
    gate.world.origin.called(SHOPPERS * PURCHASES / 2).await;
    back_up(&gate).await;
    let mut payments = Vec::new();
    for shopper in shoppers {
        payments.extend(shopper.await.unwrap());
    }
    // One at least came after it.
    let late = shop(gate.client, gate.world.net.buyer()).await;
    at_rest(&gate).await;
    let before = gate.books().await;
    assert_eq!(gate.paid_units(), before.settled_units());

    lose_and_restore(&mut gate).await;
    at_rest(&gate).await;
    let books = gate.books().await;
    let kept = books.transactions.len();
    assert!(kept >= SHOPPERS * PURCHASES / 2 - SHOPPERS, "{kept}");
    assert!(kept <= SHOPPERS * PURCHASES, "{kept}");
    // What the books know was settled, was: each of these rows is as it was at the end, or as the
    // chain told the restored gate.
    for row in &books.transactions {
        let then = before.transactions.iter().find(|then| then.id == row.id);
        let then = then.expect("a row that there was");
        if row.payment == PaymentState::Settled {
            assert_eq!((row.tx_hash, row.amount), (then.tx_hash, then.amount));
        }
    }
    assert!(books.settled_units() < gate.paid_units());
    // Nothing is given for a payment that was used, whether the books know of it or the chain alone,
    // but for what its payer has left of an answer whose end the books do not know.
    let mut covered = 0;
    for payment in &payments {
        match again(&gate, payment).await {
            (409, code) => assert_eq!(code, "payment_already_used"),
            (402, code) => assert_eq!(code, NONCE_USED),
            (status, code) => {
                assert_eq!((status, &code[..]), (200, ""));
                covered += PRICE;
            }
        }
    }
    assert!(covered <= books.credit_units(), "{covered}");
    for payment in &late {
        assert_eq!(again(&gate, payment).await, (402, NONCE_USED.to_owned()));
    }
    // And it sells, with the next nonces of its wallets.
    let paid = gate.paid_units();
    shop(gate.client, gate.world.net.buyer()).await;
    assert_eq!(gate.paid_units(), paid + PURCHASES as u64 * PRICE);
    at_rest(&gate).await;
}

#[tokio::test]
async fn a_settlement_that_was_under_way_at_the_backup_is_found_on_the_chain() {
    let (mut gate, hold) = (GateProcess::start().await, Hold::new());
    gate.world.origin.answer(Reply::ok("content"));
    let held = hold.clone();
    let rule = gate
        .world
        .node
        .always(SENDS, move || Fault::HoldAnswer(held.clone()));
    let (buyer, request) = (gate.world.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    let mut connection = gate.client.connect().await;
    connection.send(&payment.on(request)).await;
    hold.reached().await;
    assert_eq!(gate.books().await.only().payment, PaymentState::Broadcast);
    back_up(&gate).await;
    drop(rule);
    hold.release();
    assert_eq!(connection.answer().await.text(), "content");
    gate.books_say("it is served", |books| books.states() == [SERVED])
        .await;

    lose_and_restore(&mut gate).await;
    // That it was served is not in the books, so its payer may have more than it paid for.
    let books = gate
        .books_say("it is known", |books| books.states() == [CREDITED])
        .await;
    assert_eq!((books.settled_units(), gate.paid_units()), (PRICE, PRICE));
    let used = again(&gate, &payment).await;
    assert_eq!(used, (409, "payment_already_used".to_owned()));
    shop(gate.client, buyer).await;
    at_rest(&gate).await;
    let books = gate.finish().await;
    assert_eq!(books.states()[..2], [CREDITED, COVERED]);
    assert_eq!(books.states()[2..], [SERVED; PURCHASES - 1]);
}

/// What replaced the settlement after the backup is not in the books: neither its hash nor its bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_that_was_replaced_since_the_backup_is_found_by_its_authorization() {
    let mut gate = GateProcess::start().await;
    gate.world.origin.answer(Reply::ok("content"));
    // What the gate tried to send; nothing arrives before the second fee after the backup.
    let tried: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (trying, known) = (Arc::clone(&tried), Arc::new(AtomicUsize::new(usize::MAX)));
    let known_then = Arc::clone(&known);
    let rule = gate.world.node.rule(move |method, params| {
        if !SENDS.contains(&method) {
            return None;
        }
        let mut tried = trying.lock().unwrap();
        if !tried.contains(&params[0]) {
            tried.push(params[0].clone());
        }
        let arrives = tried.len() > known_then.load(Ordering::SeqCst).saturating_add(1);
        (!arrives).then_some(Fault::Refuse("replacement transaction underpriced"))
    });
    let (buyer, request) = (gate.world.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    let mut connection = gate.client.connect().await;
    connection.send(&payment.on(request)).await;
    eventually("it is tried", async || {
        (!tried.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    back_up(&gate).await;
    known.store(tried.lock().unwrap().len(), Ordering::SeqCst);
    gate.books_say("it is settled", |books| {
        books.only().payment == PaymentState::Settled
    })
    .await;
    let tx_hash = gate.books().await.only().tx_hash;

    lose_and_restore(&mut gate).await;
    let books = gate
        .books_say("it is known", |books| books.states() == [CREDITED])
        .await;
    assert_eq!(books.only().tx_hash, tx_hash);
    assert_eq!((books.settled_units(), gate.paid_units()), (PRICE, PRICE));
    drop(rule);
    shop(gate.client, gate.world.net.buyer()).await;
    at_rest(&gate).await;
    gate.finish().await;
}

#[tokio::test]
async fn a_claim_that_was_settled_after_the_backup_buys_nothing_twice() {
    let (mut gate, hold) = (GateProcess::start().await, Hold::new());
    gate.world.origin.answer(Reply::ok("content").held(&hold));
    let (buyer, request) = (gate.world.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    let mut connection = gate.client.connect().await;
    connection.send(&payment.on(request)).await;
    hold.reached().await;
    let executing = (PaymentState::Claimed, WorkState::Executing);
    assert_eq!(gate.books().await.states(), [executing]);
    back_up(&gate).await;
    hold.release();
    assert_eq!(connection.answer().await.text(), "content");
    gate.world.origin.answer(Reply::ok("content"));

    lose_and_restore(&mut gate).await;
    let books = gate.books().await;
    assert_eq!(books.states(), [RELEASED]);
    // The money is the payee's, and only the chain knows.
    assert_eq!((books.settled_units(), gate.paid_units()), (0, PRICE));
    assert_eq!(again(&gate, &payment).await, (402, NONCE_USED.to_owned()));
    shop(gate.client, buyer).await;
    at_rest(&gate).await;
}
