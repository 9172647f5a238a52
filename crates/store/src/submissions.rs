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
    pub(crate) fn of(submitted: bool) -> SubmissionStatus {
        if submitted { SubmissionStatus::Submitted } else { SubmissionStatus::InProgress }
    }

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
    /// Another one after every change.
    pub revision: String,
}

impl FromRow<'_, PgRow> for SubmissionRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(SubmissionRow {
            id: row.try_get("id")?,
            tenant: row.try_get("tenant")?,
            status: SubmissionStatus::of(row.try_get("submitted")?),
            content: row.try_get("content")?,
            created_at: columns::timestamp(row, "created_at")?,
            revision: row.try_get("revision")?,
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
    /// It is in another state than it was to be in.
    #[error("the submission is in another revision")]
    Changed,
}

const CREATE: &str = "
INSERT INTO submissions (id, tenant, status, content)
VALUES ($1, $2, CASE WHEN $3 THEN 'SUBMITTED' ELSE 'IN_PROGRESS' END, $4::jsonb)
ON CONFLICT (id) DO NOTHING";

const REPLACE_CONTENT: &str = "
UPDATE submissions SET content = $2::jsonb
WHERE id = $1 AND status = 'IN_PROGRESS' AND ($3::text IS NULL OR tenant = $3)
  AND ($4::text IS NULL OR xmin::text = $4 OR content = $2::jsonb)";

const SUBMIT: &str = "
UPDATE submissions SET status = 'SUBMITTED'
WHERE id = $1 AND status = 'IN_PROGRESS' AND ($2::text IS NULL OR tenant = $2)";

// Whoever changed the row last names its revision, and Postgres itself writes that down.
const FIND: &str = "
SELECT status = 'SUBMITTED' AS submitted, xmin::text AS revision FROM submissions WHERE id = $1 AND ($2::text IS NULL OR tenant = $2)";

const GET: &str = "
SELECT id, tenant, status = 'SUBMITTED' AS submitted, content, created_at, xmin::text AS revision
FROM submissions
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
        self.replace_content_in(id, tenant, content, None).await
    }

    /// The same, if the submission is in this revision, or has this content already, by an earlier call whose answer was
    /// lost.
    ///
    /// # Errors
    /// As for [`Store::replace_content`].
    pub async fn replace_content_if(
        &self,
        id: SubmissionId,
        tenant: Option<&str>,
        content: &str,
        revision: &str,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        self.replace_content_in(id, tenant, content, Some(revision)).await
    }

    async fn replace_content_in(
        &self,
        id: SubmissionId,
        tenant: Option<&str>,
        content: &str,
        revision: Option<&str>,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        let query = sqlx::query(REPLACE_CONTENT).bind(id).bind(content).bind(tenant).bind(revision);
        if self.execute(query).await? == 1 {
            return Ok(Ok(()));
        }
        Ok(Err(match self.submission_revision(id, tenant).await? {
            None => SubmissionRefusal::NotFound,
            Some((SubmissionStatus::Submitted, _)) => SubmissionRefusal::AlreadySubmitted,
            Some((SubmissionStatus::InProgress, _)) => SubmissionRefusal::Changed,
        }))
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
        let known = changed || self.submission_revision(id, tenant).await?.is_some();
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

    /// Whether a submission may still change, and the revision that it is in.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn submission_revision(
        &self,
        id: SubmissionId,
        tenant: Option<&str>,
    ) -> Result<Option<(SubmissionStatus, String)>, StoreError> {
        let row: Option<(bool, String)> = self.optional(sqlx::query_as(FIND).bind(id).bind(tenant)).await?;
        Ok(row.map(|(submitted, revision)| (SubmissionStatus::of(submitted), revision)))
    }
}
