//! The whole gate: a real listener, a real store and a real EVM, between a scripted client, a
//! scripted origin and a node that fails as it is told.
#![cfg(test)] // Lets the lints see that everything here is a test.

mod paying;
