//! The server over real sockets: what reaches a handler, what is refused, and how it ends.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod accept;
mod drain;
mod exchange;
mod gate;
mod http2;
mod limits;
mod pebble;
mod smuggling;
mod tls;
