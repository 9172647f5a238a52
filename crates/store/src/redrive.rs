//! Redriving: a new job for the submission of one that has ended, with the same choices. Ended rows never change.

use domain::{JobId, JobStatus};
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::history::history_row;
use crate::quota::tenants_of;
use crate::text::without_nul;
use crate::{Store, StoreError, columns};

/// A dead letter to be redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The job that ended without a score.
    pub job: JobId,
    /// The id that the new one is to have. Asking again under the same id finds out what the first time did.
    pub new_id: JobId,
}

/// Who has dead letters redriven, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct RedriveOrder {
    /// Who, for the audit log.
    pub by: String,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
    /// Whether those are meant as well that a person cancelled.
    pub cancelled_too: bool,
    /// How many of the new jobs may start in a second, from now on or from when the last of those is due that were
    /// redriven at a rate before; `None`: all at once. Above zero.
    pub per_second: Option<f64>,
    /// Whether to say only what would be done.
    pub dry_run: bool,
}

impl RedriveOrder {
    /// An order for all that is named, at once.
    pub fn by(by: impl Into<String>) -> RedriveOrder {
        RedriveOrder {
            by: by.into(),
            traceparent: None,
            cancelled_too: false,
            per_second: None,
            dry_run: false,
        }
    }
}

/// What came of the wish to redrive a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// There is a new job, by this call or by an earlier one under the same id. In a dry run: there would be.
    Made {
        /// The new job.
        id: JobId,
        /// When it may start, if not at once.
        not_before: Option<Timestamp>,
    },
    /// There is none, and need not be.
    Skipped(Skip),
    /// The job has not ended without a score.
    NotFailed {
        /// Where it stands.
        status: JobStatus,
    },
    /// There is no such job.
    NotFound,
    /// Other jobs of the submission came and went faster than they could be looked up: ask again.
    Unsettled,
}

/// Why a dead letter is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// It was redriven before. Should that job have died too, it is a dead letter of its own.
    Redriven {
        /// The job it was redriven as.
        job: JobId,
        /// Where that one stands; nothing when its row is no longer kept.
        status: Option<JobStatus>,
    },
    /// A person cancelled it, and those were not meant.
    Cancelled,
    /// A later job has scored the submission under the same rubric.
    Scored {
        /// The other job.
        job: JobId,
    },
    /// The submission has an active job.
    Active {
        /// The other job.
        job: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// The tenant has as many active jobs as it may have.
    OverQuota {
        /// How many that is.
        allowed: u64,
    },
    /// Its rubric is gone.
    UnknownRubric,
    /// Its submission was deleted.
    UnknownSubmission,
}

impl Skip {
    /// A stable, machine-readable name.
    pub fn code(self) -> &'static str {
        match self {
            Skip::Redriven { .. } => "redriven_before",
            Skip::Cancelled => "cancelled",
            Skip::Scored { .. } => "scored_since",
            Skip::Active { .. } => "active_job",
            Skip::OverQuota { .. } => "quota_exceeded",
            Skip::UnknownRubric => "unknown_rubric",
            Skip::UnknownSubmission => "unknown_submission",
        }
    }
}

