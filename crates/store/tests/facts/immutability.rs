//! What can no longer change once it is written.

use anyhow::{Context, Result};
use store::{Ending, Finished};

use crate::database::{Database, done, finish};

/// The constraint by which a statement by hand is refused.
async fn refused_by(database: &Database, statement: &'static str) -> Result<String> {
    let error = sqlx::query(statement).execute(&database.sql).await.err().context(statement)?;
    let constraint = error.as_database_error().and_then(|e| e.constraint()).map(str::to_owned);
    constraint.with_context(|| format!("{statement}: {error}"))
}

#[tokio::test]
async fn nothing_of_a_submitted_submission_changes() -> Result<()> {
    let database = Database::fresh().await?;
    database.submission().await?;
    for statement in [
        "UPDATE submissions SET content = '{}'",
        "UPDATE submissions SET status = 'IN_PROGRESS'",
        "UPDATE submissions SET tenant = 'other'",
        "UPDATE submissions SET created_at = now() + interval '1 s'",
    ] {
        assert_eq!(refused_by(&database, statement).await?, "submissions_submitted_is_final");
    }
    assert_eq!(database.run("UPDATE submissions SET status = 'SUBMITTED'").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_submission_can_be_deleted_until_a_job_names_it() -> Result<()> {
    let database = Database::fresh().await?;
    database.submission().await?;
    assert_eq!(database.run("DELETE FROM submissions").await?, 1);
    database.queued().await?;
    let constraint = refused_by(&database, "DELETE FROM submissions").await?;
    assert_eq!(constraint, "scoring_jobs_submission_exists");
    Ok(())
}

#[tokio::test]
async fn a_version_of_a_rubric_neither_changes_nor_goes() -> Result<()> {
    let database = Database::fresh().await?;
    for statement in ["UPDATE rubrics SET spec = '{}'", "DELETE FROM rubrics"] {
        assert_eq!(refused_by(&database, statement).await?, "rubrics_immutable");
    }
    Ok(())
}

#[tokio::test]
async fn recorded_attempts_do_not_change() -> Result<()> {
    let database = Database::fresh().await?;
    database.done().await?;
    let constraint = refused_by(&database, "UPDATE scoring_attempts SET outcome = 'released'").await?;
    assert_eq!(constraint, "scoring_attempts_append_only");
    let constraint = refused_by(&database, "DELETE FROM scoring_jobs").await?;
    assert_eq!(constraint, "scoring_attempts_job_exists");
    Ok(())
}

#[tokio::test]
async fn what_an_ended_job_says_is_final() -> Result<()> {
    let database = Database::fresh().await?;
    database.done().await?;
    for statement in [
        "UPDATE scoring_jobs SET score = 1",
        "UPDATE scoring_jobs SET feedback = 'other'",
        "UPDATE scoring_jobs SET result = '{}'",
        "UPDATE scoring_jobs SET completed_at = completed_at + interval '1 s'",
        "UPDATE scoring_jobs SET lease_epoch = 99",
        "UPDATE scoring_jobs SET status = 'ERROR', score = NULL, result = NULL, error_code = 'x'",
        "UPDATE scoring_jobs SET status = 'QUEUED', score = NULL, result = NULL, feedback = NULL, \
         started_at = NULL, completed_at = NULL",
    ] {
        assert_eq!(refused_by(&database, statement).await?, "scoring_jobs_history_is_final", "{statement}");
    }
    Ok(())
}

#[tokio::test]
async fn neither_epoch_nor_version_falls_and_a_job_keeps_its_submission() -> Result<()> {
    let database = Database::fresh().await?;
    database.running(5).await?;
    database.submission().await?;
    for statement in [
        "UPDATE scoring_jobs SET lease_epoch = 4",
        "UPDATE scoring_jobs SET version = 1",
        "UPDATE scoring_jobs SET created_at = created_at - interval '1 s'",
        "UPDATE scoring_jobs j SET submission_id = s.id FROM submissions s WHERE s.id <> j.submission_id",
    ] {
        assert_eq!(refused_by(&database, statement).await?, "scoring_jobs_history_is_final", "{statement}");
    }
    Ok(())
}

#[tokio::test]
async fn a_score_out_of_range_is_refused_and_the_job_goes_on() -> Result<()> {
    let database = Database::fresh().await?;
    let job = database.running(1).await?;
    let too_much = Ending::Done { score: 101.0, feedback: String::new(), result: "{}".to_owned() };
    let answers = database.store.finish(&[finish(job, 1, too_much)]).await?;
    let invalid = answers[0].as_ref().expect_err("101 of 100 points");
    assert_eq!(invalid.constraint.as_deref(), Some("scoring_jobs_score_range"));
    let answers = database.store.finish(&[finish(job, 1, done())]).await?;
    assert!(matches!(answers[0], Ok(Finished::Recorded { .. })));
    Ok(())
}
