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
    /// Which subject of the tenant handed it in, if that is known.
    pub owner: Option<String>,
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
            owner: row.try_get("owner")?,
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
INSERT INTO submissions (id, tenant, owner, status, content)
VALUES ($1, $2, $5, CASE WHEN $3 THEN 'SUBMITTED' ELSE 'IN_PROGRESS' END, $4::jsonb)
ON CONFLICT (id) DO NOTHING";

const REPLACE_CONTENT: &str = "
UPDATE submissions SET content = $2::jsonb
WHERE id = $1 AND status = 'IN_PROGRESS' AND ($3::text IS NULL OR tenant = $3) AND ($4::text IS NULL OR owner = $4)
  AND ($5::text IS NULL OR xmin::text = $5 OR content = $2::jsonb)";

const SUBMIT: &str = "
UPDATE submissions SET status = 'SUBMITTED'
WHERE id = $1 AND status = 'IN_PROGRESS' AND ($2::text IS NULL OR tenant = $2) AND ($3::text IS NULL OR owner = $3)";

// Whoever changed the row last names its revision, and Postgres itself writes that down.
const FIND: &str = "
SELECT status = 'SUBMITTED' AS submitted, xmin::text AS revision FROM submissions
WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) AND ($3::text IS NULL OR owner = $3)";

const GET: &str = "
SELECT id, tenant, owner, status = 'SUBMITTED' AS submitted, content, created_at, xmin::text AS revision
FROM submissions
WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) AND ($3::text IS NULL OR owner = $3)";

impl Store {
    /// Creates a submission of a tenant, and of one of its subjects if it is known which, under an id of the caller's (a
    /// UUIDv7), so that a repetition creates nothing more.
    ///
    /// # Errors
    /// `Invalid` when the content is not a JSON object, or holds a NUL character, which Postgres cannot store. A confined
    /// store creates none that it would not show.
    pub async fn create_submission(
        &self,
        id: SubmissionId,
        tenant: &str,
        owner: Option<&str>,
        content: &str,
        submit: bool,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(CREATE).bind(id).bind(tenant).bind(submit).bind(content).bind(owner);
        self.execute(query).await.map(drop)
    }

    /// Replaces the content of a submission that is in progress.
    ///
    /// # Errors
    /// `Invalid` when the content is not a JSON object, or holds a NUL character.
    pub async fn replace_content(
        &self,
        id: SubmissionId,
        content: &str,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        self.replace_content_in(id, content, None).await
    }

    /// The same, if the submission is in this revision, or has this content already, by an earlier call whose answer was
    /// lost.
    ///
    /// # Errors
    /// As for [`Store::replace_content`].
    pub async fn replace_content_if(
        &self,
        id: SubmissionId,
        content: &str,
        revision: &str,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        self.replace_content_in(id, content, Some(revision)).await
    }

    async fn replace_content_in(
        &self,
        id: SubmissionId,
        content: &str,
        revision: Option<&str>,
    ) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        let (tenant, owner) = (self.scope.tenant(), self.scope.owner());
        let query =
            sqlx::query(REPLACE_CONTENT).bind(id).bind(content).bind(tenant).bind(owner).bind(revision);
        if self.execute(query).await? == 1 {
            return Ok(Ok(()));
        }
        Ok(Err(match self.submission_revision(id).await? {
            None => SubmissionRefusal::NotFound,
            Some((SubmissionStatus::Submitted, _)) => SubmissionRefusal::AlreadySubmitted,
            Some((SubmissionStatus::InProgress, _)) => SubmissionRefusal::Changed,
        }))
    }

    /// Makes a submission final. Doing so again is harmless; the only refusal is `NotFound`.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn submit(&self, id: SubmissionId) -> Result<Result<(), SubmissionRefusal>, StoreError> {
        let query = sqlx::query(SUBMIT).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        let known = self.execute(query).await? == 1 || self.submission_revision(id).await?.is_some();
        Ok(if known { Ok(()) } else { Err(SubmissionRefusal::NotFound) })
    }

    /// One submission with its content.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn submission(&self, id: SubmissionId) -> Result<Option<SubmissionRow>, StoreError> {
        let query = sqlx::query_as(GET).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        self.optional(query).await
    }

    /// Whether a submission may still change, and the revision that it is in.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn submission_revision(
        &self,
        id: SubmissionId,
    ) -> Result<Option<(SubmissionStatus, String)>, StoreError> {
        let query = sqlx::query_as(FIND).bind(id).bind(self.scope.tenant()).bind(self.scope.owner());
        let row: Option<(bool, String)> = self.optional(query).await?;
        Ok(row.map(|(submitted, revision)| (SubmissionStatus::of(submitted), revision)))
    }
}
