//! Scoring is untrusted work: whatever happens to a child process happens to one attempt.
//!
//! What submissions could do to a child, these tests do to it: they stop it, so that it hangs, and kill it.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use domain::{AttemptOutcome, ErrorCode, JobStatus, Knobs};
use serde_json::json;
use testkit::{Seen, until};

use crate::fixture::World;
use crate::process::{LIMIT, ScorerProcess, told_of};

fn tries(retries: u32) -> Knobs {
    Knobs { retries, ..Knobs::default() }
}

#[tokio::test]
async fn a_child_is_confined_and_knows_nothing_of_its_scorer() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--child-memory-mib=256"]).await?;
    let child = scorer.only_child().await?;
    let job = world.queued_to_parse(tries(0)).await?;
    world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
    assert!(child.is_running(), "it is kept for the next job");
    assert_eq!(told_of(&child, "environ")?, "");
    assert_eq!(told_of(&child, "oom_score_adj")?.trim(), "1000");
    assert!(told_of(&child, "status")?.contains("NoNewPrivs:\t1"));
    let limits = told_of(&child, "limits")?;
    for (limit, most) in [
        ("Max address space", 256 << 20),
        ("Max core file size", 0),
        ("Max open files", 3),
        ("Max file size", 0),
        ("Max processes", 0),
    ] {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit)).context(limit)?;
        assert_eq!(line.split_whitespace().next(), Some(most.to_string().as_str()), "{limit}");
    }
    Ok(())
}

/// The memory is what the chart gives a child, the size nearly what the gateway takes, unless told otherwise.
#[tokio::test]
async fn the_largest_submission_is_scored_within_the_memory_of_a_child() -> Result<()> {
    const FUNCTION: &str = "def f(x):\n    if x > 1:\n        return [x + 1, x * 2]\n    return x\n\n\n";
    let world = World::new().await?;
    let _scorer = ScorerProcess::start(&world, &["--child-memory-mib=256"]).await?;
    let code = FUNCTION.repeat((1 << 20) / (FUNCTION.len() + 10));
    let content = json!({ "language": "python", "code": code }).to_string();
    ensure!((900_000..1 << 20).contains(&content.len()), "{} bytes", content.len());
    let job = world.queued_with(tries(0), &content).await?;
    let row = world.until_row(job, "ended", |row| row.status.is_terminal()).await?;
    assert_eq!(row.status, JobStatus::Done, "{row:?}");
    Ok(())
}

#[tokio::test]
async fn lone_jobs_are_scored_one_after_the_other_by_the_child_that_stands_ready() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--concurrency=1"]).await?;
    let child = scorer.only_child().await?;
    let mut took = Vec::new();
    for _ in 0..10 {
        let job = world.queued_to_parse(tries(0)).await?;
        let row = world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
        took.extend(row.completed_at.zip(row.started_at).map(|(end, start)| end.duration_since(start)));
    }
    took.sort_unstable();
    println!("from RUNNING to DONE: p50 {:?}, max {:?}", took[took.len() / 2], took[took.len() - 1]);
    assert_eq!(scorer.only_child().await?.pid(), child.pid());
    Ok(())
}

#[tokio::test]
async fn a_child_that_dies_fails_its_attempt_alone() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--concurrency=2"]).await?;
    let victim = scorer.only_child_stalled().await?;
    let job = world.queued_to_parse(tries(3)).await?;
    world.until_row(job, "running", |row| row.status == JobStatus::Running).await?;
    let innocent = world.queued_to_parse(tries(0)).await?;
    world.until_row(innocent, "done", |row| row.status == JobStatus::Done).await?;
    victim.kill9().await?;
    let row = world.until_row(job, "waiting", |row| row.status == JobStatus::Queued).await?;
    assert_eq!((row.attempt, row.error_code), (1, Some(ErrorCode::CRASHED)));
    let told = row.error_message.unwrap_or_default();
    assert!(told.contains("SIGKILL"), "{told}");
    world.until_row(job, "done", |row| row.status == JobStatus::Done).await?;
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::Retryable, AttemptOutcome::Done]);
    assert_eq!((scorer.attempts("retryable").await?, scorer.attempts("done").await?), (1.0, 2.0));
    Ok(())
}

