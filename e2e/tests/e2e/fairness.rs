//! Tenants that share a pool.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Database, sources};
use serde_json::json;
use uuid::Uuid;

const HEAP: usize = 30_000;

/// The most that one request asks for.
const BATCH: usize = 1_000;

#[tokio::test]
async fn one_job_of_a_tenant_does_not_wait_for_the_30_000_of_another() -> Result<()> {
    world::alone_with(world::stack(), async |world| {
        // Nothing is scored before all of it waits.
        let scorer = &world.stack.scorers[0];
        scorer.pause().await?;
        for batch in submissions(&world.database).await?.chunks(BATCH) {
            let request = json!({ "submissionIds": batch, "rubric": "quick", "priority": 9 });
            let answer = world.api.post("/api/scoring/batches", &request).await?;
            ensure!(answer.status == 202, "not accepted: {answer:?}");
        }
        world.until_queue_holds(HEAP as u64, 0, 0).await?;
        scorer.resume()?;

        let content = json!({ "content": sources::python(1), "submit": true, "tenant": "light" });
        let submission: Uuid =
            serde_json::from_value(world.api.post("/api/submissions", &content).await?.body["id"].clone())?;
        let posted = Instant::now();
        let single = world.api.score(submission, "quick").await?;
        world.database.until_job_is(single, "DONE", PATIENCE).await?;
        let took = posted.elapsed();
        let left = waiting(&world.database).await?;
        println!("the single job was done after {took:?}, with {left} of {HEAP} still waiting");
        ensure!(left > HEAP as i64 * 2 / 3, "only {left} of {HEAP} were still waiting");
        ensure!(took < Duration::from_secs(3), "the single job took {took:?}");
        Ok(())
    })
    .await
}

/// As many submissions of the tenant with the heap.
async fn submissions(database: &Database) -> Result<Vec<Uuid>> {
    let loaded = sqlx::query_scalar(
        "INSERT INTO submissions (tenant, status, content)
         SELECT 'heavy', 'SUBMITTED', jsonb_build_object('language', 'python', 'code', '# ' || number)
         FROM generate_series(1, $1) number RETURNING id",
    );
    Ok(loaded.bind(i32::try_from(HEAP)?).fetch_all(&database.pool).await?)
}

/// How many of the heap have not ended.
async fn waiting(database: &Database) -> Result<i64> {
    let count = "SELECT count(*) FROM scoring_jobs WHERE tenant = 'heavy' AND completed_at IS NULL";
    Ok(sqlx::query_scalar(count).fetch_one(&database.pool).await?)
}
