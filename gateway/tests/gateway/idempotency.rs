//! `Idempotency-Key`.

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;
use store::{Settings, Store};
use uuid::Uuid;

use crate::fixture::{Answer, Gateway, WAITS, answer, until};

async fn keyed(gateway: &Gateway, key: &str, path: &str, body: &Value) -> Result<Answer> {
    answer(gateway.request(Method::POST, path).header("idempotency-key", key).json(body)).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[tokio::test]
async fn a_request_that_is_repeated_under_its_key_has_the_same_answer_and_does_nothing_more() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let content = json!({"content": {"code": "1"}, "submit": true});
    let first = keyed(&gateway, "k1", "/api/submissions", &content).await?;
    let again = keyed(&gateway, "\"k1\"", "/api/submissions", &content).await?;
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("content-type"), Some("application/json"));
    assert!(!is_replayed(&first) && is_replayed(&again));
    assert_eq!(gateway.number("SELECT count(*) FROM submissions").await?, 1);

    let body = json!({"submissionId": first.id("id")?});
    let asked = keyed(&gateway, "k2", "/api/scoring", &body).await?;
    let job = asked.id("job_id")?;
    gateway.delete(&format!("/api/scoring/{job}")).await?;
    // Without the key, this would be a new job.
    let again = keyed(&gateway, "k2", "/api/scoring", &body).await?;
    assert_eq!((asked.status, again.status, again.id("job_id")?), (202, 202, job));

    let retry = format!("/api/scoring/{job}/retry");
    let retried = keyed(&gateway, "k3", &retry, &Value::Null).await?;
    assert_eq!(retried.status, 202);
    gateway.delete(&format!("/api/scoring/{}", retried.id("job_id")?)).await?;
    assert_eq!(keyed(&gateway, "k3", &retry, &Value::Null).await?.body, retried.body);
    let batch = json!({"submissionIds": [first.id("id")?]});
    let batched = keyed(&gateway, "k4", "/api/scoring/batches", &batch).await?;
    assert_eq!(keyed(&gateway, "k4", "/api/scoring/batches", &batch).await?.body, batched.body);
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs").await?, 3);
    let redrive = format!("/api/dead-letters/{job}/redrive");
    let redriven = keyed(&gateway, "k5", &redrive, &Value::Null).await?;
    assert_eq!(keyed(&gateway, "k5", &redrive, &Value::Null).await?.body, redriven.body);
    Ok(())
}

#[tokio::test]
async fn a_key_belongs_to_one_request() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"content": {"code": "1"}});
    keyed(&gateway, "k", "/api/submissions", &body).await?;
    let other = json!({"content": {"code": "2"}});
    keyed(&gateway, "k", "/api/submissions", &other).await?.is_problem(422, "idempotency_key_reused");
    keyed(&gateway, "k", "/api/scoring/batches", &body).await?.is_problem(422, "idempotency_key_reused");
    for key in ["", "two words", "\"open"] {
        keyed(&gateway, key, "/api/submissions", &body).await?.is_problem(400, "invalid_idempotency_key");
    }
    assert_eq!(gateway.number("SELECT count(*) FROM submissions").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_kept_and_an_outage_is_not() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"submissionId": Uuid::now_v7()});
    for replayed in [false, true] {
        let refused = keyed(&gateway, "k", "/api/scoring", &body).await?;
        refused.is_problem(404, "unknown_submission");
        assert_eq!(is_replayed(&refused), replayed);
    }
    let submission = gateway.submission().await?;
    let body = json!({"submissionId": submission});
    gateway.execute("ALTER TABLE scoring_jobs RENAME TO hidden").await?;
    keyed(&gateway, "away", "/api/scoring", &body).await?.is_problem(503, "database_unavailable");
    gateway.execute("ALTER TABLE hidden RENAME TO scoring_jobs").await?;
    let asked = keyed(&gateway, "away", "/api/scoring", &body).await?;
    assert_eq!((asked.status, is_replayed(&asked)), (202, false));
    Ok(())
}

