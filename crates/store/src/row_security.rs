//! Seeing to it that row-level security backs what a [confined](crate::Store::within) store asks for: that the role is
//! there, may use the tables, and that the store's login may act as it.
//!
//! Not part of the migrations: a role belongs to all databases of a server, and making it is a right that not every owner of
//! a database has. It is looked at whenever a gateway starts, so that it comes to be once somebody with that right helps.

use std::sync::atomic::Ordering;

use sqlx::{AssertSqlSafe, PgConnection};

use crate::migrations::connect_past_poolers;
use crate::scope::ROLE;
use crate::{Store, StoreError, Unavailability};

/// Whether row-level security backs what a confined store asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowSecurity {
    /// It does.
    On,
    /// It does not: the conditions of the statements stand alone.
    Off {
        /// What is missing, in words.
        missing: String,
    },
}

/// What the role may do with which table. On tables that are not here it may do nothing.
const RIGHTS: [(&str, &str); 13] = [
    ("submissions", "SELECT, INSERT, UPDATE"),
    ("scoring_jobs", "SELECT, INSERT, UPDATE"),
    ("scoring_batches", "SELECT, INSERT, UPDATE"),
    ("scoring_attempts", "SELECT, INSERT"),
    ("scoring_history", "SELECT"),
    ("scoring_unqueued", "SELECT, INSERT"),
    ("tenant_active_jobs", "SELECT, INSERT"),
    ("tenant_quotas", "SELECT"),
    ("redrives", "SELECT, INSERT"),
    ("audit_log", "SELECT, INSERT"),
    ("dead_letters", "SELECT"),
    ("rubrics", "SELECT"),
    ("current_rubrics", "SELECT"),
];

const MAKE_ROLE: &str = "
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'assay_gateway') THEN
    CREATE ROLE assay_gateway NOLOGIN;
  END IF;
-- Another database's gateway was faster.
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$";

const EXISTS: &str = "SELECT TRUE FROM pg_roles WHERE rolname = 'assay_gateway'";

/// One at a time in each database.
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('assay role', 0))";

const LACKS: &str = "SELECT NOT has_table_privilege('assay_gateway', $1, privilege)
FROM unnest(string_to_array($2, ', ')) privilege ORDER BY 1 DESC LIMIT 1";

const LACKS_SCHEMA: &str = "
SELECT current_schema()::text WHERE NOT has_schema_privilege('assay_gateway', current_schema(), 'USAGE')";

/// Since Postgres 16 a member may be without the right to act as the role.
const MAY_ACT: &str = "
SELECT CASE WHEN current_setting('server_version_num')::integer >= 160000
  THEN pg_has_role($1::text, 'assay_gateway', 'SET') ELSE pg_has_role($1::text, 'assay_gateway', 'MEMBER') END";

const LOGIN: &str = "SELECT current_user::text";

/// How often it is tried while other databases of the server do the same.
const TRIES: u32 = 5;

impl Store {
    /// Sees to it, with the rights of the login in the URL, that row-level security backs what a confined store asks for, and
    /// does without it where that cannot be. The URL is as for [`migrate`](crate::migrate), and the database is up to
    /// date.
    ///
    /// # Errors
    /// When Postgres does not answer.
    pub async fn prepare_row_security(&self, migration_url: &str) -> Result<RowSecurity, StoreError> {
        let mut found = self.row_security_now().await?;
        for _ in 0..TRIES {
            if found == RowSecurity::On {
                break;
            }
            if let Err(error) = self.grant(migration_url).await
                && error.is_unavailable()
            {
                return Err(error);
            }
            found = self.row_security_now().await?;
        }
        self.row_security.store(found == RowSecurity::On, Ordering::Relaxed);
        Ok(found)
    }

    /// Does without row-level security, until [`Store::prepare_row_security`] finds it there. So does every clone.
    pub fn without_row_security(&self) {
        self.row_security.store(false, Ordering::Relaxed);
    }

    /// Whether it does so now.
    async fn row_security_now(&self) -> Result<RowSecurity, StoreError> {
        self.within_deadline(async {
            let mut connection = self.lease().await?;
            let found = missing(&mut connection).await;
            let found = connection.give_back_after(found).await?;
            Ok(found.map_or(RowSecurity::On, |missing| RowSecurity::Off { missing }))
        })
        .await
    }

    async fn grant(&self, migration_url: &str) -> Result<(), StoreError> {
        let login: Vec<(String,)> = self.all(sqlx::query_as(LOGIN)).await?;
        let login = login.into_iter().next().map(|(login,)| login).unwrap_or_default();
        let mut connection = connect_past_poolers(migration_url)
            .await
            .map_err(|error| StoreError::Unavailable(Unavailability::Postgres(error.into())))?;
        Ok(grant_on(&mut connection, &login).await?)
    }
}

async fn grant_on(connection: &mut PgConnection, login: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(MAKE_ROLE).execute(&mut *connection).await?;
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    sqlx::raw_sql(TAKE_TURN).execute(&mut *connection).await?;
    for (table, rights) in RIGHTS {
        if sqlx::query_scalar(LACKS).bind(table).bind(rights).fetch_one(&mut *connection).await? {
            run(connection, format!("GRANT {rights} ON {table} TO {ROLE}")).await?;
        }
    }
    let schema: Option<String> = sqlx::query_scalar(LACKS_SCHEMA).fetch_optional(&mut *connection).await?;
    if let Some(schema) = schema {
        run(connection, format!("GRANT USAGE ON SCHEMA {} TO {ROLE}", identifier(&schema))).await?;
    }
    if !sqlx::query_scalar(MAY_ACT).bind(login).fetch_one(&mut *connection).await? {
        run(connection, format!("GRANT {ROLE} TO {}", identifier(login))).await?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await.map(drop)
}

/// The statement by which somebody with the right to it could give the session what it lacks to act as the role.
async fn missing(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let login: String = sqlx::query_scalar(LOGIN).fetch_one(&mut *connection).await?;
    let membership = format!("GRANT {ROLE} TO {}", identifier(&login));
    let known: Option<bool> = sqlx::query_scalar(EXISTS).fetch_optional(&mut *connection).await?;
    if known.is_none() {
        return Ok(Some(format!("CREATE ROLE {ROLE} NOLOGIN; {membership}")));
    }
    if !sqlx::query_scalar(MAY_ACT).bind(&login).fetch_one(&mut *connection).await? {
        return Ok(Some(membership));
    }
    for (table, rights) in RIGHTS {
        if sqlx::query_scalar(LACKS).bind(table).bind(rights).fetch_one(&mut *connection).await? {
            return Ok(Some(format!("GRANT {rights} ON {table} TO {ROLE}")));
        }
    }
    let schema: Option<String> = sqlx::query_scalar(LACKS_SCHEMA).fetch_optional(&mut *connection).await?;
    Ok(schema.map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {ROLE}", identifier(&schema))))
}

async fn run(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
