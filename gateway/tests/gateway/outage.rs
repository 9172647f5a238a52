//! Postgres away.

use anyhow::Result;
use serde_json::json;
use testkit::{Link, Place, Postgres, PostgresOptions, StopMode, TempFolder, Weather};
use uuid::Uuid;

use crate::fixture::{Answer, Gateway, until};

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    answer.is_problem(503, "database_unavailable");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{answer:?}");
}

#[tokio::test]
async fn without_postgres_every_route_says_when_to_come_back_and_recovers_by_itself() -> Result<()> {
    let folder = TempFolder::new()?;
    let postgres = Postgres::start(&Place::owned(folder.path()), &PostgresOptions::default()).await?;
    let gateway = Gateway::ready(&postgres.url(), &["--request-timeout", "2s"]).await?;
    let (job, submission) = gateway.job().await?;
    let again = json!({"submissionId": submission});

    postgres.stop(StopMode::Fast).await?;
    assert_unavailable(&gateway.post("/api/scoring", &again).await?);
    assert_unavailable(&gateway.get(&format!("/api/scoring/{job}")).await?);
    assert_unavailable(&gateway.get("/api/scoring").await?);
    assert_unavailable(&gateway.post("/api/submissions", &json!({"content": {"code": "a"}})).await?);
    assert_unavailable(&gateway.post("/api/scoring/batches", &json!({"submissionIds": [submission]})).await?);
    assert_eq!(gateway.get("/readyz").await?.status, 503);
    assert_eq!(gateway.get("/healthz").await?.status, 200, "restarting the gateway would not help");
    assert_eq!(gateway.metric(r#"assay_gateway_away{of="postgres"}"#).await?, 1.0);

    postgres.start_again().await?;
    let answer = gateway.post("/api/scoring", &again).await?;
    assert_eq!((answer.status, answer.id("job_id")?), (200, job));
    assert_eq!(gateway.get("/readyz").await?.status, 200);
    assert_eq!(gateway.metric(r#"assay_gateway_away{of="postgres"}"#).await?, 0.0);
    Ok(())
}

#[tokio::test]
async fn a_gateway_starts_without_postgres_and_prepares_it_once_it_is_there() -> Result<()> {
    let direct = testkit::fresh_database().await?;
    let (link, linked) = Link::to_url(&direct, Weather::Cut).await?;
    let gateway = Gateway::spawn(&linked, &["--request-timeout", "1s"]).await?;
    assert_unavailable(&gateway.post("/api/scoring", &json!({"submissionId": Uuid::now_v7()})).await?);
    let unready = gateway.get("/readyz").await?;
    assert_eq!(unready.status, 503);
    assert!(unready.body.as_str().is_some_and(|text| text.starts_with("postgres: ")), "{unready:?}");

    link.set(Weather::Fair);
    gateway.until_ready().await?;
    gateway.job().await?;
    Ok(())
}

#[tokio::test]
async fn readiness_means_that_the_schema_is_there() -> Result<()> {
    let gateway = Gateway::alone().await?;
    gateway.execute("ALTER TABLE _sqlx_migrations RENAME TO hidden").await?;
    assert_eq!(gateway.get("/readyz").await?.status, 503);
    gateway.execute("ALTER TABLE hidden RENAME TO _sqlx_migrations").await?;
    until("it is ready again", async || Ok(gateway.get("/readyz").await?.status == 200)).await
}

#[tokio::test]
async fn settings_that_contradict_each_other_end_the_gateway_at_once() -> Result<()> {
    let gateway = Gateway::spawn("postgres://127.0.0.1:1/none", &["--drain-grace", "1s"]).await?;
    let error = gateway.running.await?.expect_err("refused").to_string();
    assert!(error.contains("ASSAY_DRAIN_GRACE"), "{error}");
    Ok(())
}
