//! The queue follows what a person changes in the spec of a job that is waiting.

use std::collections::HashMap;

use domain::{JobId, JobStatus, Pool};
use store::{JobRow, ToQueue};

use crate::metrics::QueuedBy;
use crate::queueing::{QueueKeeper, QueueingError};

/// Held-back jobs leave the queue; those with a new priority change their place.
///
/// # Errors
/// When Redis or Postgres is away; the queue may follow some of the jobs then.
pub(crate) async fn bring_queue_in_line(jobs: &[JobRow], keeper: &QueueKeeper) -> Result<(), QueueingError> {
    let waiting: Vec<ToQueue> = jobs.iter().filter_map(JobRow::to_queue).collect();
    if !waiting.is_empty() {
        keeper.queue_and_note(&waiting, QueuedBy::RESOURCE).await?;
    }
    let mut held_back: HashMap<&Pool, Vec<JobId>> = HashMap::new();
    for job in jobs.iter().filter(|job| job.status == JobStatus::Queued && job.suspended) {
        held_back.entry(&job.pool).or_default().push(job.id);
    }
    for (pool, jobs) in held_back {
        keeper.queue.withdraw(pool, &jobs).await?;
    }
    Ok(())
}
