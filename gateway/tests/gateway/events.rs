//! Server-sent events.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{LeaseSettings, Pool};
use queue::Queue;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::fixture::{Gateway, LIMIT, answer, until};
use crate::jobs::DONE;

/// A stream of events.
struct Events {
    response: Response,
    text: String,
}

/// An event.
#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Events {
    async fn of(gateway: &Gateway, path: &str, last: Option<&str>) -> Result<Events> {
        let mut request = gateway.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?;
        assert_eq!(response.status(), 200);
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("content-type"), Some("text/event-stream"));
        assert_eq!(header("cache-control"), Some("no-store, no-transform"));
        assert_eq!(header("x-accel-buffering"), Some("no"));
        assert_eq!(header("content-encoding"), None);
        Ok(Events { response, text: String::new() })
    }

    /// The fields of what comes next; nothing at the end.
    async fn block(&mut self) -> Result<Option<Vec<(String, String)>>> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |line: &str| {
                    line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim_start().to_owned()))
                };
                let fields = block.lines().filter_map(field).collect();
                self.text = rest.to_owned();
                return Ok(Some(fields));
            }
            match timeout(LIMIT, self.response.chunk()).await.context("silence")?? {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk)?),
                None => return Ok(None),
            }
        }
    }

    async fn event(&mut self) -> Result<Event> {
        let fields = self.block().await?.context("an event")?;
        let field = |wanted: &str| {
            let found = fields.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).with_context(|| format!("no {wanted} in {fields:?}"))
        };
        Ok(Event { name: field("event")?, id: field("id")?, data: serde_json::from_str(&field("data")?)? })
    }
}

async fn start(gateway: &Gateway, condition: &str) -> Result<()> {
    let statement = format!(
        "UPDATE scoring_jobs SET status = 'RUNNING', started_at = now(), scorer = 's', attempt = 1, \
         lease_epoch = 1, version = version + 1 WHERE {condition}"
    );
    gateway.execute(&statement).await
}

#[tokio::test]
async fn every_state_of_a_job_is_streamed_until_the_last() -> Result<()> {
    let redis = testkit::redis_url().await?;
    let gateway = Gateway::ready(&testkit::fresh_database().await?, &["--redis-url", &redis]).await?;
    let queue = Queue::connect(&redis, LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?)?;
    let (job, _) = gateway.job().await?;
    let path = format!("/api/scoring/{job}/events");
    let mut events = Events::of(&gateway, &path, None).await?;
    let queued = events.event().await?;
    assert_eq!((queued.name.as_str(), &queued.data["status"]), ("job", &json!("QUEUED")));

    start(&gateway, "TRUE").await?;
    let committed = Instant::now();
    queue.announce(&Pool::default(), &[job]).await?;
    let running = events.event().await?;
    assert_eq!(running.data["status"], "RUNNING");
    assert!(committed.elapsed() < Duration::from_millis(900), "{:?}", committed.elapsed());
    gateway.execute(DONE).await?;
    let done = events.event().await?;
    assert_eq!(done.data, gateway.get(&format!("/api/scoring/{job}")).await?.body);
    assert_eq!(events.block().await?, None, "nothing comes after the end");

    let mut late = Events::of(&gateway, &path, Some(&running.id)).await?;
    assert_eq!(late.event().await?.id, done.id, "what was missed comes at once");
    let again = gateway.request(Method::GET, &path).header("last-event-id", &done.id);
    assert_eq!(answer(again).await?.status, 204, "there is nothing to come again for");
    gateway.get(&format!("/api/scoring/{}/events", Uuid::now_v7())).await?.is_problem(404, "unknown_job");
    Ok(())
}

#[tokio::test]
async fn a_client_that_has_the_state_is_sent_the_next_one() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    let path = format!("/api/scoring/{job}/events");
    let queued = Events::of(&gateway, &path, None).await?.event().await?;
    let mut events = Events::of(&gateway, &path, Some(&queued.id)).await?;
    start(&gateway, "TRUE").await?;
    assert_eq!(events.event().await?.data["status"], "RUNNING");
    Ok(())
}

#[tokio::test]
async fn a_batch_is_streamed_until_all_its_members_have_ended() -> Result<()> {
    let redis = testkit::redis_url().await?;
    let gateway = Gateway::ready(&testkit::fresh_database().await?, &["--redis-url", &redis]).await?;
    let queue = Queue::connect(&redis, LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?)?;
    let submissions = [gateway.submission().await?, gateway.submission().await?];
    let asked = gateway.post("/api/scoring/batches", &json!({"submissionIds": submissions})).await?;
    let batch = asked.id("batch_id")?;
    let path = format!("/api/scoring/batches/{batch}/events");
    let mut events = Events::of(&gateway, &path, None).await?;
    let first = events.event().await?;
    assert_eq!((first.name.as_str(), &first.data["queued"]), ("batch", &json!(2)));

    let of_first = format!("submission_id = '{}'", submissions[0]);
    gateway.execute(&format!("{DONE} WHERE {of_first}")).await?;
    let page = gateway.get(&format!("/api/scoring?submissionId={}", submissions[0])).await?;
    let member: Uuid = page.body["items"][0]["job_id"].as_str().context("an id")?.parse()?;
    queue.announce(&Pool::default(), &[member]).await?;
    let half = events.event().await?;
    assert_eq!((&half.data["queued"], &half.data["done"]), (&json!(1), &json!(1)));

    gateway.execute(&format!("{DONE} WHERE submission_id = '{}'", submissions[1])).await?;
    let last = events.event().await?;
    assert_eq!(last.data, gateway.get(&format!("/api/scoring/batches/{batch}")).await?.body);
    assert_eq!((&last.data["done"], events.block().await?), (&json!(2), None));
    let again = gateway.request(Method::GET, &path).header("last-event-id", &last.id);
    assert_eq!(answer(again).await?.status, 204);
    gateway
        .get(&format!("/api/scoring/batches/{}/events", Uuid::now_v7()))
        .await?
        .is_problem(404, "unknown_batch");
    Ok(())
}

#[tokio::test]
async fn a_stop_ends_streams_and_tells_clients_to_come_again() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    let mut events = Events::of(&gateway, &format!("/api/scoring/{job}/events"), None).await?;
    events.event().await?;
    let begun = Instant::now();
    gateway.shutdown.request();
    let farewell = events.block().await?.context("a last word")?;
    assert!(matches!(&farewell[..], [(name, _)] if name == "retry"), "{farewell:?}");
    assert_eq!(events.block().await?, None);
    gateway.stop().await?;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_is_forgotten() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    let mut events = Events::of(&gateway, &format!("/api/scoring/{job}/events"), None).await?;
    events.event().await?;
    let watchers = async || gateway.metric("assay_gateway_watchers").await;
    assert_eq!(watchers().await?, 1.0);
    drop(events);
    until("nobody watches", async || Ok(watchers().await? == 0.0)).await
}
