//! More to do than can be done.

mod open_loop;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use testkit::{Link, Weather};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fixture::{Gateway, WAITS, number, until};
use open_loop::{Load, Outcome};

/// Limits on rates have tests of their own.
const UNLIMITED: [&str; 6] = [
    "--rate-address-reads",
    "1000000/1s",
    "--rate-address-writes",
    "1000000/1s",
    "--connections-per-address",
    "2000",
];

#[tokio::test]
async fn what_finds_no_place_is_refused_soon_and_probes_are_answered_all_the_same() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let flags = ["--in-flight", "2", "--in-flight-wait", "100ms"];
    let gateway = Gateway::ready(&database, &flags).await?;
    let body = json!({"submissionId": gateway.submission().await?});
    let mut holder = PgConnection::connect(&gateway.database).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE scoring_jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await?;
    let refused = async {
        until("two requests are worked on", async || {
            Ok(gateway.metric("assay_gateway_in_flight_requests").await? == 2.0)
        })
        .await?;
        until("a commit waits", async || Ok(number(&database, WAITS).await? > 0)).await?;
        let begun = Instant::now();
        let refused = gateway.post("/api/scoring", &body).await?;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        refused.is_problem(503, "overloaded");
        assert!(refused.header("retry-after").is_some());
        assert_eq!(gateway.get("/healthz").await?.status, 200);
        assert_eq!(gateway.metric(r#"assay_gateway_shed_total{what="request"}"#).await?, 1.0);
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await?;
        anyhow::Ok(())
    };
    let worked_on = async || gateway.post("/api/scoring", &body).await;
    let (one, other, refused) = tokio::join!(worked_on(), worked_on(), refused);
    refused?;
    assert!(matches!((one?.status, other?.status), (202, 200) | (200, 202)));
    assert_eq!(gateway.post("/api/scoring", &body).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn who_searches_at_length_takes_a_share_of_the_database_and_no_more() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &[]).await?;
    let mut holder = PgConnection::connect(&gateway.database).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE scoring_jobs IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await?;
    let searches = try_join_all((0..6).map(|_| gateway.get("/api/scoring?q=words")));
    let released = async {
        until("those of one tenant that find no place are refused", async || {
            Ok(gateway.metric(r#"assay_gateway_shed_total{what="search"}"#).await? == 2.0)
        })
        .await?;
        // Of those that found one, three are under way.
        assert!(number(&database, WAITS).await? <= 3);
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await?;
        anyhow::Ok(())
    };
    let (answers, released) = tokio::join!(searches, released);
    released?;
    let (served, refused): (Vec<_>, Vec<_>) = answers?.into_iter().partition(|answer| answer.status == 200);
    assert!((3..=4).contains(&served.len()), "{refused:?}");
    refused.iter().for_each(|answer| answer.is_problem(503, "overloaded"));
    Ok(())
}

/// A connection on which the head of a POST with a body of so many bytes has been sent, and the first byte of that.
async fn began(gateway: &Gateway, bytes: usize) -> Result<TcpStream> {
    let address = gateway.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /api/submissions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {bytes}\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

#[tokio::test]
async fn clients_that_send_their_bodies_slowly_take_no_place_from_others() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &["--in-flight", "4"]).await?;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(began(&gateway, 100).await?);
    }
    until("they have arrived", async || {
        Ok(gateway.metric("assay_gateway_connections").await? >= 20.0
            && gateway.metric("assay_gateway_in_flight_requests").await? == 0.0)
    })
    .await?;
    for _ in 0..10 {
        assert_eq!(gateway.get("/api/scoring").await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn bodies_that_are_still_arriving_take_a_bounded_amount_of_memory() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let flags = ["--body-limit", "500000", "--body-memory", "1000000"];
    let gateway = Gateway::ready(&database, &flags).await?;
    let first = began(&gateway, 490_000).await?;
    let _second = began(&gateway, 490_000).await?;
    let shed = r#"assay_gateway_shed_total{what="body"}"#;
    until("memory has run out", async || {
        let mut third = began(&gateway, 490_000).await?;
        let mut answer = [0; 12];
        let answered = tokio::time::timeout(Duration::from_millis(200), third.read_exact(&mut answer)).await;
        Ok(answered.is_ok() && &answer == b"HTTP/1.1 503")
    })
    .await?;
    assert!(gateway.metric(shed).await? >= 1.0);
    gateway.job().await.context("a small body needs none of it")?;
    drop(first);
    let body = json!({"content": {"code": "x".repeat(400_000)}});
    until("there is memory again", async || Ok(gateway.post("/api/submissions", &body).await?.status == 201))
        .await
}

/// How many requests a second were served.
fn served(outcome: &Outcome) -> f64 {
    outcome.with_status(|status| status < 300) as f64 / outcome.took.as_secs_f64()
}

fn load(
    gateway: &Gateway,
    request: &[u8],
    connections: usize,
    per_second: f64,
    lasts: Duration,
) -> Result<Load> {
    let address = gateway.url.trim_start_matches("http://").parse()?;
    Ok(Load { address, request: request.to_vec(), connections, per_second, lasts })
}

/// Offers a gateway five times what it can do, and says what came of it.
async fn overload(gateway: &Gateway, request: &[u8], lasts: Duration) -> Result<(f64, Outcome)> {
    let measured = load(gateway, request, 64, f64::INFINITY, Duration::from_secs(2))?.send().await?;
    let capacity = served(&measured);
    let outcome = load(gateway, request, 1500, 5.0 * capacity, lasts)?.send().await?;
    println!("capacity {capacity:.0}/s; offered five times as much: {outcome}");
    Ok((capacity, outcome))
}

/// Whether everybody was answered within a second, some with what they wanted and the others with a clear no.
fn everybody_was_answered(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.slowest() <= Duration::from_secs(1), "somebody waited: {outcome}");
    ensure!(outcome.broken == 0, "connections were broken off: {outcome}");
    let others = outcome.with_status(|status| !matches!(status, 200 | 202 | 429 | 503));
    ensure!(others == 0, "{outcome}");
    Ok(())
}

async fn recovers_at_once(gateway: &Gateway) -> Result<()> {
    for _ in 0..10 {
        let begun = Instant::now();
        let answer = gateway.get("/api/scoring?limit=1").await?;
        ensure!(answer.status == 200, "{answer:?}");
        ensure!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    }
    Ok(())
}

/// A POST of a submission that has a job.
async fn post(gateway: &Gateway) -> Result<String> {
    let (_, submission) = gateway.job().await?;
    let body = json!({"submissionId": submission}).to_string();
    Ok(format!(
        "POST /api/scoring HTTP/1.1\r\nHost: assay\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Offers a gateway five times what it can do while its database answers so late.
async fn overload_with_slow_database(
    late: Duration,
    request: impl AsyncFnOnce(&Gateway) -> Result<String>,
) -> Result<()> {
    let database = testkit::fresh_database().await?;
    let (link, linked) = Link::to_url(&database, Weather::Fair).await?;
    let gateway = Gateway::ready(&linked, &UNLIMITED).await?;
    let request = request(&gateway).await?;
    link.set(Weather::Slow(late));
    let (capacity, outcome) = overload(&gateway, request.as_bytes(), Duration::from_secs(4)).await?;
    ensure!(outcome.with_status(|status| status == 503) > 0, "it was not too much: {outcome}");
    ensure!(outcome.sent() >= 0.9, "the load could not be made: {outcome}");
    everybody_was_answered(&outcome)?;
    ensure!(
        served(&outcome) > capacity / 2.0,
        "of {capacity:.0}/s only {:.0}/s were served",
        served(&outcome)
    );
    link.set(Weather::Fair);
    recovers_at_once(&gateway).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_five_times_the_reads_that_its_database_can_do_it_answers_within_a_second_and_recovers_at_once()
-> Result<()> {
    overload_with_slow_database(Duration::from_millis(10), async |gateway| {
        let (job, _) = gateway.job().await?;
        Ok(format!("GET /api/scoring/{job} HTTP/1.1\r\nHost: assay\r\n\r\n"))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_five_times_the_posts_that_its_database_can_do_it_answers_within_a_second_and_recovers_at_once()
-> Result<()> {
    overload_with_slow_database(Duration::from_millis(20), post).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_five_times_what_it_can_do_itself_it_answers_within_a_second_and_recovers_at_once() -> Result<()> {
    let database = testkit::fresh_database().await?;
    let gateway = Gateway::ready(&database, &UNLIMITED).await?;
    let request = post(&gateway).await?;
    let (capacity, outcome) = overload(&gateway, request.as_bytes(), Duration::from_secs(4)).await?;
    // The load takes the same processors as the gateway: what it serves meanwhile says little, what it serves afterwards
    // says that nothing of it has stayed.
    everybody_was_answered(&outcome)?;
    recovers_at_once(&gateway).await?;
    let again =
        served(&load(&gateway, request.as_bytes(), 64, f64::INFINITY, Duration::from_secs(1))?.send().await?);
    ensure!(again > capacity / 3.0, "{capacity:.0}/s before, {again:.0}/s after");
    Ok(())
}
