//! What operators watch, and the page that shows it.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use domain::{Lane, LeaseSettings, Priority, Rank};
use queue::{Enqueue, Queue};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::authentication::token::{SECRET, Signer, claims_but};
use crate::fixture::{Answer, Gateway, LIMIT, answer, until};

const DONE: &str = "UPDATE scoring_jobs SET status = 'DONE', started_at = now(), completed_at = now(), scorer = 's', \
                    attempt = 1, lease_epoch = 1, score = 87.5, feedback = 'Good.', result = '{\"tests\": []}', \
                    version = version + 1 WHERE completed_at IS NULL";

/// The state of a pool in a snapshot.
fn pool<'s>(snapshot: &'s Value, name: &str) -> &'s Value {
    let pools = snapshot["pools"].as_array().into_iter().flatten();
    pools.into_iter().find(|pool| pool["pool"] == name).unwrap_or(&Value::Null)
}

/// A queue for a pool that no other test has.
async fn queue() -> Result<(Queue, String, String)> {
    let url = testkit::redis_url().await?;
    let queue = Queue::connect(&url, LeaseSettings::renewed_by_thirds(Duration::from_secs(30))?)?;
    Ok((queue, url, format!("t-{}", Uuid::new_v4().simple())))
}

/// What Redis answers to a command, as it stands on the wire.
async fn ask_redis(url: &str, command: &str) -> Result<String> {
    let address = url.trim_start_matches("redis://").split('/').next().context("an address")?;
    let mut redis = TcpStream::connect(address).await?;
    redis.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
    let mut answer = String::new();
    redis.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn pools_show_what_waits_and_what_came_and_went() -> Result<()> {
    let (queue, redis, name) = queue().await?;
    let flags = ["--redis-url", &redis, "--pools", &name];
    let gateway = Gateway::ready(&testkit::fresh_database().await?, &flags).await?;
    for _ in 0..3 {
        gateway.job().await?;
    }
    let waits = |delay_seconds: u64| Enqueue {
        job: Uuid::now_v7(),
        rank: Rank::new(Lane::of("default"), Priority::default(), 1_700_000_000_000),
        delay: Duration::from_secs(delay_seconds),
        epoch: domain::Epoch::NONE,
        leased: false,
    };
    queue.enqueue(&name.parse()?, &[waits(0), waits(0), waits(600)]).await?;

    let shown = gateway.get("/api/pools").await?;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!((&shown.body["scope"], &shown.body["queue"]), (&json!("all"), &json!("known")));
    let state = pool(&shown.body, &name);
    assert_eq!((&state["queue"]["ready"], &state["queue"]["delayed"]), (&json!(2), &json!(1)));
    let oldest = state["queue"]["oldestReadySeconds"].as_f64().context("an age")?;
    ensure!(oldest > 1e7, "{oldest} s since 2023");
    assert_eq!(state["active"], json!({"queued": 3, "running": 0, "atLeast": false}));
    assert_eq!(state["counts"], json!({"accepted": 3, "done": 0, "error": 0}));

    gateway.execute(DONE).await?;
    until("the jobs that are done are counted", async || {
        let shown = gateway.get("/api/pools").await?;
        Ok(pool(&shown.body, &name)["counts"] == json!({"accepted": 3, "done": 3, "error": 0}))
    })
    .await?;
    let series = gateway.get("/api/pools").await?.body;
    let done: u64 = pool(&series, &name)["series"]["done"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(done, 3);
    queue.discard(&name.parse()?).await?;
    gateway.stop().await
}

#[tokio::test]
async fn looking_at_a_queue_does_not_count_as_heard_by_the_lease_clock() -> Result<()> {
    let (queue, redis, name) = queue().await?;
    queue.tick(&name.parse()?).await?;
    let heard = async || ask_redis(&redis, &format!("GET {{assay:{name}}}:heard")).await;
    let before = heard().await?;
    // The answer's length, and thirteen digits.
    ensure!(before.trim_end().len() > 13, "{before:?}");
    let flags = ["--redis-url", &redis, "--pools", &name];
    let gateway = Gateway::ready(&testkit::fresh_database().await?, &flags).await?;
    for _ in 0..3 {
        assert_eq!(gateway.get("/api/pools").await?.body["queue"], "known");
    }
    assert_eq!(before, heard().await?);
    queue.discard(&name.parse()?).await?;
    gateway.stop().await
}

#[tokio::test]
async fn without_redis_pools_are_shown_by_the_record() -> Result<()> {
    let away = ["--redis-url", "redis://127.0.0.1:1/"];
    for (flags, queue) in [(&[] as &[&str], "not_configured"), (&away[..], "away")] {
        let gateway = Gateway::ready(&testkit::fresh_database().await?, flags).await?;
        gateway.job().await?;
        let shown = gateway.get("/api/pools").await?;
        assert_eq!((shown.status, &shown.body["queue"]), (200, &json!(queue)), "{shown:?}");
        let state = pool(&shown.body, "default");
        assert_eq!((&state["queue"], &state["active"]["queued"]), (&Value::Null, &json!(1)));
        gateway.stop().await?;
    }
    Ok(())
}

/// The next snapshot of a stream.
async fn next(stream: &mut Response, rest: &mut String) -> Result<Value> {
    let read = async {
        loop {
            if let Some((event, others)) = rest.split_once("\n\n") {
                let event = event.to_owned();
                *rest = others.to_owned();
                if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
                    ensure!(event.lines().any(|line| line == "event: pools"), "{event}");
                    ensure!(event.lines().any(|line| line.starts_with("id: ")), "{event}");
                    return Ok(serde_json::from_str(data)?);
                }
                continue;
            }
            let piece = stream.chunk().await?.context("the stream has ended")?;
            *rest += std::str::from_utf8(&piece)?;
        }
    };
    timeout(LIMIT, read).await?
}

#[tokio::test]
async fn whoever_watches_is_told_each_second_until_the_gateway_stops() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let mut stream = gateway.request(Method::GET, "/api/pools/events").send().await?;
    assert_eq!(stream.status().as_u16(), 200);
    let header =
        |name: &str| stream.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
    let mut rest = String::new();
    let first = next(&mut stream, &mut rest).await?;
    assert_eq!(pool(&first, "default")["counts"]["accepted"], 0);
    gateway.job().await?;
    loop {
        if pool(&next(&mut stream, &mut rest).await?, "default")["counts"]["accepted"] == 1 {
            break;
        }
    }
    gateway.shutdown.request();
    timeout(LIMIT, async { while let Ok(Some(_)) = stream.chunk().await {} }).await?;
    gateway.stop().await
}

