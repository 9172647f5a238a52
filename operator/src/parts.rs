//! The parts of the operator that run side by side.

use anyhow::{Context, ensure};
use runtime::in_full;
use tokio::task::{JoinError, JoinSet};
use tracing::error;

/// Waits for the end of all parts. None may end before it `may_end`: the first that does, fails or panics ends the
/// others, and with them the process, which is then started again. Half an operator would not be noticed.
///
/// # Errors
/// What ended.
pub(crate) async fn together(
    mut parts: JoinSet<anyhow::Result<()>>,
    may_end: impl Fn() -> bool,
) -> anyhow::Result<()> {
    while let Some(ended) = parts.join_next().await {
        if let Err(failure) = judge(ended, may_end()) {
            parts.shutdown().await;
            error!(error = in_full(failure.as_ref()), "a part of the operator ended");
            return Err(failure);
        }
    }
    Ok(())
}

fn judge(ended: Result<anyhow::Result<()>, JoinError>, may_end: bool) -> anyhow::Result<()> {
    ended.context("a part of the operator panicked")?.context("a part of the operator failed")?;
    ensure!(may_end, "a part of the operator ended by itself");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_ends_the_others_and_is_told_of() {
        let mut parts = JoinSet::new();
        parts.spawn(std::future::pending());
        parts.spawn(async { panic!("out of cheese") });
        let failure = together(parts, || true).await.expect_err("a failure");
        assert!(format!("{failure:#}").contains("out of cheese"), "{failure:#}");
    }

    #[tokio::test]
    async fn a_part_may_end_only_when_the_stop_was_asked_for() {
        for may_end in [true, false] {
            let mut parts = JoinSet::new();
            parts.spawn(async { Ok(()) });
            assert_eq!(together(parts, || may_end).await.is_ok(), may_end);
        }
    }
}
