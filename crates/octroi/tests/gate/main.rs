//! The whole gate: a real listener, a real store and a real EVM, between a scripted client, a
//! scripted origin and a node that fails as it is told.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod browsers;
mod chain_faults;
mod copies;
mod crash;
mod facilitator;
mod forwarding;
mod kill;
mod leaving;
mod mutation;
mod origin_faults;
mod paths;
mod paying;
mod privacy;
mod process;
mod protocols;
mod refusing;
mod secrets;
mod stranger;
mod trust;
mod unpaid;
mod upgrades;

/// Paywalls of the shop that every test world has.
const ITEM: &str = "/api/x402/pay/shop/item";
const FIRST: &str = "/api/x402/pay/shop/first";
const TREE: &str = "/api/x402/pay/shop/tree";

/// What each of them costs, in the token's smallest unit.
const PRICE: u64 = 10_000;
