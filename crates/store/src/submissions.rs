//! Submissions: written until they are submitted, then final.

use domain::SubmissionId;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};

use crate::columns;
use crate::{Store, StoreError};

/// Whether a submission may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubmissionStatus {
    /// Its content may be replaced.
    InProgress,
    /// Final, and ready to be scored.
    Submitted,
}

impl SubmissionStatus {
    /// The name used in Postgres and over HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            SubmissionStatus::InProgress => "IN_PROGRESS",
            SubmissionStatus::Submitted => "SUBMITTED",
        }
    }
}

/// A submission as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct SubmissionRow {
    /// Its id.
    pub id: SubmissionId,
    /// Whose it is.
    pub tenant: String,
    /// Whether it may still change.
    pub status: SubmissionStatus,
    /// What was handed in.
    pub content: serde_json::Value,
    /// When it was created.
    pub created_at: Timestamp,
}

impl FromRow<'_, PgRow> for SubmissionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(SubmissionRow {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            status: if row.try_get::<bool, _>("submitted")? {
                SubmissionStatus::Submitted
            } else {
                SubmissionStatus::InProgress
            },
            content: row.try_get("content")?,
            created_at: columns::timestamp(row, "created_at")?,
        })
    }
}

/// Why a submission cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionRefusal {
    /// There is none with this id.
    #[error("there is no such submission")]
    NotFound,
    /// It is final.
    #[error("the submission is SUBMITTED and can no longer change")]
    AlreadySubmitted,
}

const CREATE: &str = "
INSERT INTO submissions (id, tenant, status, content)
VALUES ($1, $2, CASE WHEN $3 THEN 'SUBMITTED' ELSE 'IN_PROGRESS' END, $4::jsonb)
ON CONFLICT (id) DO NOTHING";

const REPLACE_CONTENT: &str = "
UPDATE submissions SET content = $2::jsonb
WHERE id = $1 AND status = 'IN_PROGRESS' AND ($3::text IS NULL OR tenant = $3)";

const SUBMIT: &str = "
UPDATE submissions SET status = 'SUBMITTED'
WHERE id = $1 AND status = 'IN_PROGRESS' AND ($2::text IS NULL OR tenant = $2)";

const EXISTS: &str = "
SELECT TRUE FROM submissions WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)";

const GET: &str = "
SELECT id, tenant, status = 'SUBMITTED' AS submitted, content, created_at FROM submissions
WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)";

impl Store {
    /// Creates a submission under an id of the caller's (a UUIDv7), so that a repetition creates nothing more.
    ///
    /// # Errors
    /// `Invalid` when the content is not a JSON object, or holds a NUL character, which Postgres cannot store.
    pub async fn create_submission(
        &self,
        id: SubmissionId,
        tenant: &str,
        content: &str,
        submit: bool,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(CREATE).bind(id).bind(tenant).bind(submit).bind(content);
        self.execute(query).await.map(drop)
    }

    /// Replaces the content of a submission that is in progress. With a tenant given, the submissions of others do
    /// not exist.
    ///
    /// # Errors
    /// `Invalid` when the content is not a JSON object, or holds a NUL character.
    pub async fn replace_content(
        &self,
        id: SubmissionId,
        tenant: Option<&str>,
        content: &str,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        let query = sqlx::query(REPLACE_CONTENT).bind(id).bind(content).bind(tenant);
        if self.execute(query).await? == 1 {
            return Ok(Ok(()));
        }
        let known = self.submission_exists(id, tenant).await?;
        Ok(Err(if known { SubmissionRefusal::AlreadySubmitted } else { SubmissionRefusal::NotFound }))
    }

    /// Makes a submission final. Doing so again is harmless; the only refusal is `NotFound`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn submit(
        &self,
        id: SubmissionId,
        tenant: Option<&str>,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        let changed = self.execute(sqlx::query(SUBMIT).bind(id).bind(tenant)).await? == 1;
        let known = changed || self.submission_exists(id, tenant).await?;
        Ok(if known { Ok(()) } else { Err(SubmissionRefusal::NotFound) })
    }

    /// One submission with its content.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn submission(
        &self,
        id: SubmissionId,
        tenant: Option<&str>,
    ) -> Result<Option<SubmissionRow>, StoreError> {
        self.optional(sqlx::query_as(GET).bind(id).bind(tenant)).await
    }

    async fn submission_exists(&self, id: SubmissionId, tenant: Option<&str>) -> Result<bool, StoreError> {
        let row: Option<(bool,)> = self.optional(sqlx::query_as(EXISTS).bind(id).bind(tenant)).await?;
        Ok(row.is_some())
    }
}
