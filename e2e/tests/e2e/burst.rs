//! Many at once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{sources, world};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

const SUBMISSIONS: usize = 2_000;

/// Connections of the client.
const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_posted_at_once_are_all_scored_and_none_twice() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        let jobs: Vec<Uuid> = stream::iter(0..SUBMISSIONS)
            .map(
                |number| async move { world.api.submit_and_score(&sources::python(number), "default").await },
            )
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let distinct: BTreeSet<&Uuid> = jobs.iter().collect();
        ensure!(
            distinct.len() == SUBMISSIONS,
            "{} different jobs for {SUBMISSIONS} submissions",
            distinct.len()
        );

        world.database.until_done(SUBMISSIONS, Duration::from_secs(90)).await?;
        world.is_in_order(&jobs).await?;
        world.no_attempt_was_spent_in_vain().await?;
        let rows = world.database.jobs().await?;
        assert_eq!(rows.len(), SUBMISSIONS);
        let submissions: BTreeSet<Uuid> = rows.iter().map(|row| row.submission_id).collect();
        assert_eq!(submissions.len(), SUBMISSIONS);
        assert_eq!(world.database.attempts().await?.len(), SUBMISSIONS);
        Ok(())
    })
    .await
}
