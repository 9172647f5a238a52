//! Cancelling what runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use domain::{AttemptOutcome, JobId, JobStatus, Knobs};
use futures::FutureExt;
use futures::future::BoxFuture;
use scorer::{Assignment, Engine, Outcome};
use store::{Ending, FinishRequest, Finished};
use testkit::{Seen, until};

use crate::fixture::World;
use crate::process::{LIMIT, ScorerProcess};

const WITHIN: Duration = Duration::from_secs(1);

/// Scores for ever, and notes when it was stopped.
#[derive(Clone, Default)]
struct Endless {
    stopped: Arc<Mutex<HashMap<JobId, Instant>>>,
}

struct UnderWay {
    assignment: Assignment,
    engine: Endless,
}

impl Engine for Endless {
    fn score(&self, assignment: Assignment) -> BoxFuture<'static, Outcome> {
        let under_way = UnderWay { assignment, engine: self.clone() };
        async move {
            let _under_way = under_way;
            std::future::pending().await
        }
        .boxed()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut stopped = self.engine.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.insert(self.assignment.job, Instant::now());
    }
}

#[tokio::test]
async fn every_one_of_a_hundred_cancelled_jobs_stops_within_a_second() -> Result<()> {
    const JOBS: usize = 100;
    let world = World::new().await?;
    let engine = Endless::default();
    let scorer = world.scorer_with(Arc::new(engine.clone()), JOBS).await?;
    let mut jobs = Vec::new();
    for _ in 0..JOBS {
        jobs.push(world.queued().await?);
    }
    for job in &jobs {
        world.until_row(*job, "running", |row| row.status == JobStatus::Running).await?;
    }
    let mut answered = HashMap::new();
    for job in &jobs {
        world.cancel(*job).await?;
        answered.insert(*job, Instant::now());
        // So that they fall on all moments between two looks.
        tokio::time::sleep(Duration::from_millis(11)).await;
    }
    until("all are stopped", LIMIT, async || {
        let stopped = engine.stopped.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(Seen::when(stopped == JOBS, || format!("{stopped} are")))
    })
    .await?;
    let stopped = engine.stopped.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let late = |job: &JobId| stopped[job].saturating_duration_since(answered[job]);
    let mut late: Vec<Duration> = jobs.iter().map(late).collect();
    late.sort_unstable();
    println!(
        "from the answer to DELETE until the work stopped: p50 {:?}, max {:?}",
        late[JOBS / 2],
        late[JOBS - 1]
    );
    assert!(late[JOBS - 1] < WITHIN, "{:?}", late[JOBS - 1]);
    for job in &jobs {
        assert_eq!(world.outcomes(*job).await?, [AttemptOutcome::Cancelled]);
    }
    scorer.stop().await
}

#[tokio::test]
async fn a_cancelled_jobs_child_is_killed_its_slot_is_free_and_a_late_result_refused() -> Result<()> {
    let world = World::new().await?;
    let scorer = ScorerProcess::start(&world, &["--concurrency=1"]).await?;
    let child = scorer.only_child_stalled().await?;
    let job = world.queued_to_parse(Knobs::default()).await?;
    let row = world.until_row(job, "running", |row| row.status == JobStatus::Running).await?;
    let next = world.queued_to_parse(Knobs::default()).await?;
    world.cancel(job).await?;
    let answered = Instant::now();
    child.wait_exit(LIMIT).await?;
    let late = answered.elapsed();
    println!("from the answer to DELETE until the child was gone: {late:?}");
    assert!(late < WITHIN, "{late:?}");
    world.until_row(next, "done", |row| row.status == JobStatus::Done).await?;

    let ending = Ending::Done { score: 1.0, feedback: "late".to_owned(), result: "{}".to_owned() };
    let answers = world.store.finish(&[FinishRequest { job, epoch: row.epoch, ending }]).await?;
    assert_eq!(answers, [Ok(Finished::Refused)]);
    assert_eq!(world.row(job).await?.status, JobStatus::Error);
    assert_eq!(world.outcomes(job).await?, [AttemptOutcome::Cancelled]);
    assert_eq!((scorer.attempts("cancelled").await?, scorer.attempts("done").await?), (1.0, 1.0));
    Ok(())
}

#[tokio::test]
async fn a_lost_attempt_is_counted_by_the_scorer_that_takes_over() -> Result<()> {
    let world = World::new().await?;
    let job = world.queued().await?;
    let claim = world.claim().await?;
    let start = store::StartRequest {
        job,
        epoch: claim.epoch,
        expired: domain::Epoch::NONE,
        scorer: "dead".to_owned(),
    };
    world.store.start(&[start]).await?.pop().context("an answer")?;
    world.let_lease_run_out(job)?;
    let scorer = ScorerProcess::start(&world, &[]).await?;
    world.until_row(job, "ended", |row| row.status == JobStatus::Error).await?;
    until("it is counted", LIMIT, async || {
        let lost = scorer.attempts("lease_lost").await?;
        Ok(Seen::when(lost >= 1.0, || format!("{lost}")))
    })
    .await
}
