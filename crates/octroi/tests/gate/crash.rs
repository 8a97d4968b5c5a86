//! A gate under load that is killed again and again, at moments that nobody chose.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use octroi_claim::{PaymentState, WorkState};
use octroi_store::Transaction;
use octroi_testkit::{Buyer, Client, Payment, Reply, Request, nonce};
use octroi_types::B256;
use octroi_x402::Version;
use serde_json::json;

use crate::process::GateProcess;
use crate::{FIRST, ITEM, TREE};

const ROUNDS: usize = 16;
const SHOPPERS: usize = 8;
/// What each shopper buys after the last kill.
const LAST_PURCHASES: usize = 4;

/// Numbers that a seed decides (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % sides as u64).unwrap()
    }
}

/// A buyer that goes on buying, and what happened to it.
struct Shopper {
    buyer: Buyer,
    dice: Dice,
    /// A payment whose answer was lost.
    lost: Option<(Request, Payment)>,
    signed: Vec<Payment>,
    received: Vec<Received>,
}

/// An answer that came whole.
struct Received {
    request: String,
    nonce: B256,
    tx_hash: String,
}

impl Shopper {
    /// Buys until the gate is gone, or so many times.
    async fn shop(mut self, client: Client, times: usize) -> Self {
        for _ in 0..times {
            if self.buy(client).await.is_none() {
                break;
            }
        }
        self
    }

    /// One purchase; none if the gate is gone.
    async fn buy(&mut self, client: Client) -> Option<()> {
        let request = match self.lost.take() {
            // Some repeat what they sent, and some have forgotten and sign anew.
            Some((request, payment)) if self.dice.roll(2) == 0 => {
                return self.pay(client, request, payment).await;
            }
            Some((request, _)) => request,
            None => match self.dice.roll(4) {
                0 => Request::get(FIRST),
                1 => Request::get(&format!("{TREE}/{}", self.dice.roll(3))),
                _ => Request::get(ITEM),
            },
        };
        let challenge = client.try_send(&request).await?;
        assert_eq!(challenge.status, 402, "{}", challenge.text());
        let payment = self.buyer.sign(&challenge.required(Version::V2));
        self.signed.push(payment.clone());
        self.pay(client, request, payment).await
    }

    async fn pay(&mut self, client: Client, request: Request, payment: Payment) -> Option<()> {
        let answer = client.try_send(&payment.on(request.clone())).await;
        let whole = answer.as_ref().is_some_and(|answer| answer.complete);
        if !whole {
            self.lost = Some((request, payment.clone()));
        }
        let answer = answer?;
        if answer.status == 200 && whole {
            let receipt = answer.receipt(Version::V2).expect("a receipt");
            assert!(receipt.success);
            self.received.push(Received {
                request: answer.header("x-request-id").unwrap(),
                nonce: payment.authorization.nonce,
                tx_hash: receipt.transaction,
            });
        }
        Some(())
    }
}

/// An origin that mostly works.
fn script(gate: &GateProcess) {
    let calls = AtomicUsize::new(0);
    gate.world
        .origin
        .answer_with(move |_| match calls.fetch_add(1, Ordering::Relaxed) % 10 {
            2 => Reply::status(500, "sorry"),
            4 => Reply::cut(),
            6 => Reply::stream(200).data("half").broken(),
            8 => Reply::stream(200).data("one").data("two"),
            _ => Reply::ok("content"),
        });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_charged_twice_and_nothing_paid_is_lost_whenever_the_gate_is_killed() {
    let seed = u64::from_le_bytes(nonce().0[..8].try_into().unwrap());
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let mut gate = GateProcess::start().await;
    script(&gate);
    let mut shoppers: Vec<_> = (0..SHOPPERS)
        .map(|_| Shopper {
            buyer: gate.world.net.buyer(),
            dice: Dice(dice.roll(usize::MAX) as u64),
            lost: None,
            signed: Vec::new(),
            received: Vec::new(),
        })
        .collect();
    for round in 0..=ROUNDS {
        let last = round == ROUNDS;
        let times = if last { LAST_PURCHASES } else { usize::MAX };
        let origin = gate.world.origin.clone();
        let enough = origin.calls() + 1 + dice.roll(40);
        let client = gate.client;
        let shopping: Vec<_> = shoppers
            .drain(..)
            .map(|shopper| tokio::spawn(shopper.shop(client, times)))
            .collect();
        if !last {
            origin.called(enough).await;
            // Somewhere between that call and the next one's answer.
            for _ in 0..dice.roll(3_000) {
                tokio::task::yield_now().await;
            }
            gate.kill();
        }
        for shopper in shopping {
            shoppers.push(shopper.await.unwrap());
        }
        if !last {
            gate.restart().await;
        }
    }
    gate.books_say("all is known", |books| books.open().count() == 0)
        .await;
    check(gate, &shoppers).await;
}

async fn check(gate: GateProcess, shoppers: &[Shopper]) {
    let (net, origin) = (Arc::clone(&gate.world.net), gate.world.origin.clone());
    let books = gate.finish().await;
    let rows: HashMap<String, &Transaction> = books
        .transactions
        .iter()
        .map(|row| (row.request.to_string(), row))
        .collect();

    // Each authorization that was used on the chain settled one claim, and there are no others.
    let signed = shoppers.iter().flat_map(|shopper| {
        shopper
            .signed
            .iter()
            .map(|payment| (shopper.buyer.address, payment.authorization.nonce))
    });
    let used = signed
        .filter(|(payer, nonce)| net.is_used(*payer, *nonce))
        .count();
    let settled = books
        .states()
        .iter()
        .filter(|(payment, _)| *payment == PaymentState::Settled)
        .count();
    assert_eq!(used, settled);

    // No work was begun without a claim.
    assert!(origin.calls() <= books.transactions.len());

    let mut answered = HashSet::new();
    let mut credited_too = 0;
    for received in shoppers.iter().flat_map(|shopper| &shopper.received) {
        assert!(
            answered.insert(received.nonce),
            "a payment bought two answers"
        );
        let row = rows[&received.request];
        match (row.payment, row.work) {
            (PaymentState::Settled, WorkState::Delivered) => {
                assert_eq!(
                    Some(&received.tx_hash),
                    row.tx_hash.map(|hash| hash.to_string()).as_ref()
                );
                let receipt = net.rpc("eth_getTransactionReceipt", &json!([received.tx_hash]));
                assert_eq!(receipt["status"], "0x1");
            }
            (PaymentState::Covered, WorkState::Delivered) => assert_eq!(received.tx_hash, ""),
            // Killed after the last byte and before the end was written: the buyer may have more
            // than it paid for, and never less.
            (PaymentState::Settled | PaymentState::Released, WorkState::Broken) => {
                credited_too += 1;
            }
            state => panic!("an answer was given in {state:?}: {row:#?}"),
        }
    }
    assert!(
        credited_too <= ROUNDS * SHOPPERS / 4,
        "{credited_too} answers of {}",
        answered.len()
    );
    assert!(answered.len() > ROUNDS, "only {} answers", answered.len());
    println!(
        "{} payments, {} settled, {} answers, {credited_too} of them credited too, {} calls",
        books.transactions.len(),
        settled,
        answered.len(),
        origin.calls(),
    );
}
