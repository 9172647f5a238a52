//! How Postgres goes about the statements, whatever its statistics say: by an index, and never through a whole table.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use domain::{Claim, Epoch, JobStatus, Knobs, Pool};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use uuid::Uuid;

use crate::scope;
use crate::{
    BatchOrigin, CancelRequest, DeadLetterFilter, Ending, FinishRequest, IdempotencyKey, JobFilter,
    KeptAnswer, MirroredJob, MutableKnobs, NewBatch, NewJob, Quota, Redrive, RedriveOrder, ResourceRef,
    ResourceRequest, RetryRequest, RowSecurity, Scope, Settings, StartRequest, Store, SubmissionFilter,
};

/// 20,000 jobs that have ended and 2,000 that wait, none of them older than the others by its id.
const LOAD: &str = "
INSERT INTO submissions (status, content)
  SELECT 'SUBMITTED', jsonb_build_object('code', repeat('x', 100)) FROM generate_series(1, 20000);
INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version, status, score, feedback, result, attempt,
  lease_epoch, scorer, started_at, completed_at, resource_kind)
  SELECT gen_random_uuid(), id, 'default', 'default', '1', 'DONE', 50, 'ok', '{}', 1, 1, 's', now(), now(), 'none'
  FROM submissions;
INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version)
  SELECT gen_random_uuid(), id, 'default', 'default', '1' FROM submissions
  WHERE id NOT IN (SELECT submission_id FROM scoring_jobs WHERE completed_at IS NULL) LIMIT 2000;
INSERT INTO scoring_unqueued (job_id) SELECT id FROM scoring_jobs WHERE completed_at IS NULL ON CONFLICT DO NOTHING;
INSERT INTO scoring_attempts SELECT id, 1, 1, 's', now(), now(), 'done' FROM scoring_jobs WHERE score IS NOT NULL
  ON CONFLICT DO NOTHING;
INSERT INTO idempotency_keys (tenant, subject, key, request, new_id)
  SELECT 'default', 'someone', id::text, '', id FROM submissions;
INSERT INTO audit_log (actor, action, job_id) SELECT 'someone', 'cancel', id FROM scoring_jobs";

/// What autovacuum may have come to know before the load, and after it.
#[derive(Clone, Copy, Debug)]
enum Statistics {
    /// It never ran.
    None,
    /// It ran when the tables were empty.
    OfEmptyTables,
    /// It ran at last.
    Current,
}

#[tokio::test]
async fn no_statement_reads_a_table_that_was_never_analysed_from_end_to_end() -> Result<()> {
    every_statement_uses_an_index(Statistics::None).await
}

#[tokio::test]
async fn no_statement_reads_a_table_from_end_to_end_that_was_analysed_when_it_was_empty() -> Result<()> {
    every_statement_uses_an_index(Statistics::OfEmptyTables).await
}

#[tokio::test]
async fn no_statement_reads_a_large_table_from_end_to_end() -> Result<()> {
    every_statement_uses_an_index(Statistics::Current).await
}

/// Walks that are meant, each of an index that holds only what is to be walked.
const WALKS: [&str; 6] = [
    "scoring_unqueued_pkey",
    "scoring_jobs_unmirrored",
    "scoring_jobs_live",
    "scoring_jobs_unsettled",
    "scoring_batches_unmirrored",
    "scoring_batches_live",
];

