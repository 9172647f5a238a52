//! The graceful stop.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::fixture::{Gateway, WAITS, until};

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_takes_nothing_new() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let submission = gateway.submission().await?;
    let mut holder = PgConnection::connect(&gateway.database).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE scoring_jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await?;

    let gateway = Arc::new(gateway);
    let post = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.post("/api/scoring", &json!({"submissionId": submission})).await }
    });
    until("the commit is under way", async || Ok(gateway.number(WAITS).await? > 0)).await?;

    gateway.shutdown.request();
    let address = gateway.url.trim_start_matches("http://").to_owned();
    until("it listens no more", async || Ok(tokio::net::TcpStream::connect(&address).await.is_err())).await?;
    let unready = reqwest::get(format!("{}/readyz", gateway.metrics_url)).await?;
    assert_eq!(unready.status(), 503, "the probes answer while it drains");
    assert!(!gateway.running.is_finished() && !post.is_finished());

    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await?;
    assert_eq!(post.await??.status, 202);
    let gateway = Arc::into_inner(gateway).expect("nobody else holds it");
    gateway.running.await?
}

#[tokio::test]
async fn a_stop_is_told_to_load_balancers_before_the_door_closes() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--drain-delay", "500ms"]).await?;
    gateway.shutdown.request();
    let unready = gateway.get("/readyz").await?;
    assert_eq!((unready.status, unready.body.as_str()), (503, Some("stopping\n")));
    gateway.job().await?;
    gateway.running.await?
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_a_stop() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--drain-grace", "20s"]).await?;
    let idle = tokio::net::TcpStream::connect(gateway.url.trim_start_matches("http://")).await?;
    gateway.job().await?;
    let started = std::time::Instant::now();
    gateway.stop().await?;
    assert!(started.elapsed().as_secs() < 10);
    drop(idle);
    Ok(())
}

#[tokio::test]
async fn a_stopping_gateway_sends_its_clients_to_another() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--drain-delay", "500ms"]).await?;
    runtime::use_ring();
    let client = reqwest::Client::new();
    let connection = async || -> Result<Option<String>> {
        let answer = client.get(format!("{}/api/scoring", gateway.url)).send().await?;
        let header = answer.headers().get("connection");
        Ok(header.map(|value| value.to_str().map(str::to_owned)).transpose()?)
    };
    assert_eq!(connection().await?, None, "connections are kept while it serves");
    gateway.shutdown.request();
    assert_eq!(connection().await?.as_deref(), Some("close"));
    gateway.running.await?
}
