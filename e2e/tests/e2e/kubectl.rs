//! Resources that a person makes, changes and deletes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Gate, Seen, sources, until};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn resources_made_with_kubectl_are_accepted_and_scored() -> Result<()> {
    world::with(world::stack(), async |world| {
        let mut submissions = Vec::new();
        for number in 0..4 {
            submissions.push(world.api.submit(&sources::python(number)).await?);
        }
        let spec = json!({ "submissionId": submissions[0] });
        let job = world.create("ScoringJob", "by-hand", spec).await?.uid()?;
        let unknown = Uuid::new_v4();
        let spec = json!({ "submissionIds": [submissions[1], submissions[2], unknown], "rubric": "quick" });
        let batch = world.create("ScoringBatch", "some", spec).await?.uid()?;

        world.kubectl_wait("sj/by-hand", "condition=Complete").await?;
        world.kubectl_wait("sb/some", "condition=Complete").await?;
        let shown = world.api.job(job).await?;
        assert_eq!((&shown["status"], &shown["submissionId"]), (&json!("DONE"), &json!(submissions[0])));
        let shown = world.api.get(&format!("/api/scoring/batches/{batch}")).await?;
        let counts = (&shown.body["total"], &shown.body["accepted"], &shown.body["done"]);
        assert_eq!(counts, (&json!(3), &json!(2), &json!(2)), "{shown:?}");
        assert_eq!(
            shown.body["rejected"],
            json!([{ "submissionId": unknown, "code": "unknown_submission" }])
        );
        let resource = world.resource("sb/some").await?;
        ensure!(resource.condition("Failed").is_some(), "one member was rejected: {resource:?}");
        assert_eq!(resource.status("firstFailures")[0]["submissionId"], json!(unknown));
        assert_eq!(world.database.jobs().await?.len(), 3);
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&[job]).await
    })
    .await
}

