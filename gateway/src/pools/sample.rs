//! One look at Redis and Postgres.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::Pool;
use futures::future::try_join_all;
use jiff::Timestamp;
use queue::{Depth, Queue, QueueError};
use runtime::Outage;
use store::{ActiveJobs, Store, StoreError};
use tokio::time::{Instant, timeout};

use super::Scope;
use super::window::Window;

/// Redis that takes longer is away: numbers that come late are worth little, and everything else would wait.
const REDIS_TIMEOUT: Duration = Duration::from_millis(700);

/// The most jobs of each kind that one look counts.
const COUNTED: u32 = 100_000;

/// The most active jobs that are counted, and how long the count is used: it is the more expensive look.
const ACTIVE_COUNTED: u32 = 10_000;
const ACTIVE_FOR: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// By the clock of Postgres.
    pub(super) now: Timestamp,
    pub(super) queue: QueueView,
    pub(super) database_is_away: bool,
    pub(super) window: Window,
    /// Nothing when Postgres was never seen.
    pub(super) active: Option<Active>,
}

/// What was seen of the queues.
#[derive(Clone, Debug)]
pub(super) enum QueueView {
    Known(HashMap<Pool, Depth>),
    Away,
    NotConfigured,
}

/// What was seen of the active jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Active {
    pub(super) jobs: Vec<ActiveJobs>,
    /// Whether there are more.
    pub(super) is_cut: bool,
}

/// Looks, again and again, and remembers what was seen before.
pub(super) struct Looker {
    store: Store,
    queue: Option<Queue>,
    named: Vec<Pool>,
    /// Those whose jobs are counted apart.
    tenants: Vec<String>,
    seen: Option<Seen>,
    redis: Outage,
    postgres: Outage,
}

/// What was last seen of Postgres.
struct Seen {
    now: Timestamp,
    at: Instant,
    window: Window,
    active: Active,
    active_at: Instant,
}

/// Why nothing is known of the queues at the moment.
#[derive(Debug, thiserror::Error)]
enum Blind {
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error("no answer within {REDIS_TIMEOUT:?}")]
    Late,
}

impl Looker {
    pub(super) fn new(store: Store, queue: Option<Queue>, named: Vec<Pool>) -> Looker {
        Looker {
            store,
            queue,
            named,
            tenants: Vec::new(),
            seen: None,
            redis: Outage::of("Redis, for what waits in the pools"),
            postgres: Outage::of("Postgres, for what happens in the pools"),
        }
    }

    /// Forgets what was seen. What happens until the next look is counted by that one.
    pub(super) fn forget(&mut self) {
        self.seen = None;
        self.tenants.clear();
    }

    /// Looks once, and counts these tenants apart.
    pub(super) async fn look(&mut self, tenants: BTreeSet<String>) -> Sample {
        if tenants.iter().any(|tenant| !self.tenants.contains(tenant)) {
            // What was counted does not say which of it was theirs.
            self.tenants = tenants.into_iter().collect();
            self.seen = None;
        }
        let (queue, postgres) = tokio::join!(self.look_at_queues(), self.look_at_postgres());
        self.postgres.note(&postgres);
        let database_is_away = postgres.is_err();
        if let Ok(seen) = postgres {
            self.seen = Some(seen);
        }
        match &self.seen {
            Some(seen) => {
                let since = if database_is_away { seen.at.elapsed() } else { Duration::ZERO };
                let now = seen.now.saturating_add(since).unwrap_or(seen.now);
                let (window, active) = (seen.window.clone(), Some(seen.active.clone()));
                Sample { now, queue, database_is_away, window, active }
            }
            // Until Postgres says what time it is, our own clock has to do.
            None => {
                let now = Timestamp::now();
                Sample { now, queue, database_is_away, window: Window::before(now.as_second()), active: None }
            }
        }
    }

    async fn look_at_queues(&self) -> QueueView {
        let Some(queue) = &self.queue else { return QueueView::NotConfigured };
        let mut pools: BTreeSet<&Pool> = self.named.iter().collect();
        if let Some(seen) = &self.seen {
            pools.extend(seen.window.pools(&Scope::All));
            pools.extend(seen.active.jobs.iter().map(|jobs| &jobs.pool));
        }
        let depths = pools.into_iter().map(async |pool| {
            let depth = queue.depth(pool).await?;
            Ok::<_, Blind>((pool.clone(), depth))
        });
        let depths = timeout(REDIS_TIMEOUT, try_join_all(depths)).await.unwrap_or(Err(Blind::Late));
        self.redis.note(&depths);
        depths.map_or(QueueView::Away, |depths| QueueView::Known(depths.into_iter().collect()))
    }

    async fn look_at_postgres(&self) -> Result<Seen, StoreError> {
        let (mut window, active) = match &self.seen {
            Some(seen) => (seen.window.clone(), Some((seen.active.clone(), seen.active_at))),
            // Nothing is as late, so this only asks for the time.
            None => {
                let counted = self.store.recent_throughput(LATEST, &[], 1).await?;
                (Window::before(counted.now.as_second()), None)
            }
        };
        let counted = self.store.recent_throughput(window.count_from(), &self.tenants, COUNTED).await?;
        window.count(&counted);
        let (active, active_at) = match active.filter(|(_, at)| at.elapsed() < ACTIVE_FOR) {
            Some(active) => active,
            None => (self.count_active().await?, Instant::now()),
        };
        Ok(Seen { now: counted.now, at: Instant::now(), window, active, active_at })
    }

    async fn count_active(&self) -> Result<Active, StoreError> {
        let jobs = self.store.active_jobs(&self.tenants, ACTIVE_COUNTED).await?;
        let is_cut = jobs.iter().map(|jobs| jobs.jobs).sum::<u64>() >= u64::from(ACTIVE_COUNTED);
        Ok(Active { jobs, is_cut })
    }
}

/// A second after all that has happened: in the year 4000.
const LATEST: i64 = 64_060_588_800;
