//! The whole gate: a real listener, a real store and a real EVM, between a scripted client, a
//! scripted origin and a node that fails as it is told.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod acme;
mod assets;
mod backup;
mod browsers;
mod chain_faults;
mod copies;
mod counting;
mod crash;
mod facilitator;
mod forwarding;
mod kill;
mod leaving;
mod levels;
mod limits;
mod metrics;
mod mutation;
mod origin_faults;
mod paths;
mod paying;
mod prices;
mod privacy;
mod process;
mod protocols;
mod recall;
mod refusing;
mod remote;
mod screening;
mod secrets;
mod sites;
mod slow_bodies;
mod smart_wallets;
mod starting;
mod stopping;
mod stranger;
mod streams;
mod surfaces;
mod tls;
mod tls_client;
mod told;
mod trust;
mod unpaid;
mod upgrades;
mod uploads;

use octroi_claim::{PaymentState, WorkState};

/// Paywalls of the shop that every test world has.
const ITEM: &str = "/api/x402/pay/shop/item";
const FIRST: &str = "/api/x402/pay/shop/first";
const TREE: &str = "/api/x402/pay/shop/tree";

/// The calls that send a transaction.
const SENDS: &[&str] = &["eth_sendRawTransaction", "eth_sendRawTransactionSync"];

/// How payments end: paid and served; paid, not served, and credited; served from a credit and never
/// sent; given up before it was sent.
const SERVED: (PaymentState, WorkState) = (PaymentState::Settled, WorkState::Delivered);
const CREDITED: (PaymentState, WorkState) = (PaymentState::Settled, WorkState::Broken);
const COVERED: (PaymentState, WorkState) = (PaymentState::Covered, WorkState::Delivered);
const RELEASED: (PaymentState, WorkState) = (PaymentState::Released, WorkState::Broken);

/// What each of them costs, in the token's smallest unit.
const PRICE: u64 = 10_000;
