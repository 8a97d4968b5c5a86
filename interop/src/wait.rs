//! Waiting for a condition.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::PATIENCE;

/// Between two looks: short beside everything waited for, long enough to leave the processor to the
/// process that is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until `check` finds something, and returns that.
///
/// # Errors
/// When `check` fails, or finds nothing until patience runs out; `what` is named then.
pub async fn eventually<T>(
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let found = async {
        loop {
            if let Some(found) = check().await? {
                return anyhow::Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .with_context(|| format!("waited in vain for {what}"))?
}
