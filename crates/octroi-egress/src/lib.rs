//! The gate's only outgoing HTTP: origins, facilitators, chain nodes and webhooks all go through here.
//!
//! An [`Upstream`] is made once per configured origin and owns a connection pool; [`Upstream::send`]
//! streams a request out and its response back. [`Client::fetch`] is the small-message form on top.
//!
//! What this crate promises, and what its tests hold it to:
//!
//! - **No address is reached that the [`AddressPolicy`] refuses.** The check sits in the connector,
//!   after resolution, for literals and names alike; the socket connects to a checked address and
//!   TLS verifies the original name. Proxy environment variables are never read.
//! - **No request is sent twice.** A request is repeated only when the connection gave it back
//!   untouched, which happens when a pooled connection turns out to be closed. Every other failure
//!   carries [`EgressError::may_have_been_sent`].
//! - **No connection with a doubt on it is used again**: bytes after a response, an abandoned body,
//!   contradictory framing or an HTTP/1.0 peer end it.
//! - **Every wait is bounded**: connect, response head, the gap between body frames, time in the pool.
//!
//! It knows nothing of payments, tenants or configuration files.

mod body;
mod client;
mod connect;
mod error;
mod exchange;
mod fetch;
mod framing;
mod h1;
mod h2;
mod head_wait;
pub mod hop_by_hop;
mod policy;
mod pool;
mod redirect;
mod relay;
mod request_body;
mod resolve;
mod target;
mod tls;
mod transport;
mod upstream;

pub use body::EgressBody;
pub use client::{Client, ClientOptions};
pub use error::{EgressError, Fault, Phase};
pub use fetch::{FetchRequest, FetchResponse};
pub use policy::{AddressPolicy, Refusal, RefusedTarget, check_url};
pub use request_body::{BoxError, RequestBody, RequestBodyError};
pub use resolve::{Resolve, Resolving, SystemResolver};
pub use target::{Host, Scheme, Target, TargetError};
pub use tls::{TlsError, TrustRoots};
pub use upstream::{HostHeader, Protocol, Upstream, UpstreamSpec, UpstreamStats};