#[tokio::test]
async fn a_job_that_kills_three_processes_ends_in_error_with_attempts_left() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--concurrency=1"]).await?;
    let mut victim = scorer.only_child_stalled().await?;
    let job = world.queued_to_parse(tries(9)).await?;
    for attempt in 1..=3 {
        let running = |row: &store::JobRow| row.status == JobStatus::Running && row.attempt == attempt;
        world.until_row(job, "running", running).await?;
        victim.kill9().await?;
        victim = scorer.only_child_stalled().await?;
    }
    let row = world.until_row(job, "ended", |row| row.status == JobStatus::Error).await?;
    assert_eq!((row.attempt, row.error_code), (3, Some(ErrorCode::CRASHED)));
    let feedback = row.feedback.unwrap_or_default();
    assert!(feedback.contains("3 attempts"), "{feedback}");
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::Retryable; 3]);
    Ok(())
}

#[tokio::test]
async fn a_child_that_died_with_nothing_to_do_costs_no_attempt() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &[]).await?;
    scorer.only_child().await?.kill9().await?;
    let job = world.queued_to_parse(tries(0)).await?;
    let row = world.until_row(job, "ended", |row| row.status.is_terminal()).await?;
    assert_eq!((row.status, row.attempt), (JobStatus::Done, 1));
    Ok(())
}

#[tokio::test]
async fn a_child_that_cannot_start_costs_no_attempt_and_is_told_of() -> Result<()> {
    let world = World::new().await?;
    // A program that says no and goes.
    let engine = Arc::new(scorer::Children::new("/bin/false", 64, 1));
    let scorer = world.scorer_with(engine, 1).await?;
    let job = world.queued_to_parse(tries(0)).await?;
    let released = |row: &store::JobRow| row.status == JobStatus::Queued && row.epoch > domain::Epoch::NONE;
    let row = world.until_row(job, "handed back", released).await?;
    assert_eq!((row.attempt, row.error_code), (0, None));
    let attempts = world.store.attempts(job).await?;
    let told = attempts[0].message.as_deref().unwrap_or_default();
    assert!(told.contains("could not start (exit status: 1)"), "{told}");
    scorer.stop().await
}

#[tokio::test]
async fn a_job_that_hangs_is_stopped_at_its_timeout_and_its_slot_serves_the_next() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--concurrency=1"]).await?;
    let hung = scorer.only_child_stalled().await?;
    let job = world.queued_to_parse(Knobs { timeout_seconds: 1, ..tries(0) }).await?;
    world.until_row(job, "running", |row| row.status == JobStatus::Running).await?;
    let next = world.queued_to_parse(tries(0)).await?;
    world.until_row(next, "done", |row| row.status == JobStatus::Done).await?;
    hung.wait_exit(LIMIT).await?;
    until("it is reaped", LIMIT, async || {
        let stat = told_of(&hung, "stat").ok();
        Ok(Seen::when(stat.is_none(), || format!("{stat:?}")))
    })
    .await?;
    let row = world.until_row(job, "ended", |row| row.status == JobStatus::Error).await?;
    assert_eq!(row.error_code, Some(ErrorCode::TIMEOUT));
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::Retryable]);
    let took = row.completed_at.context("its end")?.duration_since(row.started_at.context("its start")?);
    assert!((0.9..3.0).contains(&took.as_secs_f64()), "{took}");
    Ok(())
}

#[tokio::test]
async fn a_submission_that_needs_more_memory_than_it_may_fails_alone_and_is_told_so() -> Result<()> {
    let world = World::new().await?;
    let _scorer = ScorerProcess::start(&world, &["--child-memory-mib=64"]).await?;
    let content = json!({ "language": "python", "code": "x=[1,2,3]\n".repeat(90_000) }).to_string();
    let greedy = world.accepted_with(tries(0), &content).await?;
    world.enqueue(&world.store.active_of(&[greedy]).await?).await?;
    let row = world.until_row(greedy, "ended", |row| row.status.is_terminal()).await?;
    assert_eq!((row.status, row.error_code), (JobStatus::Error, Some(ErrorCode::CRASHED)));
    let feedback = row.feedback.unwrap_or_default();
    assert!(feedback.contains("64 MiB of memory"), "{feedback}");
    let modest = world.queued_to_parse(tries(0)).await?;
    world.until_row(modest, "done", |row| row.status == JobStatus::Done).await?;
    Ok(())
}

#[tokio::test]
async fn no_child_outlives_a_scorer_that_is_killed() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--concurrency=1"]).await?;
    let at_work = scorer.only_child_stalled().await?;
    let job = world.queued_to_parse(tries(0)).await?;
    world.until_row(job, "running", |row| row.status == JobStatus::Running).await?;
    scorer.process.kill9().await?;
    at_work.wait_exit(LIMIT).await
}
