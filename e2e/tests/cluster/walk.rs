//! The main job, on real Pods.

use anyhow::{Context, Result, ensure};
use e2e::world::PATIENCE;
use e2e::{Installation, sources};

use crate::TURN;

#[tokio::test]
async fn a_submission_posted_to_the_service_is_scored_and_shown() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    // Python is parsed, so this is scored in a child process of the scorer's.
    let job = reached.api.submit_and_score(&sources::python(1), "default").await?;

    let shown = reached.api.job_once_ended(job, PATIENCE).await?;
    let score = shown["score"].as_f64().with_context(|| format!("no score: {shown}"))?;
    assert_eq!((shown["status"].as_str(), shown["attempts"].as_i64()), (Some("DONE"), Some(1)), "{shown}");
    ensure!(score > 0.0 && score <= 100.0, "{score} for a decent submission");

    let resource = format!("scoringjob/{job}");
    installation.kubectl(&["wait", &resource, "--for=condition=Complete", "--timeout=30s"]).await?;
    let table = installation.kubectl(&["get", "scoringjobs"]).await?;
    let line = table.lines().find(|line| line.starts_with(&job.to_string())).context(table.clone())?;
    let columns: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((columns[1], columns[2].parse(), columns[3]), ("DONE", Ok(score), "1"), "in {table}");
    Ok(())
}