async fn every_statement_uses_an_index(statistics: Statistics) -> Result<()> {
    let url = testkit::fresh_database().await?;
    crate::migrate(&url).await?;
    let settings = Settings { max_connections: 2, quota: Quota::Enforced(1_000_000), ..Settings::new(&url) };
    let (store, confined) = (Store::connect(&settings)?, Store::connect(&settings)?);
    store.ensure_builtin_rubrics().await?;
    // As programs do at their start: afterwards it would have every plan made anew.
    anyhow::ensure!(confined.prepare_row_security(&url).await? == RowSecurity::On);
    // The store's own sessions go on as they are, with whatever plans they keep.
    let mut by_hand = PgConnection::connect(&url).await?;
    for table in [
        "submissions",
        "scoring_jobs",
        "scoring_attempts",
        "scoring_unqueued",
        "audit_log",
        "idempotency_keys",
    ] {
        let off = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
        by_hand.execute(AssertSqlSafe(off)).await?;
    }
    if matches!(statistics, Statistics::OfEmptyTables) {
        by_hand.execute("ANALYZE").await?;
    }
    let (tenant, owner) = ("default".to_owned(), "ann".to_owned());
    let scopes = [Scope::Tenant(tenant.clone()), Scope::Owner { tenant, owner }];
    // Often enough for a plan to be kept, if any is.
    for _ in 0..6 {
        call_everything(&store).await?;
        for scope in scopes.clone() {
            call_for_a_caller(&confined.within(scope), &store).await?;
        }
    }
    by_hand.execute(LOAD).await?;
    if matches!(statistics, Statistics::Current) {
        by_hand.execute("ANALYZE").await?;
    }
    call_everything(&store).await?;

    // What is done for callers is planned with the conditions of row-level security.
    for scope in scopes.clone() {
        call_for_a_caller(&confined.within(scope), &store).await?;
    }

    let mut seen = 0;
    let beginning = scope::beginning(&scopes).context("a confinement")?;
    let (mut one, mut other) = (store.lease().await?, store.lease().await?);
    let (mut third, mut fourth) = (confined.lease().await?, confined.lease().await?);
    let (mut kept, mut confined_kept) =
        (store.keeping_plans().lease().await?, confined.keeping_plans().lease().await?);
    for (connection, beginning) in [
        (&mut one, None),
        (&mut other, None),
        (&mut kept, None),
        (&mut third, Some(&beginning)),
        (&mut fourth, Some(&beginning)),
        (&mut confined_kept, Some(&beginning)),
    ] {
        let leading = leading_columns(connection).await?;
        for (name, statement, types) in prepared(connection).await? {
            if let Some(beginning) = beginning {
                connection.execute(AssertSqlSafe(beginning.clone())).await?;
            }
            let plan = plan(connection, &name, &types).await.with_context(|| statement.clone())?;
            if beginning.is_some() {
                connection.execute("ROLLBACK").await?;
            }
            if let Some(line) = walk_of_everything(&plan, &leading) {
                anyhow::bail!("{statistics:?}: {line}\nin the plan\n{plan}\nof\n{statement}");
            }
            seen += usize::from(statement.contains("scoring_jobs"));
        }
    }
    anyhow::ensure!(seen >= 40, "only {seen} statements about jobs were looked at");
    Ok(())
}

/// The line of the plan that reads a table without being told where to look.
fn walk_of_everything<'p>(plan: &'p str, leading: &HashMap<String, String>) -> Option<&'p str> {
    let lines: Vec<&str> = plan.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        if line.contains("Seq Scan on ") {
            return Some(line);
        }
        let index = ["using ", "Bitmap Index Scan on "].iter().find_map(|words| line.split_once(words));
        let Some(index) = index.and_then(|(_, rest)| rest.split(' ').next()) else {
            continue;
        };
        let condition =
            lines[at + 1..].iter().take(2).find_map(|line| line.trim().strip_prefix("Index Cond: "));
        // A condition on a later column alone still reads the whole index.
        let column = leading.get(index).map(String::as_str).unwrap_or_default();
        let looks_up = condition.is_some_and(|condition| condition.contains(&format!("({column} ")));
        let by_pool = ["Key: pool", "Key: active.pool"].iter().any(|key| plan.contains(key));
        let walks_all_active = index == "scoring_jobs_one_active_per_submission" && by_pool;
        if !looks_up && !WALKS.contains(&index) && !walks_all_active && !index.starts_with("pg_") {
            return Some(line);
        }
    }
    None
}

