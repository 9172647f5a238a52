//! What Postgres refuses to store about a job, whoever asks.

use anyhow::{Context, Result, ensure};
use sqlx::AssertSqlSafe;

use crate::database::Database;

/// The smallest valid row of each status, as column = value.
const QUEUED: &[(&str, &str)] = &[("status", "'QUEUED'")];
const RUNNING: &[(&str, &str)] = &[
    ("status", "'RUNNING'"),
    ("attempt", "1"),
    ("lease_epoch", "7"),
    ("scorer", "'s'"),
    ("started_at", "now()"),
];
const DONE: &[(&str, &str)] = &[
    ("status", "'DONE'"),
    ("attempt", "1"),
    ("lease_epoch", "7"),
    ("scorer", "'s'"),
    ("started_at", "now()"),
    ("completed_at", "now()"),
    ("score", "50"),
    ("feedback", "'fine'"),
];
const ERROR: &[(&str, &str)] = &[
    ("status", "'ERROR'"),
    ("completed_at", "now()"),
    ("feedback", "'failed'"),
    ("error_code", "'timeout'"),
];

type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)], &'a str);

/// A valid row, what is changed in it, and the constraint that refuses the result.
const BAD_ROWS: &[Row<'static>] = &[
    (QUEUED, &[("status", "'queued'")], "scoring_jobs_status_known"),
    (QUEUED, &[("started_at", "now()")], "scoring_jobs_waiting_has_no_start"),
    (QUEUED, &[("attempt", "4")], "scoring_jobs_waiting_has_attempts_left"),
    (QUEUED, &[("score", "1")], "scoring_jobs_active_has_no_end"),
    (QUEUED, &[("feedback", "'f'")], "scoring_jobs_active_has_no_end"),
    (QUEUED, &[("result", "'{}'")], "scoring_jobs_active_has_no_end"),
    (QUEUED, &[("completed_at", "now()")], "scoring_jobs_active_has_no_end"),
    (RUNNING, &[("score", "1")], "scoring_jobs_active_has_no_end"),
    (RUNNING, &[("feedback", "'f'")], "scoring_jobs_active_has_no_end"),
    (RUNNING, &[("completed_at", "now()")], "scoring_jobs_active_has_no_end"),
    (RUNNING, &[("started_at", "NULL")], "scoring_jobs_running_is_held"),
    (RUNNING, &[("scorer", "NULL")], "scoring_jobs_running_is_held"),
    (RUNNING, &[("attempt", "0")], "scoring_jobs_running_is_held"),
    (RUNNING, &[("lease_epoch", "0")], "scoring_jobs_running_is_held"),
    (DONE, &[("score", "NULL")], "scoring_jobs_done_is_complete"),
    (DONE, &[("feedback", "NULL")], "scoring_jobs_done_is_complete"),
    (DONE, &[("started_at", "NULL")], "scoring_jobs_done_is_complete"),
    (DONE, &[("completed_at", "NULL")], "scoring_jobs_done_is_complete"),
    (DONE, &[("attempt", "0")], "scoring_jobs_done_is_complete"),
    (DONE, &[("error_code", "'timeout'")], "scoring_jobs_done_is_complete"),
    (DONE, &[("error_message", "'m'")], "scoring_jobs_done_is_complete"),
    (DONE, &[("score", "-0.1")], "scoring_jobs_score_range"),
    (DONE, &[("score", "100.1")], "scoring_jobs_score_range"),
    (DONE, &[("score", "'NaN'")], "scoring_jobs_score_range"),
    (ERROR, &[("feedback", "NULL")], "scoring_jobs_error_is_explained"),
    (ERROR, &[("error_code", "NULL")], "scoring_jobs_error_is_explained"),
    (ERROR, &[("completed_at", "NULL")], "scoring_jobs_error_is_explained"),
    (ERROR, &[("score", "0")], "scoring_jobs_error_is_explained"),
    (ERROR, &[("result", "'{}'")], "scoring_jobs_error_is_explained"),
    (QUEUED, &[("priority", "10")], "scoring_jobs_priority_range"),
    (QUEUED, &[("priority", "-1")], "scoring_jobs_priority_range"),
    (ERROR, &[("attempt", "5")], "scoring_jobs_attempt_range"),
    (QUEUED, &[("attempt", "-1")], "scoring_jobs_attempt_range"),
    (ERROR, &[("attempt", "1"), ("crashes", "2")], "scoring_jobs_crashes_range"),
    (QUEUED, &[("crashes", "-1")], "scoring_jobs_crashes_range"),
    (ERROR, &[("max_attempts", "0")], "scoring_jobs_max_attempts_range"),
    (QUEUED, &[("max_attempts", "1001")], "scoring_jobs_max_attempts_range"),
    (QUEUED, &[("backoff_seconds", "0")], "scoring_jobs_backoff_range"),
    (QUEUED, &[("backoff_seconds", "301")], "scoring_jobs_backoff_range"),
    (QUEUED, &[("timeout_seconds", "0")], "scoring_jobs_timeout_range"),
    (QUEUED, &[("ttl_seconds", "-1")], "scoring_jobs_ttl_range"),
    (QUEUED, &[("lease_epoch", "-1")], "scoring_jobs_epoch_range"),
    (QUEUED, &[("version", "0")], "scoring_jobs_version_range"),
    (QUEUED, &[("mirrored_version", "2")], "scoring_jobs_mirrored_not_ahead"),
    (QUEUED, &[("mirrored_version", "-1")], "scoring_jobs_mirrored_not_ahead"),
    (RUNNING, &[("started_at", "now() - interval '1 s'")], "scoring_jobs_times_in_order"),
    (ERROR, &[("completed_at", "now() - interval '1 s'")], "scoring_jobs_times_in_order"),
    (DONE, &[("started_at", "now() + interval '1 s'")], "scoring_jobs_times_in_order"),
    (QUEUED, &[("expires_at", "now()")], "scoring_jobs_active_does_not_expire"),
    (QUEUED, &[("resource_kind", "'pod'")], "scoring_jobs_resource_kind_known"),
    (QUEUED, &[("resource_kind", "'job'")], "scoring_jobs_resource_complete"),
    (QUEUED, &[("resource_kind", "'batch'")], "scoring_jobs_member_has_batch"),
    (QUEUED, &[("submission_id", "gen_random_uuid()")], "scoring_jobs_submission_exists"),
    (QUEUED, &[("batch_id", "gen_random_uuid()")], "scoring_jobs_batch_exists"),
];