#[tokio::test]
async fn the_sampler_rests_while_nobody_watches() -> Result<()> {
    const LOOKS: &str = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes \
                         WHERE indexrelname = 'scoring_jobs_scored'";
    let gateway = Gateway::alone().await?;
    let stream = gateway.request(Method::GET, "/api/pools/events").send().await?;
    until("it looks", async || Ok(gateway.number(LOOKS).await? > 0)).await?;
    drop(stream);
    // What was counted before is shown up to a second later, and up to ten when the session is idle.
    let last = Cell::new((gateway.number(LOOKS).await?, Instant::now()));
    until("it looks no more", async || {
        let looks = gateway.number(LOOKS).await?;
        if looks != last.get().0 {
            last.set((looks, Instant::now()));
        }
        Ok(last.get().1.elapsed() > Duration::from_secs(12))
    })
    .await?;
    gateway.stop().await
}

#[tokio::test]
async fn administrators_see_pools_instructors_their_tenants_share_and_learners_none() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--auth-secret", SECRET]).await?;
    let ask = async |role: &str, tenant: &str, path: &str| -> Result<Answer> {
        let token = Signer::secret().token("any", &claims_but(json!({"role": role, "tenant": tenant})))?;
        answer(gateway.request(Method::GET, path).header("authorization", format!("Bearer {token}"))).await
    };
    gateway
        .execute(
            "INSERT INTO submissions (id, tenant, status, content)
             SELECT gen_random_uuid(), tenant, 'SUBMITTED', '{}' FROM unnest(ARRAY['acme', 'acme', 'other']) AS tenant;
             INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version)
             SELECT ('0' || to_hex((extract(epoch FROM now()) * 1000)::bigint) || substr(md5(id::text), 1, 20))::uuid,
               id, tenant, 'quick', '1' FROM submissions",
        )
        .await?;
    let queued = |answer: &Answer| pool(&answer.body, "default")["active"]["queued"].clone();
    let all = ask("admin", "acme", "/api/pools").await?;
    assert_eq!((&all.body["scope"], queued(&all)), (&json!("all"), json!(3)), "{all:?}");
    let own = ask("instructor", "acme", "/api/pools").await?;
    assert_eq!((&own.body["scope"], queued(&own)), (&json!("tenant"), json!(2)), "{own:?}");
    assert_eq!(
        (&own.body["queue"], &pool(&own.body, "default")["queue"]),
        (&json!("not_shown"), &Value::Null)
    );
    assert_eq!(queued(&ask("instructor", "nobody", "/api/pools").await?), json!(0));
    for path in ["/api/pools", "/api/pools/events"] {
        ask("learner", "acme", path).await?.is_problem(403, "forbidden");
        gateway.get(path).await?.is_problem(401, "unauthenticated");
    }
    let known = ask("instructor", "acme", "/api/caller").await?;
    assert_eq!((&known.body["role"], &known.body["tenant"]), (&json!("instructor"), &json!("acme")));
    for path in ["/", "/ui/"] {
        assert_eq!(gateway.get(path).await?.status, 200, "the page itself asks for no token: {path}");
    }
    gateway.stop().await
}

