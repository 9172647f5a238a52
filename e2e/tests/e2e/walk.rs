//! The main job, step by step.

use anyhow::{Context, Result, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Seen, World, sources, until};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn a_submission_becomes_a_score_that_api_table_and_resource_agree_on() -> Result<()> {
    world::with(world::stack(), async |world| {
        let submission = submit_in_two_steps(world).await?;
        let asked = world.api.ask(&json!({ "submissionId": submission })).await?;
        assert_eq!((asked.status, &asked.body["status"]), (202, &json!("QUEUED")));
        let job = asked.job()?;

        let shown = until("GET shows a score", PATIENCE, async || {
            let shown = world.api.job(job).await?;
            Ok(if shown["status"] == "DONE" { Seen::Yes(shown) } else { Seen::NotYet(shown.to_string()) })
        })
        .await?;
        let row = world.database.job(job).await?;
        assert_eq!(shown["job_id"], json!(job));
        assert_eq!(shown["submissionId"], json!(submission));
        assert_eq!(
            (shown["score"].as_f64(), shown["feedback"].as_str()),
            (row.score, row.feedback.as_deref())
        );
        assert_eq!((&shown["attempts"], &shown["error"]), (&json!(row.attempt), &json!(null)));
        let score = row.score.context("a job that is DONE has a score")?;
        ensure!(score > 0.0 && score <= 100.0, "{score} for a decent submission");
        ensure!(
            row.feedback.as_ref().is_some_and(|feedback| feedback.len() > 20),
            "feedback: {:?}",
            row.feedback
        );
        ensure!(shown["result"].is_object(), "no results of single criteria: {shown}");

        world.kubectl_wait(&format!("scoringjob/{job}"), "condition=Complete").await?;
        let table = world.stack.kubectl(&["get", "scoringjobs"]).await?;
        let line = table.lines().find(|line| line.starts_with(&job.to_string())).context(table.clone())?;
        let columns: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((columns[1], columns[2].parse(), columns[3]), ("DONE", Ok(score), "1"), "in {table}");
        world.is_in_order(&[job]).await?;
        world.no_attempt_was_spent_in_vain().await
    })
    .await
}

async fn submit_in_two_steps(world: &World) -> Result<Uuid> {
    let created = world.api.post("/api/submissions", &json!({ "content": sources::python(1) })).await?;
    assert_eq!((created.status, &created.body["status"]), (201, &json!("IN_PROGRESS")));
    let submission: Uuid = created.body["id"].as_str().context("an id")?.parse()?;
    let early = world.api.ask(&json!({ "submissionId": submission })).await?;
    assert_eq!((early.status, early.code()), (409, "not_submitted"));
    let submitted = world.api.post(&format!("/api/submissions/{submission}/submit"), &json!({})).await?;
    assert_eq!((submitted.status, &submitted.body["status"]), (200, &json!("SUBMITTED")));
    Ok(submission)
}

#[tokio::test]
async fn asking_twice_gives_the_job_that_is_active() -> Result<()> {
    world::with(world::stack().scorers(0), async |world| {
        let submission = world.api.submit(&sources::python(1)).await?;
        let first = world.api.ask(&json!({ "submissionId": submission })).await?;
        let again = world.api.ask(&json!({ "submissionId": submission })).await?;
        assert_eq!((first.status, again.status), (202, 200));
        assert_eq!(first.job()?, again.job()?);
        assert_eq!(world.database.jobs().await?.len(), 1);
        Ok(())
    })
    .await
}
