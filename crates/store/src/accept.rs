//! Accepting jobs: the idempotent insert behind every POST.

use domain::{BatchId, JobId, JobStatus, Knobs, RetryPolicy, SubmissionId};
use jiff_sqlx::ToSqlx;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::QueryAs;
use sqlx::{FromRow, PgConnection, Postgres, Row};
use uuid::Uuid;

use crate::quota::tenants_of;
use crate::{BatchResult, InvalidItem, Quota, ResourceRef, Scope, Store, StoreError, columns};

/// A request for one job.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    /// The id it is to have. Asking again under the same id finds out what the first time did.
    pub id: JobId,
    /// What is to be scored.
    pub submission_id: SubmissionId,
    /// What whoever asks may see: a submission outside of it is unknown.
    pub scope: Scope,
    /// The client's choices.
    pub knobs: Knobs,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
    /// The resource that asks, when it was made with kubectl.
    pub resource: Option<ResourceRef>,
}

/// What came of a request for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The job is there, by this call or by an earlier one under the same id.
    Created {
        /// Its id.
        id: JobId,
    },
    /// The submission has another active job, which serves as well.
    Existing {
        /// The other job's id.
        id: JobId,
        /// Where it stands.
        status: JobStatus,
    },
    /// There can be no such job.
    Refused(Refusal),
    /// Other jobs of the submission came and went faster than they could be looked up: ask again.
    Unsettled,
}

/// Why a job cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// There is no such submission, or it is not for the caller to see.
    #[error("there is no such submission")]
    UnknownSubmission,
    /// The submission may still change.
    #[error("the submission is not SUBMITTED")]
    NotSubmitted,
    /// No rubric has this name.
    #[error("there is no such rubric")]
    UnknownRubric,
    /// The tenant has as many active jobs as it may have.
    #[error("the tenant has as many active jobs as it may have: {allowed}")]
    OverQuota {
        /// How many that is.
        allowed: u64,
    },
    /// The id names a job of another submission.
    #[error("the id belongs to a job of another submission")]
    IdTaken,
}

impl Refusal {
    /// A stable, machine-readable name.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::UnknownSubmission => "unknown_submission",
            Refusal::NotSubmitted => "not_submitted",
            Refusal::UnknownRubric => "unknown_rubric",
            Refusal::OverQuota { .. } => "quota_exceeded",
            Refusal::IdTaken => "id_taken",
        }
    }
}

// Inserts what can be inserted, and says of each item whether it was, or else what speaks against it. Rows are
// inserted in the order of their submissions, so that two calls that meet wait for each other one way only. The
// active jobs that keep an item out may have been committed after this statement's snapshot, so naming them is left
// to LOOK_UP.
const ACCEPT: &str = concat!(
    "WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::integer[],
    $8::integer[], $9::integer[], $10::timestamptz[], $11::boolean[], $12::text[], $13::text[], $14::text[],
    $15::uuid[], $17::integer[], $18::text[])
  WITH ORDINALITY AS t (id, submission_id, asking_tenant, rubric, pool, priority, max_attempts, timeout_seconds,
    ttl_seconds, not_before, suspended, traceparent, resource_namespace, resource_name, resource_uid, backoff_seconds,
    asking_owner, ord)
), weighed AS (
  SELECT i.*, s.tenant, s.owner, s.status AS submission_status, r.version AS rubric_version
  FROM item i
  LEFT JOIN submissions s ON s.id = ANY (ARRAY[i.submission_id]) AND s.tenant = coalesce(i.asking_tenant, s.tenant)
    AND (i.asking_owner IS NULL OR s.owner = i.asking_owner)
  LEFT JOIN current_rubrics r ON r.name = ANY (ARRAY[i.rubric])
), tenants AS MATERIALIZED (
  ",
    tenants_of!("weighed", "$19"),
    "
), counted_once AS (
  -- Of a submission that has an active job, or is asked for twice, no more than one is made. Where all of them fit, it need
  -- not be looked up which.
  SELECT w.*, t.allowed, t.active, w.submission_status = 'SUBMITTED' AND w.rubric_version IS NOT NULL
    AND row_number() OVER (PARTITION BY w.submission_id ORDER BY w.ord) = 1
    AND CASE WHEN t.active + cardinality($1::uuid[]) > t.allowed THEN NOT EXISTS (
      SELECT FROM scoring_jobs a WHERE a.submission_id = w.submission_id AND a.completed_at IS NULL OFFSET 0)
      ELSE TRUE END AS is_new
  FROM weighed w LEFT JOIN tenants t ON t.tenant = w.tenant
), admitted AS (
  SELECT w.*, coalesce(active + count(*) FILTER (WHERE is_new)
    OVER (PARTITION BY tenant ORDER BY ord) > allowed, FALSE) AS too_many
  FROM counted_once w
), inserted AS (
  INSERT INTO scoring_jobs (id, submission_id, batch_id, tenant, owner, rubric, rubric_version, pool, priority,
    max_attempts, backoff_seconds, timeout_seconds, ttl_seconds, not_before, suspended, traceparent, resource_kind,
    resource_namespace, resource_name, resource_uid)
  SELECT id, submission_id, $16::uuid, tenant, owner, rubric, rubric_version, pool, priority,
    max_attempts, backoff_seconds, timeout_seconds, ttl_seconds, not_before, suspended, traceparent,
    CASE WHEN $16::uuid IS NOT NULL THEN 'batch' WHEN resource_uid IS NOT NULL THEN 'job' END,
    resource_namespace, resource_name, resource_uid
  FROM admitted w
  WHERE submission_status = 'SUBMITTED' AND rubric_version IS NOT NULL AND NOT too_many
    AND NOT EXISTS (SELECT FROM scoring_history h WHERE h.id = w.id OFFSET 0)
  ORDER BY submission_id, ord
  ON CONFLICT DO NOTHING
  RETURNING id, submission_id, tenant, suspended
), counted AS (
  INSERT INTO tenant_active_jobs (tenant, jobs) SELECT tenant, count(*) FROM inserted GROUP BY tenant
), unqueued AS (
  INSERT INTO scoring_unqueued (job_id) SELECT id FROM inserted WHERE NOT suspended ON CONFLICT DO NOTHING
)
SELECT w.tenant IS NULL AS unknown_submission, w.submission_status = 'SUBMITTED' AS submitted,
  w.rubric_version IS NULL AS unknown_rubric, n.id IS NOT NULL AS inserted,
  CASE WHEN w.too_many THEN w.allowed END AS allowed
