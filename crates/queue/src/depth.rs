//! How much waits.

use domain::{Pool, Priority, Rank};

use crate::{Queue, QueueError};

/// The size of a pool's queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that could be claimed.
    pub ready: u64,
    /// Jobs that wait for their time.
    pub delayed: u64,
    /// Jobs that scorers hold.
    pub leased: u64,
    /// When the oldest of the ready jobs was created, in milliseconds since 1970 by the clock of Postgres, of which
    /// its rank was made.
    pub oldest_ready_created_at_ms: Option<u64>,
}

impl Queue {
    /// Counts the jobs of a pool.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn depth(&self, pool: &Pool) -> Result<Depth, QueueError> {
        let script = &self.scripts().depth;
        let (ready, delayed, leased, oldest): (u64, u64, u64, i64) = self
            .run(script, pool, |arguments| {
                for priority in (0..=9).filter_map(|number| Priority::try_from(number).ok()) {
                    arguments.number(Rank::new(priority, 0).0);
                    arguments.number(Rank::new(priority, u64::MAX).0);
                }
            })
            .await?;
        Ok(Depth { ready, delayed, leased, oldest_ready_created_at_ms: oldest.try_into().ok() })
    }
}
