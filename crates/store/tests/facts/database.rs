//! A fresh database for each test, and what tests do with it.

use anyhow::{Context, Result, ensure};
use domain::{Epoch, ErrorCode, JobId, Knobs, SubmissionId};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use store::{
    Accepted, Ending, FinishRequest, JobRow, NewJob, ResourceRef, RowSecurity, RubricVersion, Scope,
    Settings, StartRequest, Started, Store,
};
use uuid::Uuid;

/// A migrated database with the rubric `default`, and a store on it.
pub(crate) struct Database {
    pub(crate) store: Store,
    pub(crate) url: String,
    /// For what only SQL by hand can do.
    pub(crate) sql: PgPool,
}

impl Database {
    pub(crate) async fn fresh() -> Result<Database> {
        let url = testkit::fresh_database().await?;
        Database::prepared(url).await
    }

    pub(crate) async fn prepared(url: String) -> Result<Database> {
        store::migrate(&url).await?;
        let store = Store::connect(&Settings { max_connections: 5, ..Settings::new(&url) })?;
        store.ensure_rubrics(&[rubric("default", "1")]).await?;
        let sql = PgPoolOptions::new().max_connections(2).connect(&url).await?;
        Ok(Database { store, url, sql })
    }

    /// The store as someone sees it who may see no more than this, with row-level security behind it.
    pub(crate) async fn confined(&self, scope: Scope) -> Result<Store> {
        let prepared = self.store.prepare_row_security(&self.url).await?;
        ensure!(prepared == RowSecurity::On, "{prepared:?}");
        Ok(self.store.within(scope))
    }

    /// Runs a statement by hand.
    pub(crate) async fn run(&self, statement: &'static str) -> Result<u64> {
        Ok(sqlx::query(statement).execute(&self.sql).await?.rows_affected())
    }

    /// The one value that a statement by hand answers.
    pub(crate) async fn number(&self, statement: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(statement).fetch_one(&self.sql).await?)
    }

    /// A submission that is ready to be scored.
    pub(crate) async fn submission(&self) -> Result<SubmissionId> {
        let id = Uuid::now_v7();
        self.store.create_submission(id, "default", None, r#"{"code": "1 + 1"}"#, true).await?;
        Ok(id)
    }

    pub(crate) async fn submissions(&self, how_many: usize) -> Result<Vec<SubmissionId>> {
        let mut ids = Vec::new();
        for _ in 0..how_many {
            ids.push(self.submission().await?);
        }
        Ok(ids)
    }

    /// A waiting job of a submission of its own.
    pub(crate) async fn queued(&self) -> Result<JobId> {
        self.queued_with(Knobs::default()).await
    }

    pub(crate) async fn queued_with(&self, knobs: Knobs) -> Result<JobId> {
        let new = NewJob { knobs, ..new_job(self.submission().await?) };
        self.accepted(&new).await
    }

    pub(crate) async fn accepted(&self, new: &NewJob) -> Result<JobId> {
        let answers = self.store.accept(std::slice::from_ref(new)).await?;
        ensure!(answers == [Ok(Accepted::Created { id: new.id })], "{answers:?}");
        Ok(new.id)
    }

    /// A job that runs under this epoch.
    pub(crate) async fn running(&self, epoch: i64) -> Result<JobId> {
        let job = self.queued().await?;
        self.start(job, epoch).await?;
        Ok(job)
    }

    pub(crate) async fn start(&self, job: JobId, epoch: i64) -> Result<Started> {
        self.store.start(&[start(job, epoch)]).await?.pop().context("an answer")
    }

    /// A job that is done.
    pub(crate) async fn done(&self) -> Result<JobId> {
        let job = self.running(1).await?;
        self.store.finish(&[finish(job, 1, done())]).await?;
        Ok(job)
    }

    /// A job that ended without a score, for this reason.
    pub(crate) async fn dead(&self, code: ErrorCode) -> Result<JobId> {
        let job = self.running(1).await?;
        let ending = Ending::Permanent { code, message: "no good".to_owned() };
        self.store.finish(&[finish(job, 1, ending)]).await?;
        Ok(job)
    }

    /// So many of them, each of a submission of its own, a second apart; the last one ended first.
    pub(crate) async fn many_dead(&self, how_many: i32) -> Result<Vec<JobId>> {
        const INSERT: &str = "
            WITH made AS (
              INSERT INTO submissions (id, status, content)
              SELECT gen_random_uuid(), 'SUBMITTED', '{\"code\": \"1\"}' FROM generate_series(1, $1) RETURNING id
            ), numbered AS (SELECT id, row_number() OVER () AS n FROM made)
            INSERT INTO scoring_jobs (id, submission_id, tenant, status, rubric, rubric_version, feedback, error_code,
              created_at, completed_at)
            SELECT gen_random_uuid(), id, 'default', 'ERROR', 'default', '1', 'failed', 'timeout',
              now() - INTERVAL '1 day', now() - n * INTERVAL '1 second' FROM numbered ORDER BY n RETURNING id";
        Ok(sqlx::query_scalar(INSERT).bind(how_many).fetch_all(&self.sql).await?)
    }

    pub(crate) async fn row(&self, job: JobId) -> Result<JobRow> {
        Ok(self.store.job(job).await?.context("the job")?.job)
    }
}

pub(crate) fn rubric(name: &str, version: &str) -> RubricVersion {
    RubricVersion {
        name: name.to_owned(),
        version: version.to_owned(),
        spec: r#"{"criteria": []}"#.to_owned(),
    }
}

pub(crate) fn new_job(submission_id: SubmissionId) -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        submission_id,
        scope: Scope::All,
        knobs: Knobs::default(),
        traceparent: None,
        resource: None,
    }
}

pub(crate) fn resource(name: &str) -> ResourceRef {
    ResourceRef { namespace: "team-a".to_owned(), name: name.to_owned(), uid: Uuid::new_v4() }
}

pub(crate) fn start(job: JobId, epoch: i64) -> StartRequest {
    StartRequest { job, epoch: Epoch(epoch), expired: Epoch::NONE, scorer: format!("scorer-{epoch}") }
}

/// The start of a claim that follows a lease which is known to have run out.
pub(crate) fn start_after(expired: i64, job: JobId, epoch: i64) -> StartRequest {
    StartRequest { expired: Epoch(expired), ..start(job, epoch) }
}

pub(crate) fn finish(job: JobId, epoch: i64, ending: Ending) -> FinishRequest {
    FinishRequest { job, epoch: Epoch(epoch), ending }
}

pub(crate) fn done() -> Ending {
    Ending::Done { score: 87.5, feedback: "Well done.".to_owned(), result: r#"{"tests": []}"#.to_owned() }
}