#[tokio::test]
async fn a_request_that_cannot_be_accepted_says_why() -> Result<()> {
    world::with(world::stack().scorers(0), async |world| {
        world.create("ScoringJob", "unknown", json!({ "submissionId": Uuid::new_v4() })).await?;
        let submission = world.api.submit(&sources::python(1)).await?;
        let active = world.api.score(submission, "quick").await?;
        world.create("ScoringJob", "second", json!({ "submissionId": submission })).await?;
        let other = world.api.submit(&sources::python(2)).await?;
        world.create("ScoringJob", "no-rubric", json!({ "submissionId": other, "rubric": "none" })).await?;
        world.create("ScoringJob", "no-pool", json!({ "submissionId": other, "pool": "none" })).await?;

        let of_active = active.to_string();
        for (name, reason, named) in [
            ("unknown", "UnknownSubmission", "no such submission"),
            ("second", "ActiveJobExists", &of_active),
            ("no-rubric", "UnknownRubric", "no such rubric"),
            ("no-pool", "UnknownPool", "default"),
        ] {
            let path = format!("sj/{name}");
            world.kubectl_wait(&path, "condition=Failed").await?;
            let resource = world.resource(&path).await?;
            let failed = resource.condition("Failed").context("the condition Failed")?;
            assert_eq!((&failed["reason"], resource.phase()), (&json!(reason), "REJECTED"));
            let message = failed["message"].as_str().unwrap_or_default();
            ensure!(message.contains(named), "{name}: {message:?} does not name {named:?}");
        }
        let rows = world.database.jobs().await?;
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [active]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_spec_cannot_change_but_for_suspend_priority_and_ttl() -> Result<()> {
    world::with(world::stack().scorers(0), async |world| {
        let submission = world.api.submit(&sources::python(1)).await?;
        let job = world.create("ScoringJob", "fixed", json!({ "submissionId": submission })).await?.uid()?;
        world.database.until_accepted(job).await?;
        for change in [
            json!({ "submissionId": Uuid::new_v4() }),
            json!({ "rubric": "quick" }),
            json!({ "pool": "other" }),
            json!({ "retries": 9 }),
            json!({ "backoffSeconds": 9 }),
            json!({ "timeoutSeconds": 9 }),
            json!({ "notBefore": "2030-01-01T00:00:00Z" }),
        ] {
            let Err(refusal) = world.change("sj/fixed", change.clone()).await else {
                anyhow::bail!("{change} was let through")
            };
            ensure!(refusal.to_string().contains("can be changed"), "{change}: {refusal}");
        }
        world.change("sj/fixed", json!({ "priority": 9, "ttlSecondsAfterFinished": 60 })).await?;
        world.database.until_job(job, "has priority 9", PATIENCE, |row| row.priority == 9).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_suspended_job_waits_and_a_resumed_one_is_scored() -> Result<()> {
    world::with(world::stack(), async |world| {
        let mut jobs = Vec::new();
        let later = world.database.in_a_while(Duration::from_secs(3600)).await?;
        for (name, spec) in
            [("from-start", json!({ "suspend": true })), ("on-the-way", json!({ "notBefore": later }))]
        {
            let mut spec = spec;
            spec["submissionId"] = json!(world.api.submit(&sources::python(jobs.len())).await?);
            let job = world.create("ScoringJob", name, spec).await?.uid()?;
            world.database.until_accepted(job).await?;
            jobs.push(job);
        }
        world.until_queue_holds(0, 1, 0).await?;
        world.change("sj/on-the-way", json!({ "suspend": true })).await?;
        world.until_queue_holds(0, 0, 0).await?;
        world.change("sj/on-the-way", json!({ "suspend": false })).await?;
        world.until_queue_holds(0, 1, 0).await?;

        let message = "jsonpath={.status.message}=held back: spec.suspend is true";
        world.kubectl_wait("sj/from-start", message).await?;
        let other = world.api.submit_and_score(&sources::python(9), "quick").await?;
        world.database.until_job_is(other, "DONE", PATIENCE).await?;
        assert_eq!(world.database.job(jobs[0]).await?.status, "QUEUED");
        world.change("sj/from-start", json!({ "suspend": false })).await?;
        world.kubectl_wait("sj/from-start", "condition=Complete").await?;
        assert_eq!(world.database.job(jobs[1]).await?.status, "QUEUED");
        world.stack.kubectl(&["delete", "sj/on-the-way"]).await?;
        world.database.until_job_is(jobs[1], "ERROR", PATIENCE).await?;
        world.is_in_order(&[jobs[0], jobs[1], other]).await
    })
    .await
}

#[tokio::test]
async fn a_higher_priority_given_later_goes_first() -> Result<()> {
    world::with(world::stack().scorer_env("ASSAY_CONCURRENCY", "1"), async |world| {
        let gate = Gate::close(&world.database).await?;
        let first = world.api.submit_and_score(&sources::python(0), gate.rubric()).await?;
        world.database.until_job_is(first, "RUNNING", PATIENCE).await?;
        let mut jobs = Vec::new();
        for number in 1..4 {
            jobs.push(world.api.submit_and_score(&sources::python(number), "quick").await?);
        }
        world.until_queue_holds(3, 0, 1).await?;
        let favourite = jobs[2];
        world.kubectl_wait(&format!("sj/{favourite}"), "jsonpath={.status.phase}=QUEUED").await?;
        world.change(&format!("sj/{favourite}"), json!({ "priority": 9 })).await?;
        world.database.until_job(favourite, "has priority 9", PATIENCE, |row| row.priority == 9).await?;
        until("the queue knows of it", PATIENCE, async || {
            let rank = |job: Uuid| format!("ZSCORE {{assay:default}}:ready {job}");
            let redis = world.stack.own_redis()?;
            let (high, low) = (redis.command(&rank(favourite)).await?, redis.command(&rank(jobs[0])).await?);
            let number = |text: &str| text.lines().last().and_then(|line| line.trim().parse::<f64>().ok());
            Ok(Seen::when(number(&high) < number(&low), || format!("ranks {high:?} and {low:?}")))
        })
        .await?;
        gate.open().await?;
        world.database.until_done(4, PATIENCE).await?;
        let mut attempts = world.database.attempts().await?;
        attempts.sort_by_key(|attempt| attempt.lease_epoch);
        let order: Vec<Uuid> = attempts.iter().map(|attempt| attempt.job_id).collect();
        assert_eq!(order, [first, favourite, jobs[0], jobs[1]]);
        world.is_in_order(&order).await
    })
    .await
}

#[tokio::test]
async fn a_job_is_not_started_before_its_time_and_its_resource_goes_after_its_ttl() -> Result<()> {
    world::with(world::stack(), async |world| {
        let submission = world.api.submit(&sources::python(1)).await?;
        let delay = Duration::from_secs(3);
        let (now, later) =
            (world.database.in_a_while(Duration::ZERO).await?, world.database.in_a_while(delay).await?);
        let spec = json!({
            "submissionId": submission, "rubric": "quick", "notBefore": later, "ttlSecondsAfterFinished": 1,
        });
        let job = world.create("ScoringJob", "brief", spec).await?.uid()?;
        world.database.until_accepted(job).await?;
        let row = world.database.until_job_is(job, "DONE", PATIENCE).await?;
        let (early,): (bool,) = sqlx::query_as(
            "SELECT started_at < $1::timestamptz + $2 * INTERVAL '1 second' FROM scoring_jobs WHERE id = $3",
        )
        .bind(&now)
        .bind(i32::try_from(delay.as_secs())?)
        .bind(job)
        .fetch_one(&world.database.pool)
        .await?;
        ensure!(!early, "asked for at {now}, not before {later}: {row:?}");
        world.kubectl_wait_gone("sj/brief").await?;
        world
            .database
            .until_job(job, "is let go of", PATIENCE, |row| row.resource_kind.as_deref() == Some("none"))
            .await?;
        assert_eq!(world.api.job(job).await?["score"].as_f64(), row.score);
        world.is_in_order(&[job]).await
    })
    .await
}

#[tokio::test]
async fn deleting_a_resource_cancels_its_jobs() -> Result<()> {
    world::with(world::stack(), async |world| {
        let later = world.database.in_a_while(Duration::from_secs(3600)).await?;
        let submission = world.api.submit(&sources::python(1)).await?;
        let asked = world.api.ask(&json!({ "submissionId": submission, "notBefore": later })).await?;
        let posted = asked.job()?;
        let (mut members, mut jobs) = (Vec::new(), vec![posted]);
        for number in 2..5 {
            members.push(world.api.submit(&sources::python(number)).await?);
        }
        let spec = json!({ "submissionIds": members, "notBefore": later });
        world.create("ScoringBatch", "unwanted", spec).await?;
        world.until_queue_holds(0, 4, 0).await?;
        world.kubectl_wait(&format!("sj/{posted}"), "jsonpath={.status.phase}=QUEUED").await?;
        world.kubectl_wait("sb/unwanted", "jsonpath={.status.queued}=3").await?;

        world.stack.kubectl(&["delete", &format!("sj/{posted}"), "sb/unwanted"]).await?;
        let rows = until("all are cancelled", PATIENCE, async || {
            let rows = world.database.jobs().await?;
            let cancelled = rows.iter().all(|row| row.error_code.as_deref() == Some("cancelled"));
            Ok(if cancelled { Seen::Yes(rows) } else { Seen::NotYet(format!("{rows:?}")) })
        })
        .await?;
        jobs.extend(rows.iter().map(|row| row.id));
        assert_eq!(rows.len(), 4);
        world.is_in_order(&jobs).await
    })
    .await
}