async fn leading_columns(connection: &mut PgConnection) -> Result<HashMap<String, String>> {
    const LEADING: &str = "
      SELECT c.relname::text, pg_get_indexdef(i.indexrelid, 1, TRUE)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid";
    let rows: Vec<(String, String)> = sqlx::query_as(LEADING).persistent(false).fetch_all(connection).await?;
    Ok(rows.into_iter().collect())
}

async fn prepared(connection: &mut PgConnection) -> Result<Vec<(String, String, Vec<String>)>> {
    const PREPARED: &str = "
      SELECT name, statement, parameter_types::text[] FROM pg_prepared_statements
      WHERE statement ~ '(scoring_|submissions|audit_log|idempotency_keys)'";
    Ok(sqlx::query_as(PREPARED).persistent(false).fetch_all(connection).await?)
}

/// The plan with which the session would run a prepared statement now, for 64 items at once.
async fn plan(connection: &mut PgConnection, name: &str, types: &[String]) -> Result<String> {
    let arguments: Vec<String> = types.iter().map(|name| argument(name)).collect();
    let arguments = if types.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
    let explain = format!("EXPLAIN EXECUTE {name}{arguments}");
    let rows = connection.fetch_all(AssertSqlSafe(explain)).await?;
    let lines: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(lines.join("\n"))
}

fn argument(name: &str) -> String {
    match name.strip_suffix("[]") {
        Some(element) => format!("array_fill({}, ARRAY[64])", argument(element)),
        None => match name {
            "uuid" => "gen_random_uuid()".to_owned(),
            "timestamp with time zone" => "now()".to_owned(),
            "boolean" => "FALSE".to_owned(),
            "jsonb" => "'[]'::jsonb".to_owned(),
            _ => format!("'500'::{name}"),
        },
    }
}

