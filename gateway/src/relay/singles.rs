//! One resource for each of some jobs: many creations under way at once, with what is done noted on the way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use domain::JobId;
use futures::{StreamExt, stream};
use kube::Client;
use runtime::trace::{self, SpanKind};
use store::{JobRow, MirroredJob, Relay, StoreError};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::creation::{Creation, create};
use super::object::scoring_job;
use super::round::ROUND_TIME;

/// Creations under way at once.
const AT_ONCE: usize = 64;

/// When so many are refused and nothing else is, everything is.
const REFUSED_IN_A_ROW: usize = 64;

/// Jobs noted in one statement.
const NOTED_AT_ONCE: usize = 512;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) created: usize,
    /// The jobs that were refused, with the reason in words.
    pub(super) refused: Vec<(JobId, String)>,
    /// Nothing can be created at the moment, for this reason.
    pub(super) away: Option<String>,
    /// Not all were tried.
    pub(super) cut_short: bool,
}

/// Creates the resources of these jobs, and notes that they are there.
pub(super) async fn create_all(
    turn: &Relay,
    client: &Client,
    namespace: &str,
    jobs: Vec<JobRow>,
) -> Result<Tally, StoreError> {
    let (done, to_note) = mpsc::unbounded_channel();
    let halt = AtomicBool::new(false);
    let creating = create_each(client, namespace, jobs, done, &halt);
    let noting = async {
        let noted = note(turn, namespace, to_note).await;
        // Creating more is of no use while it cannot be noted.
        halt.store(noted.is_err(), Ordering::Relaxed);
        noted
    };
    let (tally, noted) = tokio::join!(creating, noting);
    noted.map(|()| tally)
}

async fn create_each(
    client: &Client,
    namespace: &str,
    jobs: Vec<JobRow>,
    done: mpsc::UnboundedSender<MirroredJob>,
    halt: &AtomicBool,
) -> Tally {
    let until = Instant::now() + ROUND_TIME;
    let refused_in_a_row = AtomicUsize::new(0);
    let attempt = async |job: JobRow| {
        if halt.load(Ordering::Relaxed) || Instant::now() > until {
            return (job.id, None);
        }
        let began = SystemTime::now();
        let creation = create(client, namespace, &scoring_job(&job)).await;
        if let Creation::Created { .. } = creation {
            let when = began..SystemTime::now();
            trace::hop("create ScoringJob", SpanKind::Client, job.traceparent.as_deref(), when, &[]);
        }
        match creation {
            Creation::Created { .. } => refused_in_a_row.store(0, Ordering::Relaxed),
            Creation::Refused(_)
                if refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 < REFUSED_IN_A_ROW => {}
            Creation::Refused(_) | Creation::Away(_) => halt.store(true, Ordering::Relaxed),
        }
        (job.id, Some(creation))
    };
    let attempts = stream::iter(jobs).map(attempt);
    let mut attempts = std::pin::pin!(attempts.buffer_unordered(AT_ONCE));
    let mut tally = Tally::default();
    while let Some((job, creation)) = attempts.next().await {
        match creation {
            Some(Creation::Created { uid }) => {
                tally.created += 1;
                // If nobody takes it, noting has failed, which is answered for there.
                let _ = done.send(MirroredJob { job, uid });
            }
            Some(Creation::Refused(reason)) => tally.refused.push((job, reason)),
            Some(Creation::Away(reason)) => tally.away = Some(reason),
            None => tally.cut_short = true,
        }
    }
    if tally.away.is_none() && refused_in_a_row.load(Ordering::Relaxed) >= REFUSED_IN_A_ROW {
        tally.away = tally.refused.last().map(|(_, reason)| format!("everything is refused: {reason}"));
    }
    tally
}

async fn note(
    turn: &Relay,
    namespace: &str,
    mut done: mpsc::UnboundedReceiver<MirroredJob>,
) -> Result<(), StoreError> {
    let mut jobs = Vec::with_capacity(NOTED_AT_ONCE);
    while done.recv_many(&mut jobs, NOTED_AT_ONCE).await > 0 {
        turn.mark_mirrored(&jobs, namespace).await?;
        jobs.clear();
    }
    Ok(())
}
