//! `Prefer: wait`: an answer that comes when there is something new.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{LeaseSettings, Pool};
use queue::Queue;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::{Place, Redis, TempFolder};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::fixture::{Answer, Gateway, LIMIT, answer, until};
use crate::jobs::DONE;

/// Long enough for everything but what nobody announced.
const AT_ONCE: Duration = Duration::from_millis(400);

/// A request that waits.
struct Waiting {
    task: JoinHandle<Result<(Answer, Instant)>>,
}

impl Waiting {
    /// For a job, once the gateway has begun to wait for it.
    async fn begun(gateway: &Arc<Gateway>, job: Uuid, headers: &[(&'static str, &str)]) -> Result<Waiting> {
        let before = watchers(gateway).await?;
        let mut request = gateway.request(Method::GET, &format!("/api/scoring/{job}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let task = tokio::spawn(async move { Ok((answer(request).await?, Instant::now())) });
        until("the request waits", async || Ok(watchers(gateway).await? == before + 1.0)).await?;
        Ok(Waiting { task })
    }

    async fn answer(self) -> Result<(Answer, Instant)> {
        self.task.await?
    }
}

async fn watchers(gateway: &Gateway) -> Result<f64> {
    gateway.metric("assay_gateway_watchers").await
}

async fn with_redis(url: &str) -> Result<Arc<Gateway>> {
    let database = testkit::fresh_database().await?;
    Ok(Arc::new(Gateway::ready(&database, &["--redis-url", url]).await?))
}

fn queue(url: &str) -> Result<Queue> {
    Ok(Queue::connect(url, LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?)?)
}

#[tokio::test]
async fn who_waits_is_told_at_once_when_the_job_ends() -> Result<()> {
    let redis = testkit::redis_url().await?;
    let gateway = with_redis(&redis).await?;
    let queue = queue(&redis)?;
    for _ in 0..5 {
        let (job, _) = gateway.job().await?;
        let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20")]).await?;
        gateway.execute(&format!("{DONE} WHERE id = '{job}'")).await?;
        let committed = Instant::now();
        queue.announce(&Pool::default(), &[job]).await?;
        let (answer, at) = waiting.answer().await?;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("DONE")));
        assert_eq!(answer.header("preference-applied"), Some("wait=20"));
        assert_eq!(answer.body, gateway.get(&format!("/api/scoring/{job}")).await?.body);
        assert!(at - committed < AT_ONCE, "{:?}", at - committed);
    }
    assert_eq!(watchers(&gateway).await?, 0.0);
    Ok(())
}

#[tokio::test]
async fn what_nobody_announces_is_noticed_all_the_same() -> Result<()> {
    let gateway = Arc::new(Gateway::alone().await?);
    let (job, _) = gateway.job().await?;
    let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20")]).await?;
    gateway.execute(DONE).await?;
    let committed = Instant::now();
    let (answer, at) = waiting.answer().await?;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("DONE")));
    assert!(at - committed < Duration::from_secs(3), "{:?}", at - committed);
    Ok(())
}

#[tokio::test]
async fn a_wait_in_vain_ends_in_the_state_as_it_is() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    let path = format!("/api/scoring/{job}");
    let asked = |headers: &[(&'static str, &str)]| {
        let request = gateway.request(Method::GET, &path);
        answer(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)))
    };
    let begun = Instant::now();
    let queued = asked(&[("prefer", "wait=1")]).await?;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((queued.status, &queued.body["status"]), (200, &json!("QUEUED")));
    assert_eq!(queued.header("preference-applied"), Some("wait=1"));

    let tag = queued.header("etag").context("a tag")?.to_owned();
    let same = asked(&[("prefer", "wait=1"), ("if-none-match", &tag)]).await?;
    assert_eq!((same.status, same.header("preference-applied")), (304, Some("wait=1")));
    let other = asked(&[("prefer", "wait=20"), ("if-none-match", "\"0.5\"")]).await?;
    assert_eq!(other.status, 200, "the client has another state: there is nothing to wait for");
    asked(&[("prefer", "wait=0")]).await?;

    let unknown = gateway.request(Method::GET, &format!("/api/scoring/{}", Uuid::now_v7()));
    answer(unknown.header("prefer", "wait=20")).await?.is_problem(404, "unknown_job");
    Ok(())
}