FROM admitted w
LEFT JOIN inserted n ON n.id = w.id AND n.submission_id = w.submission_id
ORDER BY w.ord"
);

const LOOK_UP: &str = "
SELECT CASE WHEN own.status IS NOT NULL THEN own.submission_id = i.submission_id
    ELSE past.submission_id = i.submission_id END AS mine, a.id AS active_id, a.status AS active_status
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS i (id, submission_id, ord)
LEFT JOIN scoring_jobs own ON own.id = ANY (ARRAY[i.id])
LEFT JOIN scoring_history past ON past.id = ANY (ARRAY[i.id])
LEFT JOIN LATERAL (
  SELECT id, status FROM scoring_jobs WHERE submission_id = i.submission_id AND completed_at IS NULL OFFSET 0) a ON TRUE
ORDER BY i.ord";

/// How often an item is tried whose way was barred by a job that had ended when it was looked up.
const ROUNDS: usize = 8;

struct Weighed {
    unknown_submission: bool,
    submitted: bool,
    unknown_rubric: bool,
    inserted: bool,
    /// How many active jobs the tenant may have, if this is one too many.
    allowed: Option<i64>,
}

impl FromRow<'_, PgRow> for Weighed {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Weighed {
            unknown_submission: row.try_get("unknown_submission")?,
            submitted: row.try_get::<Option<bool>, _>("submitted")?.unwrap_or(false),
            unknown_rubric: row.try_get("unknown_rubric")?,
            inserted: row.try_get("inserted")?,
            allowed: row.try_get("allowed")?,
        })
    }
}

impl Weighed {
    /// The answer, unless another job bars the way.
    fn verdict(&self, item: &NewJob) -> Option<Accepted> {
        match self {
            Weighed { inserted: true, .. } => Some(Accepted::Created { id: item.id }),
            Weighed { unknown_submission: true, .. } => Some(Accepted::Refused(Refusal::UnknownSubmission)),
            Weighed { submitted: false, .. } => Some(Accepted::Refused(Refusal::NotSubmitted)),
            // Not yet: the same request may have been accepted while the rubric was there, or there were fewer jobs.
            _ => None,
        }
    }
}

struct Found {
    mine: Option<bool>,
    active: Option<(JobId, JobStatus)>,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let active_id: Option<JobId> = row.try_get("active_id")?;
        let active = active_id.map(|id| Ok::<_, sqlx::Error>((id, columns::status(row, "active_status")?)));
        Ok(Found { mine: row.try_get("mine")?, active: active.transpose()? })
    }
}

impl Store {
    /// Accepts jobs, each on its own and within its own scope: the answers come in the order of the items. Of two items
    /// for one submission the first is accepted. May be repeated as it is after an error.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn accept(&self, items: &[NewJob]) -> BatchResult<Accepted> {
        match self.accept_together(items).await {
            Ok(accepted) => Ok(accepted.into_iter().map(Ok).collect()),
            // One that Postgres refuses must not keep the others out.
            Err(StoreError::Invalid { .. }) => {
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    results.push(match self.accept_together(std::slice::from_ref(item)).await {
                        Ok(mut accepted) => accepted.pop().ok_or_else(no_answer),
                        Err(error) => Err(error.into_invalid_item()?),
                    });
                }
                Ok(results)
            }
            Err(error) => Err(error),
        }
    }

    async fn accept_together(&self, items: &[NewJob]) -> Result<Vec<Accepted>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        self.within_deadline(async {
            let scopes = items.iter().map(|item| &item.scope);
            let mut connection = self.keeping_plans().lease_within(scopes).await?;
            let accepted = accept_on(&mut connection, self.quota, items, None).await;
            connection.give_back_after(accepted).await
        })
        .await
    }
}

