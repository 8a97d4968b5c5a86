//! The servers that are measured, each in a process of its own.

mod dev_gate;
mod express;
mod gate;
mod nginx;
mod origin;

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use octroi_interop::{Http, Process, eventually};

pub use dev_gate::DevGate;
pub use express::{Express, PAID_PATH as EXPRESS_PAID_PATH};
pub use gate::{Gate, GateOptions, SITE_HOST};
pub use nginx::Nginx;
pub use origin::Origin;

/// An address that nobody listens on, for servers that cannot say which one they took.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.to_string())
}

/// Waits until `url` is answered with 200, or the process behind it has ended.
async fn ready(process: &Process, url: &str) -> Result<()> {
    let http = Http::new();
    let answered = eventually(url, async || {
        let answer = http.get(url).await.ok();
        Ok(answer.filter(|answer| answer.status == 200).map(drop))
    });
    tokio::select! {
        answered = answered => answered,
        // Matches no line, and so returns only once there will be no more.
        ended = process.line(|_| None::<()>) => ended,
    }
}
