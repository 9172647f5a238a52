//! Keeps the queue on Redis true to Postgres. Runs on every replica, leader or not, and needs no Kubernetes: queueing
//! is idempotent, and what has ended meanwhile is dropped when it is claimed.

mod audit;
mod pools;
mod sweep;

use std::collections::HashMap;
use std::time::SystemTime;

use domain::{JobId, Pool};
use queue::{Enqueue, Queue, QueueError};
use store::{Store, StoreError, ToQueue};

pub(crate) use pools::keep_all_true;
pub(crate) use sweep::sweep;

use crate::metrics::{Metrics, QueuedBy};
use crate::traces;

/// Puts jobs on the queue and notes in Postgres that they are there.
#[derive(Clone)]
pub(crate) struct QueueKeeper {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    metrics: Metrics,
}

/// Why jobs are not known to be on the queue. Doing it again is always right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueueingError {
    /// Redis did not take them.
    #[error("cannot put jobs on the queue")]
    Queue(#[from] QueueError),
    /// Postgres did not give them, or did not note that they are queued.
    #[error("cannot read or note in Postgres what is queued")]
    Store(#[from] StoreError),
}

impl QueueKeeper {
    /// A keeper of this queue.
    pub(crate) fn new(store: Store, queue: Queue, metrics: Metrics) -> Self {
        QueueKeeper { store, queue, metrics }
    }

    /// Puts jobs on the queue of their pool, then notes it.
    ///
    /// # Errors
    /// When Redis or Postgres is away; some of the jobs may be queued then.
    pub(crate) async fn queue_and_note(
        &self,
        jobs: &[ToQueue],
        found_by: QueuedBy,
    ) -> Result<(), QueueingError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let began = SystemTime::now();
        self.put_on_queue(jobs, found_by).await?;
        self.note(jobs).await?;
        traces::queued(jobs, found_by, &(began..SystemTime::now()));
        Ok(())
    }

    /// Notes that jobs are on the queue. Returns of how many that was news.
    async fn note(&self, jobs: &[ToQueue]) -> Result<usize, StoreError> {
        let ids: Vec<JobId> = jobs.iter().map(|job| job.job).collect();
        let waits = self.store.mark_queued(&ids).await?;
        waits.iter().for_each(|waited| self.metrics.queueing_seconds.observe(waited.as_secs_f64()));
        Ok(waits.len())
    }

    /// Puts jobs on the queue of their pool. Returns how many were not on it.
    ///
    /// # Errors
    /// When Redis is away; some of the jobs may be queued then.
    pub(crate) async fn put_on_queue(&self, jobs: &[ToQueue], found_by: QueuedBy) -> Result<u64, QueueError> {
        let mut by_pool: HashMap<&Pool, Vec<Enqueue>> = HashMap::new();
        for job in jobs {
            by_pool.entry(&job.pool).or_default().push(entry(job));
        }
        let mut missing = 0;
        for (pool, entries) in by_pool {
            missing += self.queue.enqueue(pool, &entries).await?;
        }
        self.metrics.queued.get_or_create(&found_by).inc_by(missing);
        Ok(missing)
    }
}

fn entry(job: &ToQueue) -> Enqueue {
    Enqueue { job: job.job, rank: job.rank, delay: job.delay, epoch: job.epoch, leased: job.leased }
}
