//! The gate's fixture, tried on a script that behaves like a gate from outside.

use std::path::PathBuf;

use octroi_interop::Gate;

async fn start(config: &str) -> anyhow::Result<Gate> {
    let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in-gate.sh");
    Gate::start_binary(PathBuf::from(stand_in), config).await
}

#[tokio::test]
async fn a_crash_leaves_the_folder_for_the_next_start() -> anyhow::Result<()> {
    let mut gate = start("path = \"{data}/books.db\"").await?;
    assert_eq!(gate.url()?, "http://127.0.0.1:9");
    let path = format!("path = \"{}/books.db\"", gate.folder().display());
    assert!(gate.output()?.contains(&path), "{}", gate.output()?);
    gate.kill();
    assert!(gate.url().is_err());
    gate.restart().await?;
    gate.restart().await?;
    let starts = std::fs::read_to_string(gate.folder().join("starts"))?;
    assert_eq!(starts.lines().count(), 3);
    Ok(())
}

#[tokio::test]
async fn a_gate_that_is_asked_to_end_can_drain() -> anyhow::Result<()> {
    let gate = start("").await?;
    let (status, output) = gate.terminate().await?;
    assert!(status.success(), "{status}");
    assert!(output.ends_with("drained"), "{output}");
    Ok(())
}

#[tokio::test]
async fn a_gate_that_does_not_start_says_why() {
    let error = start("refuse = true").await.unwrap_err();
    assert!(
        error.to_string().contains("the configuration is refused"),
        "{error:#}"
    );
}
