//! What tests of the whole gate are made of.
//!
//! A [`TestGate`] is a real gate on a real socket, put together by the code that `octroi serve`
//! runs. Everything around it is a script: a local chain behind a [`Node`] that lies and fails as
//! told, an [`Origin`] that answers as told and remembers what it saw, [`Buyer`]s who sign, and a
//! [`Client`] that can send any bytes and leave at any moment. What has to wait for a test waits at
//! a [`Hold`]; what a test waits for, it waits for with [`eventually`].
//!
//! A gate that a test started must be [finished](TestGate::finish), which checks the books: they
//! balance, nothing is left half-done that nobody can explain, and the payee has on the chain what
//! the books say.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on ends here, with a message"
)]

mod books;
mod buyer;
mod client;
mod client_h2;
mod gate;
mod hold;
mod http1;
mod net;
mod node;
mod node_http;
mod origin;
mod patience;
mod reply;
mod smart_wallet;
mod world;

pub use books::Books;
pub use buyer::{Buyer, Payment, VERSIONS, nonce};
pub use client::{Answer, BrokeOff, Client, Connection, Request};
pub use client_h2::H2Connection;
pub use gate::{Setup, TestGate};
pub use hold::Hold;
pub use net::{CHAIN, Net, PAYEE, TOKEN, amount};
pub use node::{Fault, InForce, Node};
pub use origin::{Origin, Seen};
pub use patience::{PATIENCE, eventually, within};
pub use reply::Reply;
pub use smart_wallet::SmartWallet;
pub use world::World;
