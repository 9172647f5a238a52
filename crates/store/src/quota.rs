//! How many active jobs a tenant may have, and has.
//!
//! `tenant_active_jobs` has a row for each commit that made or ended jobs of a tenant, and their sum is how many it has. What
//! accepts jobs compares it with the quota as its snapshot shows it: commits that do so at the same moment do not see each
//! other, so a quota can be exceeded by as many as one commit brings, for each gateway but the first.

use sqlx::PgConnection;

use crate::{Store, StoreError};

/// How many active jobs tenants may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quota {
    /// As many as they like: who asks answers for it.
    #[default]
    NotAsked,
    /// As the table `tenant_quotas` says, and else this many; 0: as many as they like.
    Enforced(u32),
}

impl Quota {
    /// As a parameter.
    pub(crate) fn to_parameter(self) -> Option<i64> {
        match self {
            Quota::NotAsked => None,
            Quota::Enforced(jobs) => Some(jobs.into()),
        }
    }
}

/// The tenants of rows called `w`, with how many active jobs they have and may have, if `$n` asks for it: as a table.
/// Each look-up is by an index, whatever the planner thinks of tables that were empty a moment ago.
macro_rules! tenants_of {
    ($rows:literal, $parameter:literal) => {
        concat!(
            "SELECT t.tenant, CASE WHEN q.tenant IS NULL THEN nullif(",
            $parameter,
            "::bigint, 0) ELSE q.active_jobs END AS allowed,
    (SELECT coalesce(sum(c.jobs), 0) FROM tenant_active_jobs c WHERE c.tenant = t.tenant) AS active
  FROM (SELECT DISTINCT w.tenant FROM ",
            $rows,
            " w WHERE w.tenant IS NOT NULL AND ",
            $parameter,
            "::bigint IS NOT NULL) t
  LEFT JOIN LATERAL (SELECT q.tenant, q.active_jobs FROM tenant_quotas q WHERE q.tenant = t.tenant LIMIT 1) q ON TRUE"
        )
    };
}
pub(crate) use tenants_of;

/// One at a time, and each sees what the one before has done: so in a statement before the one that does the work.
const TAKE_TURN: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('assay quotas', 0))";

const SETTLE: &str = "
WITH many AS (
  SELECT tenant FROM tenant_active_jobs GROUP BY tenant HAVING count(*) > 16
), gone AS (
  DELETE FROM tenant_active_jobs c USING many WHERE c.tenant = many.tenant RETURNING c.tenant, c.jobs
)
INSERT INTO tenant_active_jobs (tenant, jobs) SELECT tenant, sum(jobs) FROM gone GROUP BY tenant";

// One snapshot for both: what was committed before it is in the rows that go and in the count; what comes after, in neither.
const COUNT: &str = "
WITH gone AS (DELETE FROM tenant_active_jobs)
INSERT INTO tenant_active_jobs (tenant, jobs)
SELECT tenant, count(*) FROM scoring_jobs WHERE completed_at IS NULL GROUP BY tenant";

impl Store {
    /// Puts the rows that say how many active jobs a tenant has together, where they are many. Several may do so at once; all but one
    /// leave it to that one.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn settle_active_jobs(&self) -> Result<(), StoreError> {
        self.put_together(SETTLE).await
    }

    /// The same, by counting the jobs. To be called now and then, for what programs of another version or people have
    /// changed.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn count_active_jobs(&self) -> Result<(), StoreError> {
        self.put_together(COUNT).await
    }

    async fn put_together(&self, statement: &'static str) -> Result<(), StoreError> {
        self.within_deadline(async {
            let mut connection = self.lease().await?;
            let done = put_together_on(&mut connection, statement).await;
            connection.give_back_after(done).await
        })
        .await
    }
}

async fn put_together_on(connection: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    if sqlx::query_scalar(TAKE_TURN).fetch_one(&mut *transaction).await? {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
