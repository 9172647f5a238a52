//! Waiting for a score instead of asking for it again and again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{sources, world};
use jiff::Timestamp;

#[tokio::test]
async fn who_waits_has_the_score_as_soon_as_it_is_there() -> Result<()> {
    world::with(world::stack(), async |world| {
        let mut late = Vec::new();
        for number in 0..7 {
            let job = world.api.submit_and_score(&sources::python(number), "default").await?;
            let shown = world.api.job_once_ended(job, Duration::from_secs(25)).await?;
            let answered = Timestamp::now();
            ensure!(shown["status"] == "DONE", "{shown}");
            let completed: Timestamp = shown["completedAt"].as_str().context("a time")?.parse()?;
            late.push(Duration::try_from(answered.duration_since(completed)).unwrap_or_default());
        }
        late.sort();
        println!(
            "answers came {:?} after their jobs had ended, the last {:?}",
            late[late.len() / 2],
            late.last()
        );
        // Without word of it, half of them would be half a second late.
        ensure!(late[late.len() / 2] < Duration::from_millis(250), "{late:?}");
        Ok(())
    })
    .await
}
