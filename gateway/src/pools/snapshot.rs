//! What watchers are shown.

use std::time::Duration;

use domain::{JobStatus, Pool};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::sample::{QueueView, Sample};
use super::window::{Counts, Rates, STEP};
use crate::caller::{Caller, Role};
use crate::openapi::terms;
use crate::problem::{Code, Problem};

/// Whose jobs a watcher sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Everybody's.
    All,
    /// Those of a tenant. How much waits in a pool is left out: it would tell of others.
    Tenant(String),
}

impl Scope {
    /// Of a caller.
    ///
    /// # Errors
    /// For those who do not see more than their own jobs.
    pub(crate) fn of(caller: &Caller) -> Result<Scope, Problem> {
        match caller.role {
            Role::Admin => Ok(Scope::All),
            Role::Instructor => Ok(Scope::Tenant(caller.tenant.clone())),
            Role::Learner => {
                let detail = "Pools are shown to instructors and administrators only.";
                Err(Problem::new(Code::Forbidden, detail))
            }
        }
    }

    /// Whether jobs that were counted for this tenant are among them.
    pub(super) fn sees(&self, counted_for: Option<&str>) -> bool {
        match self {
            Scope::All => true,
            Scope::Tenant(tenant) => counted_for == Some(tenant),
        }
    }
}

/// How the pools stand at one moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PoolsSnapshot)]
pub(crate) struct Snapshot {
    /// When it was taken, by the clock of Postgres.
    at: Timestamp,
    /// `all`, or `tenant`: then jobs of others are not counted, and queues, which all share, are not shown.
    #[schema(value_type = terms::PoolsScope)]
    scope: &'static str,
    /// Whether the numbers of the queues are there: `known`, `away`, `not_configured`, or `not_shown`.
    #[schema(value_type = terms::QueueView)]
    queue: &'static str,
    /// Whether those of the database are there: `known`, or `away`, when the last known ones are shown.
    #[schema(value_type = terms::DatabaseView)]
    database: &'static str,
    /// Since when `counts` are counted: five minutes ago, or later when much has happened since.
    since: Timestamp,
    pools: Vec<PoolState>,
}

/// How a pool stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PoolState {
    #[schema(value_type = terms::Pool)]
    pool: Pool,
    /// What is on its queue.
    #[schema(required)]
    queue: Option<QueueState>,
    /// What is active by the record, whether or not the queue is there.
    #[schema(required)]
    active: Option<ActiveState>,
    /// What happened since `since`.
    counts: Numbers<u64>,
    /// What happened a second, on average over the last five.
    per_second: Numbers<f64>,
    /// What happened lately, step by step; the last one is under way.
    series: Series,
}

/// What is on the queue of a pool.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueueState {
    ready: u64,
    delayed: u64,
    leased: u64,
    /// How long ago the oldest of the ready jobs was accepted.
    #[schema(required)]
    oldest_ready_seconds: Option<f64>,
}

/// What is active in a pool.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ActiveState {
    queued: u64,
    running: u64,
    /// Whether there may be more, since not all were counted.
    at_least: bool,
}

/// Jobs, by what became of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Numbers<T> {
    accepted: T,
    done: T,
    error: T,
}

/// Jobs by what became of them, a number a step.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Series {
    step_seconds: i64,
    accepted: Vec<u64>,
    done: Vec<u64>,
    error: Vec<u64>,
}

impl Snapshot {
    /// Tells it from those before and after.
    pub(crate) fn id(&self) -> String {
        self.at.as_millisecond().to_string()
    }

    /// What a watcher of this scope sees. Pools that may be named are shown also when nothing happens in them.
    pub(crate) fn of(sample: &Sample, scope: &Scope, named: &[Pool]) -> Snapshot {
        let mut pools: Vec<&Pool> = named.iter().collect();
        let active = sample.active.iter().flat_map(|active| &active.jobs);
        let active = active.filter(|jobs| scope.sees(jobs.tenant.as_deref()));
        for pool in sample.window.pools(scope).into_iter().chain(active.map(|jobs| &jobs.pool)) {
            if !pools.contains(&pool) {
                pools.push(pool);
            }
        }
        let queue = match (&sample.queue, scope) {
            (_, Scope::Tenant(_)) => "not_shown",
            (QueueView::Known(_), Scope::All) => "known",
            (QueueView::Away, Scope::All) => "away",
            (QueueView::NotConfigured, Scope::All) => "not_configured",
        };
        Snapshot {
            at: sample.now,
            scope: if *scope == Scope::All { "all" } else { "tenant" },
            queue,
            database: if sample.database_is_away { "away" } else { "known" },
            since: Timestamp::from_second(sample.window.from()).unwrap_or(sample.now),
            pools: pools.into_iter().map(|pool| PoolState::of(sample, scope, pool)).collect(),
        }
    }
}

impl PoolState {
    fn of(sample: &Sample, scope: &Scope, pool: &Pool) -> PoolState {
        let Counts { accepted, done, error } = sample.window.total(pool, scope);
        let rates = sample.window.rates(pool, scope);
        let series = sample.window.series(pool, scope);
        let each = |number: fn(&Counts) -> u64| series.iter().map(number).collect();
        PoolState {
            pool: pool.clone(),
            queue: QueueState::of(sample, scope, pool),
            active: ActiveState::of(sample, scope, pool),
            counts: Numbers { accepted, done, error },
            per_second: Rates::into(rates),
            series: Series {
                step_seconds: STEP,
                accepted: each(|counts| counts.accepted),
                done: each(|counts| counts.done),
                error: each(|counts| counts.error),
            },
        }
    }
}

impl From<Rates> for Numbers<f64> {
    fn from(Rates { accepted, done, error }: Rates) -> Self {
        Numbers { accepted, done, error }
    }
}

impl QueueState {
    fn of(sample: &Sample, scope: &Scope, pool: &Pool) -> Option<QueueState> {
        let QueueView::Known(depths) = &sample.queue else { return None };
        let depth = depths.get(pool).filter(|_| *scope == Scope::All)?;
        let age = |created_ms: u64| {
            // Two readings, a moment apart.
            let age_ms = u64::try_from(sample.now.as_millisecond()).unwrap_or(0).saturating_sub(created_ms);
            Duration::from_millis(age_ms).as_secs_f64()
        };
        Some(QueueState {
            ready: depth.ready,
            delayed: depth.delayed,
            leased: depth.leased,
            oldest_ready_seconds: depth.oldest_ready_created_at_ms.map(age),
        })
    }
}

impl ActiveState {
    /// Nothing when jobs of others fill what is counted, since nothing can be told then.
    fn of(sample: &Sample, scope: &Scope, pool: &Pool) -> Option<ActiveState> {
        let active = sample.active.as_ref()?;
        let at_least = active.is_cut;
        if at_least && *scope != Scope::All {
            return None;
        }
        let seen = active.jobs.iter().filter(|jobs| jobs.pool == *pool && scope.sees(jobs.tenant.as_deref()));
        let (mut queued, mut running) = (0, 0);
        for jobs in seen {
            match jobs.status {
                JobStatus::Queued => queued += jobs.jobs,
                _ => running += jobs.jobs,
            }
        }
        Some(ActiveState { queued, running, at_least })
    }
}
