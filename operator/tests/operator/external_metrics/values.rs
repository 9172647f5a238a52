use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::Request;
use axum::http::header::ACCEPT;
use domain::{Knobs, LeaseSettings};
use jiff::Timestamp;
use queue::{Queue, ScorerLoad};
use serde_json::Value;
use testkit::{Place, Redis, TempFolder};

use super::scene::{Scene, path};
use crate::world::eventually;

#[tokio::test]
async fn the_api_server_gives_the_true_figures_of_a_pool() -> Result<()> {
    let scene = Scene::new().await?;
    let world = &scene.world;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let backlog = async || scene.values("scoring_backlog").await;
    eventually(
        "the queue is known to be empty",
        async || Ok(backlog().await.ok()),
        |values| values.as_deref() == Some(&["0".to_owned()]),
    )
    .await?;

    for _ in 0..3 {
        world.accepted_job(world.submission().await?).await?;
    }
    let tomorrow = Timestamp::now() + Duration::from_secs(86_400);
    let later = Knobs { not_before: Some(tomorrow), ..world.knobs() };
    world.accepted_job_with(world.submission().await?, later).await?;
    world.until_ready(3).await?;
    assert_eq!(world.queue.claim(&world.pool, 1).await?.claims.len(), 1);
    // What runs is left to do, and what waits for its time is not.
    eventually("the figures are fresh", backlog, |values| values == &["3"]).await?;
    let age: u64 = scene.values("scoring_oldest_job_age_seconds").await?.concat().parse()?;
    assert!(age < 60, "{age} s");

    let without_scorers = scene.values("scoring_busy_ratio").await.expect_err("nobody has slots");
    ensure!(format!("{without_scorers:#}").contains("no scorer of the pool"), "{without_scorers:#}");
    world.queue.report_scorer(&world.pool, "s", ScorerLoad { slots: 4, held: 1 }).await?;
    let busy = async || Ok(scene.values("scoring_busy_ratio").await.ok());
    eventually("a scorer is known", busy, |values| values.as_deref() == Some(&["250m".to_owned()])).await?;
    operator.stop().await
}

#[tokio::test]
async fn selectors_namespaces_and_discovery_are_as_kubernetes_has_them() -> Result<()> {
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let pool = scene.world.pool.as_str();
    let count = async |path: &str| {
        let list = scene.raw(path).await?;
        ensure!(list["kind"] == "ExternalMetricValueList", "{list}");
        Ok(list["items"].as_array().context("items")?.len())
    };
    let known = async || Ok(count(&scene.path("scoring_backlog", "")).await.ok());
    eventually("the queue is known", known, |count| *count == Some(1)).await?;
    for (selector, found) in [
        (format!("pool+in+%28other%2C{pool}%29"), 1),
        (format!("pool%21%3D{pool}"), 0),
        ("pool%3Dother".to_owned(), 0),
        ("pool".to_owned(), 1),
    ] {
        assert_eq!(count(&scene.path("scoring_backlog", &selector)).await?, found, "{selector}");
    }
    assert_eq!(count(&path("default", "scoring_backlog", "")).await?, 0, "another namespace");

    let refused = async |path: &str| match scene.raw(path).await {
        Ok(list) => format!("an answer: {list}"),
        Err(error) => format!("{error:#}"),
    };
    let mistaken = refused(&scene.path("scoring_backlog", "pool+within+%28a%29")).await;
    assert!(mistaken.contains("cannot read the label selector"), "{mistaken}");
    let unknown = refused(&scene.path("scoring_wishes", "")).await;
    assert!(unknown.contains("there is no metric"), "{unknown}");

    let resources = scene.raw("/apis/external.metrics.k8s.io/v1beta1").await?;
    let names: Vec<_> =
        resources["resources"].as_array().context("resources")?.iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["scoring_backlog", "scoring_oldest_job_age_seconds", "scoring_busy_ratio"]);
    operator.stop().await
}

/// What is not current keeps the whole cluster from deleting any namespace.
#[tokio::test]
async fn to_the_api_server_what_there_is_to_ask_for_is_current() -> Result<()> {
    const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let scene = Scene::new().await?;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let version = async || {
        let request = Request::get("/apis").header(ACCEPT, AGGREGATED).body(Vec::new())?;
        let groups: Value = scene.world.client.request(request).await?;
        let groups = groups["items"].as_array().context("groups")?.clone();
        let ours = groups.iter().find(|group| group["metadata"]["name"] == "external.metrics.k8s.io");
        Ok(ours.map(|group| group["versions"][0].clone()).unwrap_or_default())
    };
    let is_current = |version: &Value| {
        version["freshness"] == "Current" && version["resources"].as_array().is_some_and(|all| all.len() == 3)
    };
    eventually("the API server has asked what there is", version, is_current).await?;
    operator.stop().await
}

#[tokio::test]
async fn without_postgres_the_api_is_there_all_the_same() -> Result<()> {
    let mut scene = Scene::new().await?;
    scene.world.database_url = format!("postgres://assay@127.0.0.1:{}/assay", testkit::free_port()?);
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    operator.stop().await
}

#[tokio::test]
async fn while_redis_is_away_or_its_queue_is_lost_the_answer_is_an_error_and_never_zero() -> Result<()> {
    let mut scene = Scene::new().await?;
    let folder = TempFolder::new()?;
    let redis = Redis::start(&Place::owned(folder.path())).await?;
    scene.world.redis_url = redis.url();
    let lease = LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?;
    scene.world.queue = Queue::connect(&redis.url(), lease)?;
    let world = &scene.world;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    world.accepted_job(world.submission().await?).await?;
    world.until_ready(1).await?;
    let answered = async || match scene.values("scoring_backlog").await {
        Ok(values) => Ok(values.concat()),
        Err(error) => Ok(format!("{error:#}")),
    };
    eventually("the backlog is known", answered, |answer| answer == "1").await?;
    redis.kill9().await?;
    let never_zero = async || {
        let answer = answered().await?;
        ensure!(answer != "0", "0, while a job waits");
        Ok(answer)
    };
    let error = eventually("it is not known", never_zero, |answer| answer != "1").await?;
    assert!(error.contains("Redis is unavailable"), "{error}");
    // It comes back empty, and is filled anew.
    redis.start_again().await?;
    redis.flush_all().await?;
    eventually("it is known again", never_zero, |answer| answer == "1").await?;
    operator.stop().await
}