fn no_answer() -> InvalidItem {
    InvalidItem { message: "Postgres gave no answer for it".to_owned(), constraint: None }
}

/// Accepts jobs on this connection, as members of the batch if there is one. Every statement commits by itself, or
/// with the caller's transaction.
pub(crate) async fn accept_on(
    connection: &mut PgConnection,
    quota: Quota,
    items: &[NewJob],
    batch: Option<BatchId>,
) -> Result<Vec<Accepted>, sqlx::Error> {
    let mut answers: Vec<Option<Accepted>> = vec![None; items.len()];
    for _ in 0..ROUNDS {
        let open: Vec<usize> = (0..items.len()).filter(|at| answers[*at].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let asked: Vec<&NewJob> = open.iter().map(|at| &items[*at]).collect();
        let weighed: Vec<Weighed> = insert(&asked, quota, batch).fetch_all(&mut *connection).await?;
        for (at, weighed) in open.iter().zip(&weighed) {
            answers[*at] = weighed.verdict(&items[*at]);
        }
        let barred: Vec<(usize, &Weighed)> =
            open.into_iter().zip(&weighed).filter(|(at, _)| answers[*at].is_none()).collect();
        if barred.is_empty() {
            break;
        }
        let ids: Vec<Uuid> = barred.iter().map(|(at, _)| items[*at].id).collect();
        let submissions: Vec<Uuid> = barred.iter().map(|(at, _)| items[*at].submission_id).collect();
        let found: Vec<Found> =
            sqlx::query_as(LOOK_UP).bind(ids).bind(submissions).fetch_all(&mut *connection).await?;
        for ((at, weighed), found) in barred.into_iter().zip(found) {
            answers[at] = match found {
                Found { mine: Some(true), .. } => Some(Accepted::Created { id: items[at].id }),
                Found { mine: Some(false), .. } => Some(Accepted::Refused(Refusal::IdTaken)),
                _ if weighed.unknown_rubric => Some(Accepted::Refused(Refusal::UnknownRubric)),
                Found { active: Some((id, status)), .. } => Some(Accepted::Existing { id, status }),
                Found { .. } if let Some(allowed) = weighed.allowed => {
                    Some(Accepted::Refused(Refusal::OverQuota { allowed: allowed.unsigned_abs() }))
                }
                // The job that barred the way has ended in between: once more.
                Found { mine: None, active: None } => None,
            };
        }
    }
    Ok(answers.into_iter().map(|answer| answer.unwrap_or(Accepted::Unsettled)).collect())
}

fn insert<'q>(
    items: &[&NewJob],
    quota: Quota,
    batch: Option<BatchId>,
) -> QueryAs<'q, Postgres, Weighed, PgArguments> {
    let texts = |of: fn(&NewJob) -> Option<&str>| -> Vec<Option<String>> {
        items.iter().map(|item| of(item).map(str::to_owned)).collect()
    };
    let numbers = |of: fn(&Knobs) -> u32| -> Vec<i32> {
        items.iter().map(|item| columns::to_integer(of(&item.knobs))).collect()
    };
    let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    let submissions: Vec<Uuid> = items.iter().map(|item| item.submission_id).collect();
    let priorities: Vec<i16> = items.iter().map(|item| item.knobs.priority.get().into()).collect();
    let not_before: Vec<Option<jiff_sqlx::Timestamp>> =
        items.iter().map(|item| item.knobs.not_before.map(ToSqlx::to_sqlx)).collect();
    let suspended: Vec<bool> = items.iter().map(|item| item.knobs.suspended).collect();
    let uids: Vec<Option<Uuid>> = items.iter().map(|item| item.resource.as_ref().map(|r| r.uid)).collect();
    sqlx::query_as(ACCEPT)
        .bind(ids)
        .bind(submissions)
        .bind(texts(|item| item.scope.tenant()))
        .bind(texts(|item| Some(&item.knobs.rubric)))
        .bind(texts(|item| Some(item.knobs.pool.as_str())))
        .bind(priorities)
        .bind(numbers(|knobs| RetryPolicy { retries: knobs.retries }.max_attempts()))
        .bind(numbers(|knobs| knobs.timeout_seconds))
        .bind(numbers(|knobs| knobs.ttl_seconds))
        .bind(not_before)
        .bind(suspended)
        .bind(texts(|item| item.traceparent.as_deref()))
        .bind(texts(|item| item.resource.as_ref().map(|r| r.namespace.as_str())))
        .bind(texts(|item| item.resource.as_ref().map(|r| r.name.as_str())))
        .bind(uids)
        .bind(batch)
        .bind(numbers(|knobs| knobs.backoff_seconds))
        .bind(texts(|item| item.scope.owner()))
        .bind(quota.to_parameter())
}