#[tokio::test]
async fn with_a_tag_the_next_state_is_waited_for_and_not_the_last() -> Result<()> {
    let redis = testkit::redis_url().await?;
    let gateway = with_redis(&redis).await?;
    let (job, _) = gateway.job().await?;
    let tag = gateway.get(&format!("/api/scoring/{job}")).await?.header("etag").context("a tag")?.to_owned();
    let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20"), ("if-none-match", &tag)]).await?;
    gateway
        .execute(
            "UPDATE scoring_jobs SET status = 'RUNNING', started_at = now(), scorer = 's', attempt = 1, \
             lease_epoch = 1, version = version + 1",
        )
        .await?;
    queue(&redis)?.announce(&Pool::default(), &[job]).await?;
    let (answer, _) = waiting.answer().await?;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("RUNNING")));
    assert_ne!(answer.header("etag"), Some(tag.as_str()));
    Ok(())
}

#[tokio::test]
async fn what_one_gateway_cancels_another_tells_of() -> Result<()> {
    let redis = testkit::redis_url().await?;
    let here = with_redis(&redis).await?;
    let there = Arc::new(Gateway::ready(&here.database, &["--redis-url", &redis]).await?);
    for _ in 0..5 {
        let (job, _) = here.job().await?;
        let waiting = Waiting::begun(&there, job, &[("prefer", "wait=20")]).await?;
        here.delete(&format!("/api/scoring/{job}")).await?;
        let cancelled = Instant::now();
        let (answer, at) = waiting.answer().await?;
        assert_eq!(answer.body["error"]["code"], "cancelled");
        assert!(at.saturating_duration_since(cancelled) < AT_ONCE);
    }
    Ok(())
}

