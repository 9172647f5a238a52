//! Who sees what: by the store's own statements, and by whatever statement under row-level security.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use domain::{BatchId, ErrorCode, JobId, SubmissionId};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{
    Accepted, CancelRequest, Cancelled, DeadLetterFilter, Ending, JobFilter, NewBatch, NewJob, Redrive,
    RedriveOrder, Redriven, Refusal, Retirement, Retried, RetryRequest, RowSecurity, Scope, Settings, Store,
};
use testkit::{Place, Postgres, PostgresOptions, TempFolder};
use uuid::Uuid;

use crate::batches::new_batch;
use crate::database::{Database, done, finish, new_job, start};

fn tenant(name: &str) -> Scope {
    Scope::Tenant(name.to_owned())
}

fn owner(tenant: &str, owner: &str) -> Scope {
    Scope::Owner { tenant: tenant.to_owned(), owner: owner.to_owned() }
}

/// What one subject of a tenant has on record: a row of it in every table.
struct Belongings {
    submission: SubmissionId,
    /// Done.
    scored: JobId,
    /// Died, and was redriven.
    dead: JobId,
    batch: BatchId,
    /// In the history.
    past: JobId,
}

/// A submission of a subject's, ready to be scored.
async fn submission(database: &Database, tenant: &str, subject: &str) -> Result<SubmissionId> {
    let (id, store) = (Uuid::now_v7(), database.store.within(owner(tenant, subject)));
    store.create_submission(id, tenant, Some(subject), r#"{"code": "1"}"#, true).await?;
    Ok(id)
}

/// A job of a subject's that has ended so.
async fn ended(database: &Database, tenant: &str, subject: &str, ending: Ending) -> Result<JobId> {
    let job = database.accepted(&new_job(submission(database, tenant, subject).await?)).await?;
    database.start(job, 1).await?;
    database.store.finish(&[finish(job, 1, ending)]).await?;
    Ok(job)
}

impl Belongings {
    async fn of(database: &Database, tenant: &str, subject: &str, past: JobId) -> Result<Belongings> {
        let store = database.store.within(owner(tenant, subject));
        let failed = Ending::Permanent { code: ErrorCode::TIMEOUT, message: "no".to_owned() };
        let scored = ended(database, tenant, subject, done()).await?;
        let dead = ended(database, tenant, subject, failed).await?;
        let redrive = Redrive { job: dead, new_id: Uuid::now_v7() };
        let redriven = store.redrive(&[redrive], &RedriveOrder::by(subject)).await?;
        ensure!(matches!(redriven[..], [Redriven::Made { .. }]), "{redriven:?}");
        let batch = NewBatch {
            tenant: Some(tenant.to_owned()),
            owner: Some(subject.to_owned()),
            ..new_batch(vec![submission(database, tenant, subject).await?])
        };
        ensure!(store.accept_batch(&batch).await?.accepted == 1);
        let submission = submission(database, tenant, subject).await?;
        Ok(Belongings { submission, scored, dead, batch: batch.id, past })
    }
}

const SUBJECTS: [(&str, &str); 3] = [("default", "ann"), ("default", "bob"), ("acme", "ann")];

/// A database with row-level security, and in it what is ann's and bob's of one tenant, and ann's of another.
async fn world() -> Result<(Database, [Belongings; 3])> {
    let database = Database::fresh().await?;
    database.confined(Scope::All).await?;
    let mut past = Vec::new();
    for (tenant, subject) in SUBJECTS {
        past.push(ended(&database, tenant, subject, done()).await?);
    }
    for tenant in ["default", "acme"] {
        let moved = database.store.retire(tenant, Duration::ZERO, None, 100).await?;
        ensure!(matches!(moved, Retirement::Moved(_)), "{moved:?}");
    }
    let of = async |at: usize| Belongings::of(&database, SUBJECTS[at].0, SUBJECTS[at].1, past[at]).await;
    let belongings = [of(0).await?, of(1).await?, of(2).await?];
    Ok((database, belongings))
}

/// How much of somebody's things a store shows: all or nothing.
async fn shows(store: &Store, of: &Belongings) -> Result<bool> {
    let seen = [
        store.submission(of.submission).await?.is_some(),
        store.job(of.scored).await?.is_some(),
        store.job(of.dead).await?.is_some(),
        store.job(of.past).await?.is_some(),
        !store.attempts(of.scored).await?.is_empty(),
        !store.attempts(of.past).await?.is_empty(),
        store.batch(of.batch).await?.is_some(),
        store.dead_letter(of.dead).await?.is_some(),
        store.jobs(&JobFilter::default(), None, 100).await?.jobs.iter().any(|job| job.id == of.scored),
        store
            .dead_letters(&DeadLetterFilter::default(), None, 100)
            .await?
            .letters
            .iter()
            .any(|letter| letter.job.id == of.dead),
    ];
    ensure!(seen.iter().all(|part| *part == seen[0]), "{seen:?}");
    Ok(seen[0])
}

#[tokio::test]
async fn a_subject_sees_its_own_a_tenant_what_is_in_it_and_nobody_anothers() -> Result<()> {
    let (database, [ann, bob, other]) = world().await?;
    for row_security in [true, false] {
        let store = if row_security {
            database.store.clone()
        } else {
            // As it is where the role cannot be: the conditions alone.
            let store = Store::connect(&Settings::new(&database.url))?;
            store.without_row_security();
            store
        };
        let seen = async |scope| {
            let store = store.within(scope);
            let seen = [shows(&store, &ann).await?, shows(&store, &bob).await?, shows(&store, &other).await?];
            anyhow::Ok(seen)
        };
        assert_eq!(seen(Scope::All).await?, [true, true, true]);
        assert_eq!(seen(tenant("default")).await?, [true, true, false]);
        assert_eq!(seen(owner("default", "ann")).await?, [true, false, false]);
        assert_eq!(seen(owner("acme", "ann")).await?, [false, false, true]);
        assert_eq!(seen(owner("acme", "bob")).await?, [false, false, false]);
        assert_eq!(seen(tenant("nobody's")).await?, [false, false, false]);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_for_a_caller_to_see_cannot_be_changed_either() -> Result<()> {
    let (database, [ann, ..]) = world().await?;
    let waiting = database.accepted(&new_job(ann.submission)).await?;
    for scope in [tenant("acme"), owner("default", "bob")] {
        let store = database.store.within(scope.clone());
        let cancel = CancelRequest { job: waiting, by: "eve".to_owned(), reason: "why not".to_owned() };
        assert_eq!(store.cancel(&[cancel]).await?, [Cancelled::NotFound]);
        let redrive = Redrive { job: ann.dead, new_id: Uuid::now_v7() };
        assert_eq!(store.redrive(&[redrive], &RedriveOrder::by("eve")).await?, [Redriven::NotFound]);
        for job in [ann.scored, ann.past] {
            let retry = RetryRequest { job, new_id: Uuid::now_v7(), by: "eve".to_owned(), traceparent: None };
            assert_eq!(store.retry(&retry).await?, Retried::NotFound);
        }
        let new = NewJob { scope, ..new_job(ann.submission) };
        assert_eq!(store.accept(&[new]).await?, [Ok(Accepted::Refused(Refusal::UnknownSubmission))]);
    }
    let own = database.store.within(owner("default", "ann"));
    let cancel = CancelRequest { job: waiting, by: "ann".to_owned(), reason: "a mistake".to_owned() };
    assert!(matches!(own.cancel(&[cancel]).await?[..], [Cancelled::Cancelled { .. }]));
    let again = NewJob { scope: owner("default", "ann"), ..new_job(ann.submission) };
    let running = database.accepted(&again).await?;
    database.store.start(&[start(running, 2)]).await?;
    let cancel = CancelRequest { job: running, by: "ann".to_owned(), reason: "a mistake".to_owned() };
    assert!(matches!(own.cancel(&[cancel]).await?[..], [Cancelled::Cancelled { .. }]));
    Ok(())
}

#[tokio::test]
async fn a_commit_that_callers_share_gives_each_what_it_may_have() -> Result<()> {
    let (database, [ann, bob, other]) = world().await?;
    let asked = |scope, submission| NewJob { scope, ..new_job(submission) };
    let items = [
        asked(owner("default", "ann"), ann.submission),
        asked(owner("default", "ann"), bob.submission),
        asked(tenant("acme"), ann.submission),
        asked(tenant("acme"), other.submission),
    ];
    let unknown = Ok(Accepted::Refused(Refusal::UnknownSubmission));
    let made = |at: usize| Ok(Accepted::Created { id: items[at].id });
    assert_eq!(database.store.accept(&items).await?, [made(0), unknown.clone(), unknown, made(3)]);
    let owners: Vec<Option<String>> =
        sqlx::query_scalar("SELECT owner FROM scoring_jobs WHERE id = ANY ($1)")
            .bind(vec![items[0].id, items[3].id])
            .fetch_all(&database.sql)
            .await?;
    assert_eq!(owners, [Some("ann".to_owned()), Some("ann".to_owned())]);
    Ok(())
}

#[tokio::test]
async fn a_batch_that_names_no_tenant_has_that_of_its_submissions() -> Result<()> {
    let (database, [ann, bob, other]) = world().await?;
    for (submission_ids, expected) in [
        (vec![other.submission], "acme"),
        (vec![ann.submission, other.submission], "default"),
        (vec![bob.submission], "default"),
    ] {
        let batch = NewBatch { submission_ids, ..new_batch(Vec::new()) };
        database.store.accept_batch(&batch).await?;
        let batch = database.store.batch(batch.id).await?.context("the batch")?.batch;
        assert_eq!(batch.tenant, expected);
    }
    Ok(())
}

/// What the role may read, and with it what it must not see of others.
const TABLES: [&str; 9] = [
    "submissions",
    "scoring_jobs",
    "scoring_batches",
    "scoring_history",
    "scoring_attempts",
    "scoring_unqueued",
    "redrives",
    "audit_log",
    "dead_letters",
];

/// A session that acts as the role, for these tenants and owners.
async fn as_role(database: &Database, tenants: &str, owners: &str) -> Result<PgConnection> {
    let mut session = PgConnection::connect(&database.url).await?;
    let settings = format!(
        "BEGIN; SET LOCAL ROLE assay_gateway; SET LOCAL assay.tenants = '{tenants}'; \
         SET LOCAL assay.owners = '{owners}'"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut session).await?;
    Ok(session)
}

async fn count(session: &mut PgConnection, table: &str) -> Result<i64> {
    let count = format!("SELECT count(*) FROM {table}");
    Ok(sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(session).await?)
}

#[tokio::test]
async fn no_statement_shows_the_role_a_row_of_another_tenant_or_owner() -> Result<()> {
    let (database, _) = world().await?;
    let mut everything = PgConnection::connect(&database.url).await?;
    for table in TABLES {
        let all = count(&mut everything, table).await?;
        let seen = async |tenants, owners| -> Result<i64> {
            count(&mut as_role(&database, tenants, owners).await?, table).await
        };
        let one = seen("{default}", "{=ann}").await?;
        assert!(one > 0, "{table}");
        assert_eq!(seen("{acme}", "{=ann}").await?, one, "{table}");
        assert_eq!(seen("{default}", "{=ann,=bob}").await?, 2 * one, "{table}");
        assert_eq!(seen("{default}", "{*}").await?, 2 * one, "{table}");
        assert_eq!(seen("{default,acme}", "{*}").await?, all, "{table}");
        for (tenants, owners) in
            [("{default}", "{=eve}"), ("{eve}", "{*}"), ("{}", "{*}"), ("", "{*}"), ("{default}", "")]
        {
            assert_eq!(seen(tenants, owners).await?, 0, "{table} for {tenants} {owners}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn no_statement_of_the_role_changes_a_row_of_another_tenant_or_owner() -> Result<()> {
    let (database, [ann, ..]) = world().await?;
    for (tenants, owners) in [("{acme}", "{*}"), ("{default}", "{=bob}")] {
        for statement in [
            "UPDATE submissions SET content = '{}'",
            "UPDATE scoring_jobs SET suspended = TRUE",
            "UPDATE scoring_batches SET suspended = TRUE",
        ] {
            let mut session = as_role(&database, tenants, owners).await?;
            let changed =
                sqlx::query(AssertSqlSafe(format!("{statement} WHERE tenant = 'default' AND owner = 'ann'")))
                    .execute(&mut session)
                    .await?;
            assert_eq!(changed.rows_affected(), 0, "{statement}");
        }
        let (submission, scored) = (ann.submission, ann.scored);
        for statement in [
            "INSERT INTO submissions (tenant, owner, content) VALUES ('default', 'ann', '{}')".to_owned(),
            format!(
                "INSERT INTO scoring_jobs (id, submission_id, tenant, owner, rubric, rubric_version)
                 VALUES (gen_random_uuid(), '{submission}', 'default', 'ann', 'default', '1')"
            ),
            format!(
                "INSERT INTO scoring_attempts (job_id, lease_epoch, attempt, scorer, started_at, ended_at, outcome)
                 VALUES ('{scored}', 9, 1, 'eve', now(), now(), 'done')"
            ),
            format!("INSERT INTO redrives (job_id, new_job) VALUES ('{scored}', gen_random_uuid())"),
            format!("INSERT INTO audit_log (actor, action, job_id) VALUES ('eve', 'cancel', '{scored}')"),
        ] {
            let mut session = as_role(&database, tenants, owners).await?;
            let refused = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut session).await;
            let code = refused.as_ref().err().and_then(|error| error.as_database_error()?.code());
            assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_table_that_the_role_may_read_is_under_row_level_security_or_the_same_for_all() -> Result<()> {
    let database = Database::fresh().await?;
    database.confined(Scope::All).await?;
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class c WHERE relnamespace = current_schema()::regnamespace
           AND relkind IN ('r', 'p', 'v', 'm') AND NOT relrowsecurity
           AND has_table_privilege('assay_gateway', c.oid, 'SELECT')
           AND NOT coalesce('security_invoker=true' = ANY (reloptions), FALSE) ORDER BY relname",
    )
    .fetch_all(&database.sql)
    .await?;
    assert_eq!(open, ["current_rubrics", "rubrics"]);
    // What the role may not read it cannot empty or rewrite either.
    let deletable: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class c WHERE relnamespace = current_schema()::regnamespace
           AND relkind IN ('r', 'p', 'v') AND has_table_privilege('assay_gateway', c.oid, 'DELETE, TRUNCATE')",
    )
    .fetch_all(&database.sql)
    .await?;
    assert_eq!(deletable, [] as [&str; 0]);
    Ok(())
}

#[tokio::test]
async fn without_the_right_to_make_roles_conditions_stand_alone_until_someone_helps() -> Result<()> {
    let folder = TempFolder::new()?;
    let postgres = Postgres::start(&Place::owned(folder.path()), &PostgresOptions::default()).await?;
    let mut superuser = PgConnection::connect(&postgres.url()).await?;
    for statement in ["CREATE ROLE plain LOGIN", "CREATE DATABASE plain OWNER plain"] {
        sqlx::raw_sql(statement).execute(&mut superuser).await?;
    }
    let url = format!("postgres://plain@127.0.0.1:{}/plain", postgres.port());
    let database = Database::prepared(url.clone()).await?;
    let RowSecurity::Off { missing } = database.store.prepare_row_security(&url).await? else {
        anyhow::bail!("nobody made the role");
    };
    let submission = database.submission().await?;
    assert!(database.store.within(tenant("default")).submission(submission).await?.is_some());
    assert!(database.store.within(tenant("acme")).submission(submission).await?.is_none());

    assert_eq!(missing, r#"CREATE ROLE assay_gateway NOLOGIN; GRANT assay_gateway TO "plain""#);
    sqlx::raw_sql(AssertSqlSafe(missing)).execute(&mut superuser).await?;
    assert_eq!(database.store.prepare_row_security(&url).await?, RowSecurity::On);
    assert!(database.store.within(tenant("default")).submission(submission).await?.is_some());
    assert!(database.store.within(tenant("acme")).submission(submission).await?.is_none());
    Ok(())
}
