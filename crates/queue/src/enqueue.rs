//! Ways into the queue and out of it that do not depend on a claim.

use domain::queue_rules::Enqueue;
use domain::{JobId, Pool};

use crate::{Queue, QueueError};

impl Queue {
    /// Puts jobs on the queue: among the ready ones, among the delayed ones, or, when a scorer holds them, under a
    /// fresh lease of its epoch. Of a job that is on the queue already only the rank is updated, so this can be
    /// repeated at will: it serves new jobs, changed priorities, rebuilds and audits. Only a lease older than the
    /// row gives way: Redis has lost the claims since.
    ///
    /// Returns how many of the jobs were not on the queue.
    ///
    /// # Errors
    /// When Redis is away or full.
    pub async fn enqueue(&self, pool: &Pool, jobs: &[Enqueue]) -> Result<u64, QueueError> {
        let placed = self.run_for_items(&self.scripts().enqueue, pool, jobs, |item, arguments| {
            arguments.job(item.job);
            arguments.number(item.rank.0);
            arguments.delay(item.delay);
            arguments.number(item.epoch.0);
            arguments.number(u8::from(item.leased));
        });
        Ok(placed.await?.iter().sum())
    }

    /// Takes jobs off the queue, whoever holds them: their scorers learn of it when they renew. Returns how many
    /// were on it.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn cancel(&self, pool: &Pool, jobs: &[JobId]) -> Result<u64, QueueError> {
        let script = &self.scripts().cancel;
        let removed = self.run_for_items(script, pool, jobs, |job, arguments| arguments.job(*job));
        Ok(removed.await?.iter().sum())
    }

    /// Takes waiting jobs off the queue and leaves leased ones alone, as suspending them asks for. Returns how many
    /// were waiting.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn withdraw(&self, pool: &Pool, jobs: &[JobId]) -> Result<u64, QueueError> {
        let script = &self.scripts().withdraw;
        let removed = self.run_for_items(script, pool, jobs, |job, arguments| arguments.job(*job));
        Ok(removed.await?.iter().sum())
    }
}
