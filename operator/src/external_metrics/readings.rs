//! The figures behind the metrics: read from Redis when somebody asks, at most once a second for all who do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Pool;
use jiff::Timestamp;
use queue::{Depth, Queue, QueueError, ScorerLoad};
use tokio::time::Instant;

/// How old a reading may be that is given to another who asks.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How a pool stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// When it was read.
    pub(super) at: Timestamp,
    /// Jobs that are left to do now: those that could be claimed and those that scorers hold. Not what waits for its time.
    pub(super) backlog: u64,
    /// How long ago the oldest of the jobs that could be claimed was accepted, by this machine's clock; to the second.
    pub(super) oldest_age: Duration,
    /// Which part of the slots of all living scorers is occupied, in thousandths. None without scorers.
    pub(super) busy_thousandths: Option<u64>,
}

/// Why it is not known how a pool stands. It must not be taken for nothing to do.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Unknown {
    /// Redis has lost the queue, and it is not whole again yet.
    #[error("the queue of the pool {0} is being rebuilt")]
    NotCurrent(Pool),
    /// Redis did not say.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// The last reading of each pool.
#[derive(Debug)]
pub(super) struct Readings {
    queue: Queue,
    pools: Mutex<HashMap<Pool, Arc<tokio::sync::Mutex<Option<Last>>>>>,
}

#[derive(Clone, Debug)]
struct Last {
    read_at: Instant,
    outcome: Result<Reading, Unknown>,
}

impl Readings {
    pub(super) fn new(queue: Queue) -> Readings {
        Readings { queue, pools: Mutex::default() }
    }

    /// How a pool stands: as read within the last second, or now. Who asks while it is being read waits for the same. The
    /// pools that are asked for must come from a closed set.
    ///
    /// # Errors
    /// When it is not known.
    pub(super) async fn of(&self, pool: &Pool) -> Result<Reading, Unknown> {
        let last = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.entry(pool.clone()).or_default().clone()
        };
        let mut last = last.lock().await;
        if let Some(Last { read_at, outcome }) = &*last
            && read_at.elapsed() < FRESH_FOR
        {
            return outcome.clone();
        }
        let outcome = self.read(pool).await;
        *last = Some(Last { read_at: Instant::now(), outcome: outcome.clone() });
        outcome
    }

    async fn read(&self, pool: &Pool) -> Result<Reading, Unknown> {
        let (depth, scorers) = tokio::try_join!(self.queue.depth(pool), self.queue.scorers(pool))?;
        // Said along with the numbers: a queue that is lost between two calls must not count as empty.
        if !depth.current {
            return Err(Unknown::NotCurrent(pool.clone()));
        }
        Ok(reading(depth, scorers.iter().map(|(_, load)| load), Timestamp::now()))
    }
}

fn reading<'a>(depth: Depth, scorers: impl Iterator<Item = &'a ScorerLoad>, now: Timestamp) -> Reading {
    let slots: u64 = scorers.map(|load| load.slots).sum();
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    let oldest_age_ms = depth.oldest_ready_created_at_ms.map_or(0, |created| now_ms.saturating_sub(created));
    Reading {
        at: now,
        backlog: depth.ready + depth.due + depth.leased,
        oldest_age: Duration::from_secs(oldest_age_ms / 1000),
        // The leases of a scorer that died last on for a while: more than everything is not busy.
        busy_thousandths: (depth.leased * 1000).checked_div(slots).map(|busy| busy.min(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(depth: Depth, slots: &[u64]) -> Reading {
        let scorers: Vec<_> = slots.iter().map(|slots| ScorerLoad { slots: *slots, held: 0 }).collect();
        reading(depth, scorers.iter(), Timestamp::from_millisecond(100_700).expect("a time"))
    }

    #[test]
    fn the_backlog_is_what_could_be_worked_on_now_and_what_is() {
        let depth = Depth { ready: 3, delayed: 10, due: 2, leased: 4, ..Depth::default() };
        assert_eq!(read(depth, &[5]).backlog, 9);
    }

    #[test]
    fn the_age_is_that_of_the_oldest_job_that_could_be_claimed() {
        assert_eq!(read(Depth::default(), &[]).oldest_age, Duration::ZERO);
        for (created_at, age) in [(40_000, 60), (100_000, 0), (200_000, 0)] {
            let depth = Depth { ready: 1, oldest_ready_created_at_ms: Some(created_at), ..Depth::default() };
            assert_eq!(read(depth, &[]).oldest_age, Duration::from_secs(age));
        }
    }

    #[test]
    fn busy_is_the_part_of_the_slots_that_is_occupied_and_unknown_without_scorers() {
        for (leased, slots, busy) in [
            (0, &[] as &[u64], None),
            (3, &[], None),
            (0, &[5, 5], Some(0)),
            (5, &[5, 5], Some(500)),
            (1, &[3], Some(333)),
            // Leases of a scorer that has died.
            (20, &[5], Some(1000)),
        ] {
            let depth = Depth { leased, ..Depth::default() };
            assert_eq!(read(depth, slots).busy_thousandths, busy, "{leased} of {slots:?}");
        }
    }
}