#[tokio::test]
async fn losing_redis_while_waiting_delays_an_answer_and_loses_none() -> Result<()> {
    let folder = TempFolder::new()?;
    let redis = Redis::start(&Place::owned(folder.path())).await?;
    let gateway = with_redis(&redis.url()).await?;
    let (job, _) = gateway.job().await?;
    let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20")]).await?;
    redis.kill9().await?;
    gateway.execute(&format!("{DONE} WHERE id = '{job}'")).await?;
    let committed = Instant::now();
    let (answer, at) = waiting.answer().await?;
    assert_eq!(answer.body["status"], "DONE");
    assert!(at - committed < Duration::from_secs(3), "{:?}", at - committed);
    until("it says that Redis is away", async || {
        Ok(gateway.metric(r#"assay_gateway_away{of="redis"}"#).await? == 1.0)
    })
    .await?;

    redis.start_again().await?;
    until("it listens again", async || Ok(gateway.metric(r#"assay_gateway_away{of="redis"}"#).await? == 0.0))
        .await?;
    let queue = queue(&redis.url())?;
    for _ in 0..3 {
        let (job, _) = gateway.job().await?;
        let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20")]).await?;
        gateway.execute(&format!("{DONE} WHERE id = '{job}'")).await?;
        let committed = Instant::now();
        queue.announce(&Pool::default(), &[job]).await?;
        let (_, at) = waiting.answer().await?;
        assert!(at - committed < AT_ONCE, "{:?}", at - committed);
    }
    Ok(())
}

#[tokio::test]
async fn a_stop_answers_those_who_wait() -> Result<()> {
    let gateway = Arc::new(Gateway::alone().await?);
    let (job, _) = gateway.job().await?;
    let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20")]).await?;
    gateway.shutdown.request();
    let requested = Instant::now();
    let (answer, at) = waiting.answer().await?;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("QUEUED")));
    assert!(at - requested < AT_ONCE);
    let gateway = Arc::into_inner(gateway).context("nobody else holds it")?;
    gateway.running.await?
}

#[tokio::test]
async fn only_so_many_may_wait_and_who_leaves_makes_room() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Arc::new(Gateway::ready(&database, &["--watchers", "1"]).await?);
    let (job, _) = gateway.job().await?;
    let waiting = Waiting::begun(&gateway, job, &[("prefer", "wait=20")]).await?;
    let path = format!("/api/scoring/{job}");
    let ask = || answer(gateway.request(Method::GET, &path).header("prefer", "wait=1"));
    let refused = ask().await?;
    refused.is_problem(503, "too_many_watchers");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(gateway.get(&path).await?.status, 200, "without waiting it is answered");
    waiting.task.abort();
    until("there is room", async || Ok(ask().await?.status == 200)).await
}

/// How many wait in the next test.
const CROWD: usize = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_who_wait_are_told_one_by_one_and_all_at_once() -> Result<()> {
    let redis = testkit::redis_url().await?;
    let database = testkit::fresh_database().await?;
    let flags = ["--redis-url", &redis, "--connections-per-address", "3000"];
    let gateway = Arc::new(Gateway::ready(&database, &flags).await?);
    let queue = queue(&redis)?;
    let load = format!(
        "WITH made AS (INSERT INTO submissions (status, content) SELECT 'SUBMITTED', '{{\"code\": \"1\"}}'
           FROM generate_series(1, {CROWD}) RETURNING id)
         INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version)
           SELECT id, id, 'default', 'default', '1' FROM made"
    );
    gateway.execute(&load).await?;
    let store = store::Store::connect(&store::Settings::new(&gateway.database))?;
    let jobs: Vec<Uuid> =
        store.active_page(&Pool::default(), None, 10_000).await?.into_iter().map(|it| it.job).collect();
    assert_eq!(jobs.len(), CROWD);
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    // So many at a time as find a connection to Postgres before their patience ends.
    for (already, some) in jobs.chunks(100).enumerate() {
        for job in some {
            let path = format!("/api/scoring/{job}");
            let request = gateway.request(Method::GET, &path).header("prefer", "wait=60").timeout(LIMIT * 3);
            let answered = answered.clone();
            tokio::spawn(async move {
                let answer = answer(request).await;
                answered.send((answer, Instant::now())).ok();
            });
        }
        let waiting = (already * 100 + some.len()) as f64;
        until("all of them wait", async || Ok(watchers(&gateway).await? == waiting)).await?;
    }

    let mut database = PgConnection::connect(&gateway.database).await?;
    let mut told = async |which: &[Uuid]| -> Result<Vec<Duration>> {
        let statement = format!("{DONE} WHERE id = ANY ($1)");
        sqlx::query(AssertSqlSafe(statement)).bind(which).execute(&mut database).await?;
        let committed = Instant::now();
        queue.announce(&Pool::default(), which).await?;
        let mut latencies = Vec::new();
        for _ in which {
            let (answer, at) = answers.recv().await.context("an answer")?;
            assert_eq!(answer?.body["status"], "DONE");
            latencies.push(at - committed);
        }
        latencies.sort();
        Ok(latencies)
    };
    let mut alone = Vec::new();
    for job in &jobs[..100] {
        alone.extend(told(std::slice::from_ref(job)).await?);
    }
    alone.sort();
    let together = told(&jobs[100..]).await?;
    println!(
        "of {CROWD} who wait, one is told in {:?} (p99 {:?}); {} of them at once in {:?} (last {:?})",
        alone[alone.len() / 2],
        alone[alone.len() * 99 / 100],
        together.len(),
        together[together.len() / 2],
        together[together.len() - 1],
    );
    assert!(alone[alone.len() / 2] < AT_ONCE / 2, "{alone:?}");
    assert!(together[together.len() - 1] < Duration::from_secs(5), "{:?}", together.last());
    Ok(())
}
