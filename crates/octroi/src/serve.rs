//! `octroi serve`: the gate from a configuration file.

use anyhow::Context as _;
use octroi::wire::{WireOptions, Wired, wire};
use octroi_config::{Config, LogConfig, LogFormat as ConfiguredFormat, LogLevel};
use octroi_telemetry::{LogFormat, LogOptions, init_logging};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::ServeArgs;
use crate::output;

/// Runs until it is told to stop.
pub(crate) async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let loaded = Config::load(&args.config, &octroi_config::process_environment())?;
    start_logging(&loaded.config.log)?;
    if !loaded.warnings.problems.is_empty() {
        output::note(&loaded.warnings.to_string());
    }
    let for_people = loaded.config.log.format == ConfiguredFormat::Text;
    let wired = wire(loaded.config, WireOptions::new()?).await?;
    for address in wired.local_addresses() {
        info!(address = %address, "listening");
    }
    // Whatever the level of the log is; programs that read it as JSON get nothing else.
    if let (true, Some(address)) = (for_people, wired.local_addresses().first()) {
        output::note(&format!("octroi is listening on {address}"));
    }
    until_stopped(wired).await;
    Ok(())
}

/// Runs a gate until SIGTERM or SIGINT; a second signal ends the process at once.
pub(crate) async fn until_stopped(wired: Wired) {
    let shutdown = CancellationToken::new();
    let told = shutdown.clone();
    let signals = tokio::spawn(async move {
        if let Err(error) = signal().await {
            warn!(error = %error, "cannot listen for signals");
            return;
        }
        info!("stopping: no new requests, running ones finish");
        told.cancel();
        if signal().await.is_ok() {
            warn!("stopping at once");
            std::process::exit(130);
        }
    });
    wired.run(shutdown).await;
    signals.abort();
}

/// Until the process is told to stop.
#[cfg(unix)]
pub(crate) async fn signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
pub(crate) async fn signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

pub(crate) fn start_logging(log: &LogConfig) -> anyhow::Result<()> {
    let format = match log.format {
        ConfiguredFormat::Json => LogFormat::Json,
        ConfiguredFormat::Text => LogFormat::Text,
    };
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    init_logging(&LogOptions {
        format,
        filter: level.to_owned(),
    })
    .context("cannot start logging")
}