/// Inserts a job of a new submission; the constraint that refuses it, if one does.
async fn refused_by(
    database: &Database,
    valid: &[(&str, &str)],
    changed: &[(&str, &str)],
) -> Result<Option<String>> {
    let submission = format!("'{}'", database.submission().await?);
    let mut row: Vec<(&str, &str)> = vec![
        ("id", "gen_random_uuid()"),
        ("submission_id", &submission),
        ("tenant", "'default'"),
        ("rubric", "'default'"),
        ("rubric_version", "'1'"),
    ];
    row.retain(|(column, _)| changed.iter().all(|(other, _)| other != column));
    row.extend(valid.iter().filter(|(column, _)| changed.iter().all(|(other, _)| other != column)));
    row.extend(changed);
    let columns: Vec<&str> = row.iter().map(|(column, _)| *column).collect();
    let values: Vec<&str> = row.iter().map(|(_, value)| *value).collect();
    let insert = format!("INSERT INTO scoring_jobs ({}) VALUES ({})", columns.join(", "), values.join(", "));
    match sqlx::query(AssertSqlSafe(insert)).execute(&database.sql).await {
        Ok(_) => Ok(None),
        Err(error) => {
            let constraint = error.as_database_error().and_then(|e| e.constraint()).map(str::to_owned);
            Ok(Some(constraint.with_context(|| format!("{changed:?}: {error}"))?))
        }
    }
}

#[tokio::test]
async fn each_status_has_a_valid_row() -> Result<()> {
    let database = Database::fresh().await?;
    for valid in [QUEUED, RUNNING, DONE, ERROR] {
        assert_eq!(refused_by(&database, valid, &[]).await?, None, "{valid:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_bad_row_is_refused_by_the_constraint_meant_for_it() -> Result<()> {
    let database = Database::fresh().await?;
    for (valid, changed, constraint) in BAD_ROWS {
        let refused_by = refused_by(&database, valid, changed).await?;
        assert_eq!(refused_by.as_deref(), Some(*constraint), "{changed:?} in {valid:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_constraint_on_jobs_has_a_row_that_it_refuses() -> Result<()> {
    let database = Database::fresh().await?;
    let constraints: Vec<String> = sqlx::query_scalar(
        "SELECT conname::text FROM pg_constraint WHERE conrelid = 'scoring_jobs'::regclass AND contype IN ('c', 'f')",
    )
    .fetch_all(&database.sql)
    .await?;
    for constraint in constraints {
        ensure!(BAD_ROWS.iter().any(|(_, _, refused_by)| *refused_by == constraint), "{constraint}");
    }
    Ok(())
}

#[tokio::test]
async fn a_submission_has_one_active_job_and_any_number_of_ended_ones() -> Result<()> {
    let database = Database::fresh().await?;
    let submission = format!("'{}'", database.submission().await?);
    let of_submission: &[(&str, &str)] = &[("submission_id", &submission)];
    for ended in [ERROR, ERROR, DONE] {
        assert_eq!(refused_by(&database, ended, of_submission).await?, None);
    }
    assert_eq!(refused_by(&database, QUEUED, of_submission).await?, None);
    let constraint = refused_by(&database, RUNNING, of_submission).await?;
    assert_eq!(constraint.as_deref(), Some("scoring_jobs_one_active_per_submission"));
    Ok(())
}
