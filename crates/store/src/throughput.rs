//! What was accepted and what ended lately, second by second, and what is active.
//!
//! Whole tables are never counted: each statement walks the newest end of an index, and no further than its limit.

use domain::{JobStatus, Pool};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::{Store, StoreError, columns};

/// What happened to jobs of a pool within one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// Since 1970, by the clock of Postgres.
    pub second: i64,
    /// The pool.
    pub pool: Pool,
    /// The tenant, if it is one of those asked for; the jobs of all others stand together.
    pub tenant: Option<String>,
    /// What happened.
    pub kind: ThroughputKind,
    /// To how many jobs.
    pub jobs: u64,
}

/// What may happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThroughputKind {
    /// It was accepted.
    Accepted,
    /// It ended with a score.
    Done,
    /// It ended without one.
    Error,
}

/// What happened lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentThroughput {
    /// Now, by the clock of Postgres.
    pub now: Timestamp,
    /// The first second that was counted in full: the one asked for, or a later one when more happened than is counted.
    pub from: i64,
    /// What happened in each second from then on.
    pub counts: Vec<Throughput>,
}

/// How many jobs of a pool are active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveJobs {
    /// The pool.
    pub pool: Pool,
    /// The tenant, if it is one of those asked for.
    pub tenant: Option<String>,
    /// QUEUED or RUNNING.
    pub status: JobStatus,
    /// How many.
    pub jobs: u64,
}

struct Counted {
    now: Timestamp,
    throughput: Option<Throughput>,
}

impl FromRow<'_, PgRow> for Counted {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let kind = match row.try_get::<Option<&str>, _>("kind")? {
            None => None,
            Some("accepted") => Some(ThroughputKind::Accepted),
            Some("done") => Some(ThroughputKind::Done),
            Some(_) => Some(ThroughputKind::Error),
        };
        let throughput = kind.map(|kind| {
            Ok::<_, sqlx::Error>(Throughput {
                second: row.try_get("second")?,
                pool: columns::pool(row, "pool")?,
                tenant: row.try_get("tenant")?,
                kind,
                jobs: jobs(row)?,
            })
        });
        Ok(Counted { now: columns::timestamp(row, "now")?, throughput: throughput.transpose()? })
    }
}

impl FromRow<'_, PgRow> for ActiveJobs {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(ActiveJobs {
            pool: columns::pool(row, "pool")?,
            tenant: row.try_get("tenant")?,
            status: columns::status(row, "status")?,
            jobs: jobs(row)?,
        })
    }
}

fn jobs(row: &PgRow) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>("jobs")?).unwrap_or(0))
}

// When and how is said as the indexes say it.
const RECENT: &str = "
SELECT now() AS now, t.kind, t.second, t.pool, t.tenant, t.jobs
FROM (VALUES (1)) AS always LEFT JOIN (
  SELECT kind, floor(extract(epoch FROM at))::bigint AS second, pool,
    CASE WHEN tenant = ANY ($2) THEN tenant END AS tenant, count(*) AS jobs
  FROM (
    (SELECT 'accepted' AS kind, created_at AS at, pool, tenant FROM scoring_jobs
     WHERE (created_at AT TIME ZONE 'UTC') >= ($1 AT TIME ZONE 'UTC')
     ORDER BY (created_at AT TIME ZONE 'UTC') DESC, id DESC LIMIT $3)
    UNION ALL
    (SELECT 'done', completed_at, pool, tenant FROM scoring_jobs
     WHERE completed_at IS NOT NULL AND score IS NOT NULL AND completed_at >= $1 ORDER BY completed_at DESC LIMIT $3)
    UNION ALL
    (SELECT 'error', completed_at, pool, tenant FROM scoring_jobs
     WHERE completed_at IS NOT NULL AND score IS NULL AND completed_at >= $1 ORDER BY completed_at DESC LIMIT $3)
  ) happened GROUP BY 1, 2, 3, 4
) t ON TRUE";

// In the order of the index of active jobs, so that it is left where the limit is reached.
const ACTIVE: &str = "
SELECT pool, CASE WHEN tenant = ANY ($1) THEN tenant END AS tenant, status, count(*) AS jobs
FROM (
  SELECT pool, tenant, status FROM scoring_jobs WHERE completed_at IS NULL ORDER BY submission_id LIMIT $2
) active GROUP BY 1, 2, 3";

impl Store {
    /// What happened since this second, apart for each of these tenants. Of each kind the newest `limit` jobs are counted.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn recent_throughput(
        &self,
        since: i64,
        tenants: &[String],
        limit: u32,
    ) -> Result<RecentThroughput, StoreError> {
        let at = Timestamp::from_second(since).unwrap_or(Timestamp::UNIX_EPOCH);
        let query = sqlx::query_as(RECENT).bind(at.to_sqlx()).bind(tenants).bind(i64::from(limit));
        let rows: Vec<Counted> = self.all(query).await?;
        let now = rows.first().map_or(at, |row| row.now);
        let counts: Vec<Throughput> = rows.into_iter().filter_map(|row| row.throughput).collect();
        let from = counted_from(since, &counts, u64::from(limit));
        Ok(RecentThroughput {
            now,
            from,
            counts: counts.into_iter().filter(|count| count.second >= from).collect(),
        })
    }

    /// How many jobs are active, apart for each of these tenants. Not more than `limit` jobs are counted.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn active_jobs(&self, tenants: &[String], limit: u32) -> Result<Vec<ActiveJobs>, StoreError> {
        self.all(sqlx::query_as(ACTIVE).bind(tenants).bind(i64::from(limit))).await
    }
}

/// The first second that is counted in full. A kind of which as many were found as are counted may have more in its
/// oldest second.
fn counted_from(since: i64, counts: &[Throughput], limit: u64) -> i64 {
    let kinds = [ThroughputKind::Accepted, ThroughputKind::Done, ThroughputKind::Error];
    let cut = kinds.into_iter().filter_map(|kind| {
        let of_kind = || counts.iter().filter(move |count| count.kind == kind);
        let all: u64 = of_kind().map(|count| count.jobs).sum();
        of_kind().map(|count| count.second).min().filter(|_| all >= limit)
    });
    cut.max().map_or(since, |oldest| since.max(oldest + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(kind: ThroughputKind, second: i64, jobs: u64) -> Throughput {
        Throughput { second, pool: Pool::default(), tenant: None, kind, jobs }
    }

    #[test]
    fn what_is_counted_in_part_is_left_out() {
        let counts = [
            count(ThroughputKind::Accepted, 100, 3),
            count(ThroughputKind::Done, 104, 6),
            count(ThroughputKind::Done, 105, 4),
        ];
        assert_eq!(counted_from(100, &counts, 10), 105);
        assert_eq!(counted_from(100, &counts, 11), 100);
        assert_eq!(counted_from(100, &[], 10), 100);
    }
}
