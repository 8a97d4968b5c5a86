//! The network as its users see it: signed transactions in, JSON-RPC out.

#![cfg(test)]

mod support;

mod chain;
mod contracts;
mod faults;
mod payments;
mod persistence;
mod pool;
mod rpc;