#[tokio::test]
async fn while_a_request_is_served_its_repetition_is_told_to_come_again() -> Result<()> {
    let gateway = Arc::new(Gateway::alone().await?);
    let body = json!({"submissionId": gateway.submission().await?});
    let mut holder = PgConnection::connect(&gateway.database).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE scoring_jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await?;
    let first = tokio::spawn({
        let (gateway, body) = (gateway.clone(), body.clone());
        async move { keyed(&gateway, "k", "/api/scoring", &body).await }
    });
    until("the commit is under way", async || Ok(gateway.number(WAITS).await? > 0)).await?;
    let again = keyed(&gateway, "k", "/api/scoring", &body).await?;
    again.is_problem(409, "request_in_progress");
    assert_eq!(again.header("retry-after"), Some("1"));

    // The client leaves, and the request is served to its end.
    first.abort();
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await?;
    let mut answered = None;
    until(
        "its answer is kept",
        async || Ok(keyed(&gateway, "k", "/api/scoring", &body).await?.status == 202),
    )
    .await?;
    answered.replace(keyed(&gateway, "k", "/api/scoring", &body).await?);
    assert!(answered.is_some_and(|answer| is_replayed(&answer)));
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs").await?, 1);
    Ok(())
}

/// What a gateway leaves behind that dies between doing what was asked for and keeping its answer.
const CRASH: &str = "UPDATE idempotency_keys SET status = NULL, body = NULL, content_type = NULL, location = NULL, \
                     claim = gen_random_uuid(), claimed_at = now() - INTERVAL '2 minutes'";

#[tokio::test]
async fn after_a_crash_between_doing_and_answering_the_repetition_finds_what_was_done() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let content = json!({"content": {"code": "1"}, "submit": true});
    let made = keyed(&gateway, "k", "/api/submissions", &content).await?;
    gateway.execute(CRASH).await?;
    let again = keyed(&gateway, "k", "/api/submissions", &content).await?;
    assert_eq!((again.status, &again.body, is_replayed(&again)), (201, &made.body, false));
    assert!(is_replayed(&keyed(&gateway, "k", "/api/submissions", &content).await?));
    assert_eq!(gateway.number("SELECT count(*) FROM submissions").await?, 1);

    let body = json!({"submissionId": made.id("id")?});
    let asked = keyed(&gateway, "job", "/api/scoring", &body).await?;
    gateway.delete(&format!("/api/scoring/{}", asked.id("job_id")?)).await?;
    gateway.execute(CRASH).await?;
    let again = keyed(&gateway, "job", "/api/scoring", &body).await?;
    assert_eq!(
        (again.status, &again.body),
        (202, &asked.body),
        "not a second job, though the first has ended"
    );
    let batch = json!({"submissionIds": [made.id("id")?]});
    let batched = keyed(&gateway, "batch", "/api/scoring/batches", &batch).await?;
    gateway.execute(CRASH).await?;
    assert_eq!(keyed(&gateway, "batch", "/api/scoring/batches", &batch).await?.body, batched.body);
    assert_eq!(gateway.number("SELECT count(*) FROM scoring_jobs").await?, 2);
    Ok(())
}

#[tokio::test]
async fn keys_are_forgotten_in_time() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let body = json!({"content": {"code": "1"}});
    for key in ["old", "older", "new"] {
        keyed(&gateway, key, "/api/submissions", &body).await?;
    }
    gateway
        .execute("UPDATE idempotency_keys SET created_at = now() - INTERVAL '25 hours' WHERE key <> 'new'")
        .await?;
    let store = Store::connect(&Settings::new(&gateway.database))?;
    let day = Duration::from_secs(24 * 3600);
    assert_eq!((store.drop_keys(day, 1).await?, store.drop_keys(day, 10).await?), (1, 1));
    assert!(is_replayed(&keyed(&gateway, "new", "/api/submissions", &body).await?));
    Ok(())
}

#[tokio::test]
async fn a_request_without_a_key_leaves_no_trace_of_one() -> Result<()> {
    let gateway = Gateway::alone().await?;
    gateway.job().await.context("a job")?;
    assert_eq!(gateway.number("SELECT count(*) FROM idempotency_keys").await?, 0);
    Ok(())
}
