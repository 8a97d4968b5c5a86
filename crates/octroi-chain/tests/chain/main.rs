//! The engine against a real EVM in this process, with a node between them that fails when it is
//! told to.

#![cfg(test)]

mod batch;
mod bench;
mod events;
mod facilitator;
mod fees;
mod flaky;
mod hostile;
mod http;
mod levels;
mod node;
mod payer;
mod reconcile;
mod reorg;
mod restart;
mod settle;
mod start;