// One statement, so that a job, its place in `redrives` and its entry in the audit log are there together or not at all.
// What speaks against an item is judged by this statement's snapshot. Two indexes hold it against what others do at the
// same time: by the one for active jobs an item stays out, and is judged anew; by the key of `redrives` the statement fails
// as a whole (the other's job has come and gone since the snapshot), and is made anew.
//
// What is looked up for each item is LATERAL with LIMIT, so that it is looked up by an index, whatever the planner thinks of
// tables that were empty a moment ago: compared with all that this very redrive has made, each page took longer.
//
// Rows are inserted in the order of their submissions, as by ACCEPT. $7: to score again whatever has ended, however often.
const REDRIVE: &str = concat!(
    "WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS t (job, new_job, ord)
), judged AS MATERIALIZED (
  SELECT i.ord, i.job, i.new_job, j.submission_id, j.tenant, j.owner, j.status, j.rubric, r.version AS rubric_version, j.pool,
    j.priority, j.max_attempts, j.backoff_seconds, j.timeout_seconds, j.ttl_seconds, j.error_code, j.status = 'ERROR' AS failed,
    j.status = 'ERROR' AND d.new_job IS NULL AS to_note, d.new_job AS successor, d.status AS successor_status,
    own.not_before AS own_not_before,
    scored.id AS scored, active.id AS active, active.status AS active_status, CASE
      WHEN j.id IS NULL THEN 'unknown'
      WHEN own.submission_id = j.submission_id THEN 'made'
      WHEN j.completed_at IS NULL OR (j.status <> 'ERROR' AND NOT $7) THEN 'not_failed'
      WHEN d.new_job IS NOT NULL AND NOT $7 THEN 'redriven'
      WHEN j.error_code = 'cancelled' AND NOT ($7 OR $8) THEN 'cancelled'
      WHEN scored.id IS NOT NULL AND NOT $7 THEN 'scored'
      WHEN active.id IS NOT NULL THEN 'active'
      WHEN r.version IS NULL THEN 'unknown_rubric'
      WHEN NOT EXISTS (SELECT FROM submissions u WHERE u.id = j.submission_id OFFSET 0) THEN 'unknown_submission'
      ELSE 'free' END AS verdict
  FROM item i
  LEFT JOIN LATERAL (
    (SELECT j.* FROM scoring_jobs j WHERE j.id = i.job LIMIT 1)
    UNION ALL
    (SELECT j.* FROM ",
    history_row!(),
    " WHERE h.id = i.job LIMIT 1)
    LIMIT 1
  ) j ON j.tenant = coalesce($4, j.tenant) AND ($10::text IS NULL OR j.owner = $10)
  LEFT JOIN LATERAL (SELECT o.submission_id, o.not_before FROM scoring_jobs o WHERE o.id = i.new_job LIMIT 1) own ON TRUE
  LEFT JOIN LATERAL (
    SELECT r.new_job, coalesce(
      (SELECT n.status FROM scoring_jobs n WHERE n.id = r.new_job),
      (SELECT h.status FROM scoring_history h WHERE h.id = r.new_job)) AS status
    FROM redrives r WHERE r.job_id = j.id LIMIT 1
  ) d ON TRUE
  LEFT JOIN LATERAL (
    SELECT a.id, a.status FROM scoring_jobs a WHERE a.submission_id = j.submission_id AND a.completed_at IS NULL LIMIT 1
  ) active ON TRUE
  LEFT JOIN LATERAL (
    (SELECT s.id FROM scoring_jobs s
    WHERE s.submission_id = j.submission_id AND s.created_at > j.created_at AND s.rubric = j.rubric AND s.status = 'DONE'
    ORDER BY s.created_at DESC, s.id DESC LIMIT 1)
    UNION ALL
    (SELECT h.id FROM scoring_history h
    WHERE h.submission_id = j.submission_id AND h.status = 'DONE' AND h.completed_at > j.completed_at
      AND h.job ->> 'rubric' = j.rubric LIMIT 1)
    LIMIT 1
  ) scored ON TRUE
  LEFT JOIN LATERAL (SELECT c.version FROM current_rubrics c WHERE c.name = j.rubric LIMIT 1) r ON TRUE
), tenants AS MATERIALIZED (
  ",
    tenants_of!("judged", "$11"),
    "
), admitted AS (
  SELECT g.ord, t.allowed, coalesce(t.active + row_number() OVER (PARTITION BY g.tenant ORDER BY g.ord) > t.allowed, FALSE)
    AS too_many
  FROM judged g LEFT JOIN tenants t ON t.tenant = g.tenant WHERE g.verdict = 'free'
), pace AS (
  SELECT greatest(now(), (
    SELECT r.due_at FROM redrives r
    WHERE r.due_at > now() AND (SELECT j.completed_at IS NULL AND j.tenant = ANY (SELECT g.tenant FROM judged g)
      FROM scoring_jobs j WHERE j.id = r.new_job)
    ORDER BY r.due_at DESC LIMIT 1
  ) + make_interval(secs => 1 / $6::double precision)) AS begins
), due AS (
  SELECT ord, CASE WHEN $6::double precision IS NOT NULL
    THEN begins + make_interval(secs => (row_number() OVER (ORDER BY ord) - 1) / $6::double precision) END AS due_at
  FROM admitted, pace WHERE NOT too_many
), inserted AS (
  INSERT INTO scoring_jobs (id, submission_id, tenant, owner, rubric, rubric_version, pool, priority, max_attempts,
    backoff_seconds, timeout_seconds, ttl_seconds, not_before, traceparent)
  SELECT new_job, submission_id, tenant, owner, rubric, rubric_version, pool, priority, max_attempts, backoff_seconds,
    timeout_seconds, ttl_seconds, due_at, $5
  FROM judged JOIN due USING (ord) WHERE NOT $9
  ORDER BY submission_id, ord
  ON CONFLICT DO NOTHING
  RETURNING id, tenant, not_before
), counted AS (
  INSERT INTO tenant_active_jobs (tenant, jobs) SELECT tenant, count(*) FROM inserted GROUP BY tenant
), unqueued AS (
  INSERT INTO scoring_unqueued (job_id) SELECT id FROM inserted ON CONFLICT DO NOTHING
), noted AS (
  INSERT INTO redrives (job_id, new_job, due_at)
  SELECT g.job, g.new_job, n.not_before FROM inserted n JOIN judged g ON g.new_job = n.id
  WHERE g.to_note
  ORDER BY g.job
), logged AS (
  INSERT INTO audit_log (actor, action, job_id, detail)
  SELECT $3, CASE WHEN g.failed THEN 'redrive' ELSE 'regrade' END, g.job,
    jsonb_strip_nulls(jsonb_build_object('new_job', g.new_job, 'code', g.error_code, 'not_before', n.not_before))
  FROM inserted n JOIN judged g ON g.new_job = n.id ORDER BY g.ord
)
SELECT CASE WHEN g.verdict <> 'free' THEN g.verdict WHEN too_many THEN 'over_quota' WHEN n.id IS NOT NULL OR $9 THEN 'made' ELSE 'overtaken' END AS verdict,
  allowed, g.new_job, coalesce(due_at, own_not_before) AS not_before, g.status, successor, successor_status, scored, active,
  active_status
FROM judged g LEFT JOIN admitted USING (ord) LEFT JOIN due USING (ord) LEFT JOIN inserted n ON n.id = g.new_job
ORDER BY g.ord"
);

