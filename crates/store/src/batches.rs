//! Batches: many jobs accepted in one commit.

use domain::{BatchId, JobId, Knobs, SubmissionId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Connection, FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::accept::{Accepted, NewJob, accept_on};
use crate::{ResourceRef, Store, StoreError, columns};

/// Who made a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BatchOrigin {
    /// A client, with one POST.
    Api,
    /// The gateway, out of single jobs that the API server could not take one by one.
    Overflow,
    /// A person, with kubectl.
    Kubectl,
}

impl BatchOrigin {
    /// The name used in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            BatchOrigin::Api => "api",
            BatchOrigin::Overflow => "overflow",
            BatchOrigin::Kubectl => "kubectl",
        }
    }
}

/// A request for a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBatch {
    /// The id it is to have. Asking again under the same id finds out what the first time did.
    pub id: BatchId,
    /// Whose it is; `None`: that of its submissions, if they have one in common.
    pub tenant: Option<String>,
    /// Which subject of the tenant asks, if it is one.
    pub owner: Option<String>,
    /// What is to be scored, at most 1,000.
    pub submission_ids: Vec<SubmissionId>,
    /// The client's choices, the same for all.
    pub knobs: Knobs,
    /// Who asks in what way.
    pub origin: BatchOrigin,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
    /// The resource that asks, when it was made with kubectl.
    pub resource: Option<ResourceRef>,
}

/// What came of a request for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAccepted {
    /// How many submissions were asked for.
    pub total: u32,
    /// How many of them became members.
    pub accepted: u32,
    /// The others.
    pub rejected: Vec<Rejected>,
}

/// A submission that did not become a member of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The submission.
    pub submission_id: SubmissionId,
    /// Why, for machines: a [`crate::Refusal::code`], or `active_job`.
    pub code: String,
    /// The submission's active job, if that is the reason.
    pub active_job: Option<JobId>,
}

/// A batch as it is shown, without the counts of its members.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchRow {
    /// Its id.
    pub id: BatchId,
    /// Who made it.
    pub origin: BatchOrigin,
    /// Whose it is.
    pub tenant: String,
    /// The choices its members share.
    pub knobs: Knobs,
    /// How many submissions were asked for.
    pub total: u32,
    /// Those that did not become members.
    pub rejected: Vec<Rejected>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

impl BatchRow {
    /// How many jobs were made for it.
    pub fn accepted(&self) -> u32 {
        self.total.saturating_sub(u32::try_from(self.rejected.len()).unwrap_or(u32::MAX))
    }
}

/// The columns of a [`BatchRow`], of a table called `b`.
macro_rules! batch_columns {
    () => {
        "b.id, b.origin, b.tenant, b.rubric, b.pool, b.priority, b.max_attempts, b.backoff_seconds, \
         b.timeout_seconds, b.ttl_seconds, b.not_before, b.suspended, b.total, b.rejected, b.created_at"
    };
}
pub(crate) use batch_columns;

impl FromRow<'_, PgRow> for BatchRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(rejected) = row.try_get("rejected")?;
        Ok(BatchRow {
            id: row.try_get("id")?,
            origin: match row.try_get::<&str, _>("origin")? {
                "api" => BatchOrigin::Api,
                "overflow" => BatchOrigin::Overflow,
                _ => BatchOrigin::Kubectl,
            },
            tenant: row.try_get("tenant")?,
            knobs: Knobs {
                rubric: row.try_get("rubric")?,
                pool: columns::pool(row, "pool")?,
                priority: columns::priority(row, "priority")?,
                retries: columns::count(row, "max_attempts")?.saturating_sub(1),
                backoff_seconds: columns::count(row, "backoff_seconds")?,
                timeout_seconds: columns::count(row, "timeout_seconds")?,
                ttl_seconds: columns::count(row, "ttl_seconds")?,
                not_before: columns::optional_timestamp(row, "not_before")?,
                suspended: row.try_get("suspended")?,
            },
            total: columns::count(row, "total")?,
            rejected,
            created_at: columns::timestamp(row, "created_at")?,
        })
    }
}

const INSERT: &str = "
INSERT INTO scoring_batches (id, tenant, origin, rubric, pool, priority, max_attempts, timeout_seconds, ttl_seconds,
  not_before, suspended, total, resource_kind, resource_namespace, resource_name, resource_uid, backoff_seconds, owner)
VALUES ($1, coalesce($2, (SELECT min(tenant) FROM submissions WHERE id = ANY ($17) HAVING count(DISTINCT tenant) = 1),
  'default'), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
  CASE WHEN $15::uuid IS NOT NULL THEN 'batch' END, $13, $14, $15, $16, $18)
