//! The origin as a process.

use std::env;
use std::process::Command;

use anyhow::Result;
use octroi_interop::Service;

/// A running [`crate::origin`].
#[derive(Debug)]
pub struct Origin(Service);

impl Origin {
    /// Starts this very program as the origin.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("origin");
        Ok(Self(Service::start("the origin", command).await?))
    }

    /// Its address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.url()
    }
}