/// Calls of each kind that programs make while jobs come and go.
async fn call_everything(store: &Store) -> Result<()> {
    let submission = Uuid::now_v7();
    store.create_submission(submission, "default", None, r#"{"code": "1"}"#, true).await?;
    let new = |id: Uuid, submission_id: Uuid| NewJob {
        id,
        submission_id,
        scope: Scope::All,
        knobs: Knobs::default(),
        traceparent: None,
        resource: None,
    };
    let job = Uuid::now_v7();
    store.accept(&[new(job, submission)]).await?;
    store.accept(&[new(Uuid::now_v7(), submission)]).await?;
    store.unqueued(10, Duration::ZERO).await?;
    store.mark_queued(&[job]).await?;
    store.active_of(&[job]).await?;
    store.active_page(&Pool::default(), Some(job), 10).await?;
    store.active_pools().await?;
    let resource = ResourceRef { namespace: "a".to_owned(), name: job.to_string(), uid: Uuid::new_v4() };
    let request = ResourceRequest {
        resource: resource.clone(),
        submission_id: submission,
        knobs: Knobs::default(),
        named_job: Some(job),
        made_by_gateway: true,
        acceptable: true,
        traceparent: None,
    };
    if let Some(relay) = store.begin_relay().await? {
        relay.waiting(10).await?;
        relay.counts(10).await?;
        relay.unmirrored_batches(10).await?;
        relay.mark_mirrored(&[MirroredJob { job, uid: None }], "a").await?;
        relay.end().await?;
    }
    store.resolve(&[request]).await?;
    let knobs = MutableKnobs { suspended: true, ..MutableKnobs::from(&Knobs::default()) };
    store.apply_knobs(job, knobs).await?;
    store.apply_knobs(job, MutableKnobs { suspended: false, ..knobs }).await?;
    let start = StartRequest { job, epoch: Epoch(1), expired: Epoch::NONE, scorer: "scorer-1".to_owned() };
    store.start(&[start]).await?;
    store.held(&[Claim { job, epoch: Epoch(1) }]).await?;
    let ending =
        Ending::Done { score: 50.0, feedback: "Fine.".to_owned(), result: r#"{"tests": []}"#.to_owned() };
    let finish = FinishRequest { job, epoch: Epoch(1), ending };
    for _ in 0..2 {
        store.finish(std::slice::from_ref(&finish)).await?;
    }
    store.changed(None, 10).await?;
    store.lag().await?;
    store.mark_status_mirrored(&[(job, 9)]).await?;
    store.expired(None, 10).await?;
    store.live_resources_page(None, 10).await?;
    store.unseen_resources(&[job]).await?;
    store.unseen_resource_gone(&[job]).await?;
    store.active_of_resources(&[resource.uid]).await?;
    store.resource_gone(&[resource.uid]).await?;
    store.job(job).await?;
    store.attempts(job).await?;
    store.actions(job).await?;
    call_lists(store, submission).await?;
    let again = Uuid::now_v7();
    let by = "someone".to_owned();
    let retry = RetryRequest { job, new_id: again, by: by.clone(), traceparent: None };
    store.retry(&retry).await?;
    store.cancel(&[CancelRequest { job: again, by, reason: "enough".to_owned() }]).await?;
    store.next_tenant(Some("default")).await?;
    let years = Duration::from_secs(100_000_000);
    store.retire("default", years, None, 10).await?;
    store.drop_history(years, 10).await?;
    store.drop_submissions(years, None, 10).await?;
    store.history_page(0, None, None, 10).await?;
    store.recent_throughput(1_790_000_000, &["default".to_owned()], 10).await?;
    store.active_jobs(&["default".to_owned()], 10).await?;
    store.job(Uuid::now_v7()).await?;
    store.attempts(Uuid::now_v7()).await?;
    store.job_version(job).await?;
    store.jobs_in_full(&[job]).await?;
    store.submission_revision(submission).await?;
    call_with_key(store).await?;
    call_for_batch(store, submission).await
}

async fn call_for_a_caller(store: &Store, scorer: &Store) -> Result<()> {
    let submit = async || {
        let id = Uuid::now_v7();
        store.create_submission(id, "default", Some("ann"), r#"{"code": "1"}"#, false).await?;
        store.replace_content(id, r#"{"code": "2"}"#).await??;
        store.submit(id).await??;
        store.submission(id).await?.context("the submission")?;
        anyhow::Ok(id)
    };
    let (job, submission_id) = (Uuid::now_v7(), submit().await?);
    let new = NewJob {
        id: job,
        submission_id,
        scope: store.scope.clone(),
        knobs: Knobs::default(),
        traceparent: None,
        resource: None,
    };
    store.accept(std::slice::from_ref(&new)).await?;
    store.accept(&[NewJob { id: Uuid::now_v7(), ..new }]).await?;
    store.job(job).await?.context("the job")?;
    let start = StartRequest { job, epoch: Epoch(1), expired: Epoch::NONE, scorer: "scorer-1".to_owned() };
    scorer.start(&[start]).await?;
    let cancel = |job| CancelRequest { job, by: "ann".to_owned(), reason: "enough".to_owned() };
    store.cancel(&[cancel(job)]).await?;
    store.attempts(job).await?;
    call_lists(store, submission_id).await?;
    store.job_version(job).await?;
    store.submission_revision(submission_id).await?;
    store.dead_letters(&DeadLetterFilter::default(), None, 10).await?;
    store.dead_letter(job).await?.context("the dead letter")?;
    let redrive = Redrive { job, new_id: Uuid::now_v7() };
    let order = RedriveOrder { cancelled_too: true, ..RedriveOrder::by("ann") };
    store.redrive(&[redrive], &order).await?;
    store.cancel(&[cancel(redrive.new_id)]).await?;
    let retry = RetryRequest { job, new_id: Uuid::now_v7(), by: "ann".to_owned(), traceparent: None };
    store.retry(&retry).await?;
    let batch = NewBatch {
        id: Uuid::now_v7(),
        tenant: Some("default".to_owned()),
        owner: Some("ann".to_owned()),
        submission_ids: vec![submit().await?, Uuid::now_v7()],
        knobs: Knobs::default(),
        origin: BatchOrigin::Api,
        traceparent: None,
        resource: None,
    };
    store.accept_batch(&batch).await?;
    store.batch(batch.id).await?.context("the batch")?;
    store.batch_version(batch.id).await?;
    store.job(Uuid::now_v7()).await?;
    store.attempts(Uuid::now_v7()).await?;
    Ok(())
}

async fn call_with_key(store: &Store) -> Result<()> {
    let of = |key: Uuid| IdempotencyKey {
        tenant: "default".to_owned(),
        subject: "someone".to_owned(),
        key: key.to_string(),
    };
    let (key, claim) = (of(Uuid::now_v7()), Uuid::new_v4());
    store.claim_key(&key, b"", Uuid::now_v7(), claim).await?;
    store.release_key(&key, claim).await?;
    store.claim_key(&key, b"", Uuid::now_v7(), claim).await?;
    let answer = KeptAnswer { status: 202, content_type: None, location: None, body: Vec::new() };
    store.keep_answer(&key, claim, &answer).await?;
    store.claim_key(&key, b"", Uuid::now_v7(), claim).await?;
    store.drop_keys(Duration::from_secs(100_000_000), 10).await?;
    Ok(())
}

async fn call_lists(store: &Store, id: Uuid) -> Result<()> {
    let all = JobFilter::default;
    for filter in [
        JobFilter { submission_id: Some(id), ..all() },
        JobFilter { batch_id: Some(id), ..all() },
        JobFilter { tenant: Some("default".to_owned()), ..all() },
        JobFilter { status: Some(JobStatus::Running), ..all() },
        JobFilter { search: Some(id.to_string()), ..all() },
        all(),
    ] {
        store.jobs(&filter, None, 10).await?;
    }
    let of_tenant = SubmissionFilter { tenant: Some("default".to_owned()), ..SubmissionFilter::default() };
    for filter in [of_tenant, SubmissionFilter::default()] {
        store.submissions(&filter, None, 10).await?;
    }
    Ok(())
}

async fn call_for_batch(store: &Store, submission: Uuid) -> Result<()> {
    let batch = Uuid::now_v7();
    let new = NewBatch {
        id: batch,
        tenant: None,
        owner: None,
        submission_ids: vec![submission],
        knobs: Knobs::default(),
        origin: BatchOrigin::Api,
        traceparent: None,
        resource: None,
    };
    store.accept_batch(&new).await?;
    store.unqueued_of_batch(batch, 10).await?;
    let knobs = MutableKnobs { suspended: true, ..MutableKnobs::from(&Knobs::default()) };
    store.apply_batch_knobs(batch, knobs).await?;
    store.unfinished_batches_page(Some(batch), 10).await?;
    store.batches_changed(&[batch]).await?;
    store.batch(batch).await?;
    store.batch_version(batch).await?;
    store.batches_of(&[submission], &[batch]).await?;
    store.cancel_batch(batch, "someone", "enough").await?;
    let loose = Uuid::now_v7();
    store
        .accept(&[NewJob {
            id: loose,
            submission_id: submission,
            scope: Scope::All,
            knobs: Knobs::default(),
            traceparent: None,
            resource: None,
        }])
        .await?;
    if let Some(relay) = store.begin_relay().await? {
        if let Some(detail) = store.job(loose).await? {
            relay.move_to_batch(&[detail.job], 1).await?;
        }
        relay.end().await?;
    }
    store
        .cancel(&[CancelRequest { job: loose, by: "someone".to_owned(), reason: "enough".to_owned() }])
        .await?;
    Ok(())
}