ON CONFLICT (id) DO NOTHING";

// A batch without members gets no resource, unless it has one.
const NOTE_REJECTED: &str = "
UPDATE scoring_batches SET rejected = $2,
  resource_kind = CASE WHEN resource_kind IS NULL AND jsonb_array_length($2) = total THEN 'none'
    ELSE resource_kind END
WHERE id = $1";

const FIND: &str = "
SELECT total, rejected FROM scoring_batches WHERE id = $1";

impl FromRow<'_, PgRow> for BatchAccepted {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let total = columns::count(row, "total")?;
        let Json(rejected): Json<Vec<Rejected>> = row.try_get("rejected")?;
        let accepted = total.saturating_sub(u32::try_from(rejected.len()).unwrap_or(u32::MAX));
        Ok(BatchAccepted { total, accepted, rejected })
    }
}

impl Store {
    /// Accepts a batch with all its members in one commit: submissions out of scope are unknown. Under an id that is known it answers what was done then.
    ///
    /// # Errors
    /// `Invalid` when there are more than 1,000 submissions or the knobs are out of range.
    pub async fn accept_batch(&self, batch: &NewBatch) -> Result<BatchAccepted, StoreError> {
        self.within_deadline(async {
            let mut connection = self.lease_within([&self.scope]).await?;
            let accepted = accept_batch_on(&mut connection, self, batch).await;
            connection.give_back_after(accepted).await
        })
        .await
    }
}

async fn accept_batch_on(
    connection: &mut PgConnection,
    store: &Store,
    batch: &NewBatch,
) -> Result<BatchAccepted, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if !insert(&mut transaction, batch).await? {
        let known = sqlx::query_as(FIND).bind(batch.id).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        return Ok(known);
    }
    let members: Vec<NewJob> = batch
        .submission_ids
        .iter()
        .map(|submission_id| NewJob {
            id: Uuid::now_v7(),
            submission_id: *submission_id,
            scope: store.scope.clone(),
            knobs: batch.knobs.clone(),
            traceparent: batch.traceparent.clone(),
            resource: None,
        })
        .collect();
    let answers = accept_on(&mut transaction, store.quota, &members, Some(batch.id)).await?;
    if answers.contains(&Accepted::Unsettled) {
        return Err(sqlx::Error::Io(std::io::Error::other("a submission's active job kept changing")));
    }
    let rejected: Vec<Rejected> =
        batch.submission_ids.iter().zip(answers).filter_map(|(id, answer)| rejection(*id, answer)).collect();
    if !rejected.is_empty() {
        sqlx::query(NOTE_REJECTED).bind(batch.id).bind(Json(&rejected)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    let total = u32::try_from(batch.submission_ids.len()).unwrap_or(u32::MAX);
    let accepted = total.saturating_sub(u32::try_from(rejected.len()).unwrap_or(u32::MAX));
    Ok(BatchAccepted { total, accepted, rejected })
}

async fn insert(connection: &mut PgConnection, batch: &NewBatch) -> Result<bool, sqlx::Error> {
    let knobs = &batch.knobs;
    let max_attempts = domain::RetryPolicy { retries: knobs.retries }.max_attempts();
    let resource = batch.resource.as_ref();
    let done = sqlx::query(INSERT)
        .bind(batch.id)
        .bind(batch.tenant.as_deref())
        .bind(batch.origin.as_str())
        .bind(&knobs.rubric)
        .bind(knobs.pool.as_str())
        .bind(i16::from(knobs.priority.get()))
        .bind(columns::to_integer(max_attempts))
        .bind(columns::to_integer(knobs.timeout_seconds))
        .bind(columns::to_integer(knobs.ttl_seconds))
        .bind(knobs.not_before.map(ToSqlx::to_sqlx))
        .bind(knobs.suspended)
        .bind(i32::try_from(batch.submission_ids.len()).unwrap_or(i32::MAX))
        .bind(resource.map(|r| r.namespace.as_str()))
        .bind(resource.map(|r| r.name.as_str()))
        .bind(resource.map(|r| r.uid))
        .bind(columns::to_integer(knobs.backoff_seconds))
        .bind(&batch.submission_ids)
        .bind(batch.owner.as_deref())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn rejection(submission_id: SubmissionId, answer: Accepted) -> Option<Rejected> {
    match answer {
        Accepted::Created { .. } | Accepted::Unsettled => None,
        Accepted::Existing { id, .. } => {
            Some(Rejected { submission_id, code: "active_job".to_owned(), active_job: Some(id) })
        }
        Accepted::Refused(refusal) => {
            Some(Rejected { submission_id, code: refusal.code().to_owned(), active_job: None })
        }
    }
}
