//! The crate against origins of every temper, on loopback.
#![cfg(test)]

mod fetch;
mod h2;
mod misbehaviour;
mod origin;
mod policy;
mod pool;
mod streaming;
mod tls;
