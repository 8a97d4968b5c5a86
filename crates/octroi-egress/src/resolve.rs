//! From names to addresses, behind a trait so that tests decide what a name means.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// A running resolution.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns a name into addresses, in the order in which they should be tried.
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `name`, which is in lower case without root dot. No address is an error.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// The operating system's resolver, on tokio's blocking threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}
