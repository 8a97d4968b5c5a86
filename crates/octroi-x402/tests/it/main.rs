//! The crate through its public surface.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod client;
mod facilitator;
mod golden;
mod matching;
mod mutation;
mod offer;
mod sample;
mod signatures;
mod verify;
mod wire;
