//! `POST /api/scoring`

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::Result;
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::{Link, Weather};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::fixture::{Gateway, WAITS, answer, number, until};

#[tokio::test]
async fn a_post_is_answered_with_a_queued_job_and_the_next_with_the_same() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let submission = gateway.submission().await?;
    let body = json!({"submissionId": submission});
    let first = gateway.post("/api/scoring", &body).await?;
    let job = first.id("job_id")?;
    assert_eq!((first.status, &first.body), (202, &json!({"job_id": job, "status": "QUEUED"})));
    assert_eq!(job.get_version_num(), 7);

    let second = gateway.post("/api/scoring", &body).await?;
    assert_eq!((second.status, &second.body), (200, &json!({"job_id": job, "status": "QUEUED"})));
    Ok(())
}

#[tokio::test]
async fn an_active_job_is_answered_with_its_own_status() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, submission) = gateway.job().await?;
    let running = "UPDATE scoring_jobs SET status = 'RUNNING', started_at = now(), scorer = 's', attempt = 1, \
                   lease_epoch = 1, version = version + 1";
    gateway.execute(running).await?;
    let again = gateway.post("/api/scoring", &json!({"submissionId": submission})).await?;
    assert_eq!((again.status, &again.body), (200, &json!({"job_id": job, "status": "RUNNING"})));
    Ok(())
}

#[tokio::test]
async fn posts_that_race_get_one_job() -> Result<()> {
    const CLIENTS: usize = 24;
    let gateway = Arc::new(Gateway::alone().await?);
    for _ in 0..5 {
        let submission = gateway.submission().await?;
        let start = Arc::new(Barrier::new(CLIENTS));
        let posts = (0..CLIENTS).map(|_| {
            let (gateway, start) = (gateway.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                gateway.post("/api/scoring", &json!({"submissionId": submission})).await
            })
        });
        let answers = try_join_all(posts).await?.into_iter().collect::<Result<Vec<_>>>()?;
        let created = answers.iter().filter(|answer| answer.status == 202).count();
        let found = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((created, found), (1, CLIENTS - 1));
        let jobs: HashSet<Uuid> = answers.iter().map(|answer| answer.id("job_id")).collect::<Result<_>>()?;
        assert_eq!(jobs.len(), 1);
    }
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs").await?, 5);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_scored_is_refused_with_its_reason() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let open = json!({"content": {"code": "a = 1"}});
    let open = gateway.post("/api/submissions", &open).await?.id("id")?;
    let submission = gateway.submission().await?;
    let refused = [
        (json!({"submissionId": Uuid::now_v7()}), 404, "unknown_submission"),
        (json!({"submissionId": open}), 409, "not_submitted"),
        (json!({"submissionId": submission, "rubric": "none"}), 422, "unknown_rubric"),
        (json!({"submissionId": submission, "rubric": ""}), 422, "unknown_rubric"),
        (json!({"submissionId": submission, "rubric": "a\u{0}"}), 422, "unknown_rubric"),
        (json!({"submissionId": submission, "pool": "none"}), 422, "unknown_pool"),
        (json!({"submissionId": submission, "pool": "NOT A POOL"}), 422, "unknown_pool"),
        (json!({"submissionId": submission, "priority": 10}), 422, "invalid_priority"),
        (json!({"submissionId": submission, "priority": -1}), 422, "invalid_priority"),
        (json!({"submissionId": submission, "priority": 1.5}), 422, "invalid_priority"),
        (json!({"submissionId": submission, "retries": 21}), 422, "invalid_retries"),
        (json!({"submissionId": submission, "retries": -1}), 422, "invalid_retries"),
        (json!({"submissionId": submission, "backoffSeconds": 0}), 422, "invalid_backoff"),
        (json!({"submissionId": submission, "backoffSeconds": 301}), 422, "invalid_backoff"),
        (json!({"submissionId": submission, "backoffSeconds": 2.5}), 422, "invalid_backoff"),
        (json!({"submissionId": submission, "notBefore": "1900-01-01T00:00:00Z"}), 422, "invalid_not_before"),
    ];
    for (body, status, code) in &refused {
        gateway.post("/api/scoring", body).await?.is_problem(*status, code);
    }
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_clients_choices_and_trace_are_recorded() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--pools", "default,gpu"]).await?;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = json!({
        "submissionId": gateway.submission().await?, "rubric": "quick", "pool": "gpu", "priority": 9,
        "retries": 0, "backoffSeconds": 300, "notBefore": "2100-01-02T03:04:05Z",
    });
    let request = gateway.request(Method::POST, "/api/scoring").json(&body).header("traceparent", trace);
    let job = answer(request).await?.id("job_id")?;
    let shown = gateway.get(&format!("/api/scoring/{job}")).await?.body;
    assert_eq!(
        (&shown["rubric"], &shown["pool"], &shown["priority"]),
        (&json!("quick"), &json!("gpu"), &json!(9))
    );
    let recorded = format!(
        "SELECT count(*) FROM scoring_jobs WHERE id = '{job}' AND traceparent = '{trace}' \
         AND max_attempts = 1 AND backoff_seconds = 300 AND not_before = '2100-01-02 03:04:05+00'"
    );
    assert_eq!(gateway.number(&recorded).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_trace_begins_at_the_gateway_when_its_client_gave_none_that_is_valid() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &[]).await?;
    for header in [None, Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), Some("nonsense")] {
        let body = json!({"submissionId": gateway.submission().await?});
        let mut request = gateway.request(Method::POST, "/api/scoring").json(&body);
        if let Some(header) = header {
            request = request.header("traceparent", header);
        }
        answer(request).await?.id("job_id")?;
    }
    // Three traces, each of its own; nobody exports them, so they are not marked as sampled.
    let recorded = "SELECT count(DISTINCT traceparent) FROM scoring_jobs \
                    WHERE traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-00$' AND traceparent !~ '^00-0{32}'";
    assert_eq!(gateway.number(recorded).await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_again() -> Result<()> {
    let direct = testkit::fresh_database().await?;
    let (link, linked) = Link::to_url(&direct, Weather::Fair).await?;
    let gateway = Arc::new(Gateway::ready(&linked, &["--database-migration-url", &direct]).await?);
    let (_, submission) = (gateway.job().await?, gateway.submission().await?);

    // Held back in the middle of its statement, so that it is the answer to that which gets lost.
    let mut holder = PgConnection::connect(&direct).await?;
    let hold = format!("BEGIN; SELECT FROM submissions WHERE id = '{submission}' FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut holder).await?;
    let post = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.post("/api/scoring", &json!({"submissionId": submission})).await }
    });
    until("the commit is under way", async || Ok(number(&direct, WAITS).await? > 0)).await?;
    link.set(Weather::Mute);
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await?;
    let committed = format!("SELECT count(*) FROM scoring_jobs WHERE submission_id = '{submission}'");
    until("the job is committed", async || Ok(number(&direct, &committed).await? == 1)).await?;
    link.set(Weather::Cut);
    link.set(Weather::Fair);

    let answer = post.await??;
    assert_eq!(answer.status, 202, "{answer:?}");
    let own = format!("{committed} AND id = '{}'", answer.id("job_id")?);
    assert_eq!((number(&direct, &committed).await?, number(&direct, &own).await?), (1, 1));
    Ok(())
}
