//! How much waits.

use domain::{Lane, Pool, Priority, Rank};

use crate::{Queue, QueueError};

/// The size of a pool's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that could be claimed.
    pub ready: u64,
    /// Jobs that wait for their time.
    pub delayed: u64,
    /// Those of the delayed ones whose time has come: the next claim or tick makes them ready.
    pub due: u64,
    /// Jobs that scorers hold.
    pub leased: u64,
    /// When the oldest of the ready jobs was created, in milliseconds since 1970 by the clock of Postgres, of which
    /// its rank was made; to the second, rounded down.
    pub oldest_ready_created_at_ms: Option<u64>,
    /// Whether the queue was whole when it was counted, as [`Queue::is_current`] says: else there may be more jobs.
    pub current: bool,
}

impl Queue {
    /// Counts the jobs of a pool. Where more than 500 tenants have ready jobs, the oldest is found in several calls, and
    /// the counts are those of the first.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn depth(&self, pool: &Pool) -> Result<Depth, QueueError> {
        let first_rank = Rank::new(Lane::FIRST, Priority::HIGHEST, 0).0;
        let (mut depth, mut next) = self.depth_from(pool, first_rank).await?;
        while let Some(from) = next {
            let (more, behind) = self.depth_from(pool, from).await?;
            let found = [depth.oldest_ready_created_at_ms, more.oldest_ready_created_at_ms];
            depth.oldest_ready_created_at_ms = found.into_iter().flatten().min();
            next = behind;
        }
        Ok(depth)
    }

    /// Counts the jobs, looks for the oldest among some of those from this rank on, and says from where to go on.
    async fn depth_from(&self, pool: &Pool, rank: u64) -> Result<(Depth, Option<u64>), QueueError> {
        let script = &self.scripts().depth;
        let (ready, delayed, due, leased, oldest, next, current): (u64, u64, u64, u64, i64, i64, bool) = self
            .run(script, pool, |arguments| {
                arguments.number(Rank::SECONDS);
                arguments.number(rank);
            })
            .await?;
        let oldest_seconds = u64::try_from(oldest).ok();
        let oldest_ready_created_at_ms = oldest_seconds.map(|seconds| seconds * 1000);
        let depth = Depth { ready, delayed, due, leased, oldest_ready_created_at_ms, current };
        Ok((depth, next.try_into().ok()))
    }
}