/// The key that keeps a dead letter from being redriven twice.
const ONCE: &str = "redrives_pkey";

/// How often an item is tried whose way was barred by what had gone when it was looked up.
const ROUNDS: usize = 8;

impl FromRow<'_, PgRow> for Redriven {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(match row.try_get::<&str, _>("verdict")? {
            "made" => Redriven::Made {
                id: row.try_get("new_job")?,
                not_before: columns::optional_timestamp(row, "not_before")?,
            },
            "redriven" => Redriven::Skipped(Skip::Redriven {
                job: row.try_get("successor")?,
                status: columns::optional_named(row, "successor_status")?,
            }),
            "cancelled" => Redriven::Skipped(Skip::Cancelled),
            "scored" => Redriven::Skipped(Skip::Scored { job: row.try_get("scored")? }),
            "active" => Redriven::Skipped(Skip::Active {
                job: row.try_get("active")?,
                status: columns::status(row, "active_status")?,
            }),
            "over_quota" => Redriven::Skipped(Skip::OverQuota {
                allowed: row.try_get::<i64, _>("allowed")?.unsigned_abs(),
            }),
            "unknown_rubric" => Redriven::Skipped(Skip::UnknownRubric),
            "unknown_submission" => Redriven::Skipped(Skip::UnknownSubmission),
            "not_failed" => Redriven::NotFailed { status: columns::status(row, "status")? },
            "unknown" => Redriven::NotFound,
            _ => Redriven::Unsettled,
        })
    }
}

/// Which ended jobs get a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Dead letters that have not been redriven and whose submission has no score since.
    DeadLetters,
    /// Any, as often as it is asked for.
    AnyEnded,
}

impl Store {
    /// Redrives dead letters, each on its own: the answers come in the order of the items. To be called with a page of
    /// them, since all are one statement. May be repeated as it is after an error, and by several at once: each dead
    /// letter is redriven once.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn redrive(
        &self,
        redrives: &[Redrive],
        order: &RedriveOrder,
    ) -> Result<Vec<Redriven>, StoreError> {
        self.make_anew(redrives, order, Which::DeadLetters).await
    }

    /// Makes new jobs for ended ones.
    pub(crate) async fn make_anew(
        &self,
        redrives: &[Redrive],
        order: &RedriveOrder,
        which: Which,
    ) -> Result<Vec<Redriven>, StoreError> {
        let mut answers = vec![Redriven::Unsettled; redrives.len()];
        for _ in 0..ROUNDS {
            let open: Vec<usize> =
                (0..redrives.len()).filter(|at| answers[*at] == Redriven::Unsettled).collect();
            if open.is_empty() {
                break;
            }
            let query = sqlx::query_as(REDRIVE)
                .bind(open.iter().map(|at| redrives[*at].job).collect::<Vec<Uuid>>())
                .bind(open.iter().map(|at| redrives[*at].new_id).collect::<Vec<Uuid>>())
                .bind(without_nul(&order.by))
                .bind(self.scope.tenant())
                .bind(order.traceparent.as_deref())
                .bind(order.per_second)
                .bind(which == Which::AnyEnded)
                .bind(order.cancelled_too)
                .bind(order.dry_run)
                .bind(self.scope.owner())
                .bind(self.quota.to_parameter());
            match self.all(query).await {
                Ok(judged) => {
                    for (at, answer) in open.into_iter().zip(judged) {
                        answers[at] = answer;
                    }
                }
                Err(StoreError::Invalid { constraint: Some(constraint), .. }) if constraint == ONCE => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }
}
