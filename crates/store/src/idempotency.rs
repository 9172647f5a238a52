//! Requests that clients gave a key: who is at work on one, and what was answered.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use crate::{Store, StoreError, columns};

/// A key, among those of the same client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey {
    /// Where the client belongs.
    pub tenant: String,
    /// Who the client is.
    pub subject: String,
    /// What the client calls the request.
    pub key: String,
}

/// What came of the wish to work on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyClaim {
    /// It is this caller's to do, and what comes of it is to have this id.
    Mine {
        /// The id, the same for everyone who ever works on the request.
        new_id: Uuid,
    },
    /// It was done.
    Answered(KeptAnswer),
    /// Somebody is at work on it.
    InProgress,
    /// The key was given to another request.
    OtherRequest,
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: i16,
    /// The header Content-Type.
    pub content_type: Option<String>,
    /// The header Location.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// Whoever has been at work for longer has died of it: no request takes as long.
const LAPSES_AFTER: Duration = Duration::from_secs(60);

const CLAIM: &str = "
INSERT INTO idempotency_keys AS k (tenant, subject, key, request, new_id, claim, claimed_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
ON CONFLICT (tenant, subject, key) DO UPDATE SET claim = $6, claimed_at = now()
  WHERE k.request = $4 AND k.status IS NULL
    AND (k.claim IS NULL OR k.claim = $6 OR k.claimed_at < now() - $7 * INTERVAL '1 millisecond')
RETURNING new_id";

// In a statement of its own, whose snapshot has what barred the way.
const FIND: &str = "
SELECT request = $4 AS same, status IS NOT NULL AS answered, coalesce(status, 0::smallint) AS status, content_type,
  location, coalesce(body, ''::bytea) AS body
FROM idempotency_keys WHERE tenant = $1 AND subject = $2 AND key = $3";

const ANSWER: &str = "
UPDATE idempotency_keys SET status = $5, content_type = $6, location = $7, body = $8, claim = NULL, claimed_at = NULL
WHERE tenant = $1 AND subject = $2 AND key = $3 AND claim = $4";

const RELEASE: &str = "
UPDATE idempotency_keys SET claim = NULL, claimed_at = NULL
WHERE tenant = $1 AND subject = $2 AND key = $3 AND claim = $4";

const DROP: &str = "
DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency_keys WHERE created_at < now() - $1 * INTERVAL '1 millisecond'
  ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

struct Found {
    same: bool,
    answered: bool,
    answer: KeptAnswer,
}

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let answer = KeptAnswer {
            status: row.try_get("status")?,
            content_type: row.try_get("content_type")?,
            location: row.try_get("location")?,
            body: row.try_get("body")?,
        };
        Ok(Found { same: row.try_get("same")?, answered: row.try_get("answered")?, answer })
    }
}

impl Store {
    /// Claims a request, given as a hash of it, under a claim of the caller's own. `new_id` is for what comes of it unless
    /// somebody was at work on it before. May be repeated as it is after an error.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn claim_key(
        &self,
        key: &IdempotencyKey,
        request: &[u8],
        new_id: Uuid,
        claim: Uuid,
    ) -> Result<KeyClaim, StoreError> {
        let IdempotencyKey { tenant, subject, key } = key;
        let query = sqlx::query_as(CLAIM).bind(tenant).bind(subject).bind(key).bind(request).bind(new_id);
        let query = query.bind(claim).bind(columns::to_milliseconds(LAPSES_AFTER));
        let mine: Option<(Uuid,)> = self.optional(query).await?;
        if let Some((new_id,)) = mine {
            return Ok(KeyClaim::Mine { new_id });
        }
        let query = sqlx::query_as(FIND).bind(tenant).bind(subject).bind(key).bind(request);
        Ok(match self.optional(query).await? {
            Some(Found { same: false, .. }) => KeyClaim::OtherRequest,
            Some(Found { answered: true, answer, .. }) => KeyClaim::Answered(answer),
            // Or it has just been forgotten: to be asked again, too.
            Some(Found { .. }) | None => KeyClaim::InProgress,
        })
    }

    /// Keeps what a claimed request was answered. A claim that has lapsed keeps nothing. May be repeated.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn keep_answer(
        &self,
        key: &IdempotencyKey,
        claim: Uuid,
        answer: &KeptAnswer,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(ANSWER).bind(&key.tenant).bind(&key.subject).bind(&key.key).bind(claim);
        let KeptAnswer { status, content_type, location, body } = answer;
        self.execute(query.bind(status).bind(content_type).bind(location).bind(body)).await.map(drop)
    }

    /// Leaves a claimed request to whoever asks again.
    ///
    /// # Errors
    /// When Postgres does not answer; the claim then lapses by itself, after a minute.
    pub async fn release_key(&self, key: &IdempotencyKey, claim: Uuid) -> Result<(), StoreError> {
        let query = sqlx::query(RELEASE).bind(&key.tenant).bind(&key.subject).bind(&key.key).bind(claim);
        self.execute(query).await.map(drop)
    }

    /// Forgets keys that were first used this long ago; how many, which is at most the limit.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn drop_keys(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        self.execute(sqlx::query(DROP).bind(columns::to_milliseconds(age)).bind(i64::from(limit))).await
    }
}