#[tokio::test]
async fn a_job_tells_how_it_came_to_where_it_stands() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let (job, _) = gateway.job().await?;
    let path = format!("/api/scoring/{job}/attempts");
    let waiting = gateway.get(&path).await?;
    assert_eq!(
        (waiting.status, &waiting.body["attempts"], &waiting.body["actions"]),
        (200, &json!([]), &json!([]))
    );
    assert_eq!((&waiting.body["maxAttempts"], &waiting.body["tenant"]), (&json!(4), &json!("default")));
    gateway
        .execute(&format!(
            "UPDATE scoring_jobs SET status = 'RUNNING', started_at = now(), scorer = 's', attempt = 1, lease_epoch = 7,
               version = version + 1 WHERE id = '{job}'"
        ))
        .await?;
    assert_eq!(gateway.delete(&format!("/api/scoring/{job}")).await?.status, 200);
    let ended = gateway.get(&path).await?;
    assert_eq!(
        (&ended.body["attempts"][0]["outcome"], &ended.body["attempts"][0]["epoch"]),
        (&json!("cancelled"), &json!(7))
    );
    assert_eq!(ended.body["actions"][0]["action"], "cancel");
    let again = gateway.act(&format!("/api/dead-letters/{job}/redrive")).await?.id("job_id")?;
    let redriven = gateway.get(&path).await?;
    assert_eq!(
        (&redriven.body["actions"][1]["action"], &redriven.body["actions"][1]["newJobId"]),
        (&json!("redrive"), &json!(again))
    );
    gateway.get(&format!("/api/scoring/{}/attempts", Uuid::now_v7())).await?.is_problem(404, "unknown_job");
    gateway.stop().await
}

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_allows_nothing_from_elsewhere() -> Result<()> {
    let gateway = Gateway::alone().await?;
    let index = gateway.get("/ui/").await?;
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = index.header("content-security-policy").context("a policy")?;
    ensure!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
    ensure!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let html = index.body.as_str().context("a text")?;
    let script =
        html.split_once("src=\"./").and_then(|(_, rest)| rest.split('"').next()).context("a script")?;
    let script = gateway.get(&format!("/ui/{script}")).await?;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let known =
        gateway.request(Method::GET, "/ui/").header("if-none-match", index.header("etag").context("a tag")?);
    assert_eq!(answer(known).await?.status, 304);
    gateway.get("/ui/assets/none.js").await?.is_problem(404, "unknown_route");
    answer(gateway.request(Method::POST, "/ui/")).await?.is_problem(405, "method_not_allowed");
    gateway.stop().await
}
