//! Under which definitions the recorded resources were made, and forgetting them when a definition was made anew.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{Store, StoreError};

/// A kind of custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// ScoringJobs.
    Job,
    /// ScoringBatches.
    Batch,
}

/// What is known of a definition that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// The recorded resources were made under it.
    Known,
    /// They were made under another, which has taken all of them with it: they are forgotten.
    MadeAnew {
        /// How many jobs or batches are to be mirrored anew.
        forgotten: u64,
    },
}

impl ResourceKind {
    /// The name used in Postgres.
    pub fn as_str(self) -> &'static str {
        match self {
            ResourceKind::Job => "job",
            ResourceKind::Batch => "batch",
        }
    }

    fn forget(self) -> &'static str {
        match self {
            ResourceKind::Job => FORGET_JOBS,
            ResourceKind::Batch => FORGET_BATCHES,
        }
    }
}

const NOTE_FIRST: &str = "
INSERT INTO resource_definitions (name, uid) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";

const NOTE_ANOTHER: &str = "
UPDATE resource_definitions SET uid = $2, since = now() WHERE name = $1 AND uid <> $2";

// A higher version than any that was shown: whatever is noted late about the old resource, the new one is shown all.
const FORGET_JOBS: &str = "
WITH held AS (
  SELECT id FROM scoring_jobs WHERE resource_kind = 'job' ORDER BY id FOR NO KEY UPDATE
), changed AS (
  UPDATE scoring_jobs j SET resource_kind = CASE WHEN completed_at IS NULL THEN NULL ELSE 'none' END,
    resource_namespace = NULL, resource_name = NULL, resource_uid = NULL,
    version = version + CASE WHEN completed_at IS NULL THEN 1 ELSE 0 END
  FROM held WHERE j.id = ANY (ARRAY[held.id]) RETURNING j.resource_kind
)
SELECT count(*) FILTER (WHERE resource_kind IS NULL) FROM changed";

const FORGET_BATCHES: &str = "
WITH held AS (
  SELECT id FROM scoring_batches WHERE resource_kind = 'batch' ORDER BY id FOR NO KEY UPDATE
), changed AS (
  UPDATE scoring_batches b SET resource_kind = CASE WHEN completed_at IS NULL THEN NULL ELSE 'none' END,
    resource_namespace = NULL, resource_name = NULL, resource_uid = NULL, mirrored_digest = NULL, mirrored_at = NULL
  FROM held WHERE b.id = ANY (ARRAY[held.id]) RETURNING b.resource_kind
)
SELECT count(*) FILTER (WHERE resource_kind IS NULL) FROM changed";

impl Store {
    /// Notes which definition of a kind is there. The first one counts as that of all resources on record. With any
    /// other, what has not ended is to be mirrored anew, and what has ended is let go of, in the same commit.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn note_definition(&self, kind: ResourceKind, uid: Uuid) -> Result<Definition, StoreError> {
        self.within_deadline(async {
            let mut connection = self.lease().await?;
            let noted = note(&mut connection, kind, uid).await;
            connection.give_back_after(noted).await
        })
        .await
    }
}

async fn note(
    connection: &mut PgConnection,
    kind: ResourceKind,
    uid: Uuid,
) -> Result<Definition, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let name = kind.as_str();
    sqlx::query(NOTE_FIRST).bind(name).bind(uid).execute(&mut *transaction).await?;
    let another = sqlx::query(NOTE_ANOTHER).bind(name).bind(uid).execute(&mut *transaction).await?;
    let definition = if another.rows_affected() == 0 {
        Definition::Known
    } else {
        let forgotten: i64 = sqlx::query_scalar(kind.forget()).fetch_one(&mut *transaction).await?;
        Definition::MadeAnew { forgotten: forgotten.unsigned_abs() }
    };
    transaction.commit().await?;
    Ok(definition)
}
