//! Submissions and rubrics.

use anyhow::{Context, Result};
use store::{Scope, StoreError, SubmissionRefusal, SubmissionStatus};
use uuid::Uuid;

use crate::database::{Database, new_job, rubric};

const CONTENT: &str = r#"{"code": "print(1)"}"#;

#[tokio::test]
async fn a_submission_is_written_until_it_is_submitted() -> Result<()> {
    let Database { store, .. } = Database::fresh().await?;
    let id = Uuid::now_v7();
    store.create_submission(id, "acme", None, "{}", false).await?;
    assert_eq!(store.replace_content(id, CONTENT).await?, Ok(()));
    assert_eq!(store.submit(id).await?, Ok(()));
    assert_eq!(store.submit(id).await?, Ok(()));
    assert_eq!(store.replace_content(id, "{}").await?, Err(SubmissionRefusal::AlreadySubmitted));
    let submission = store.submission(id).await?.context("the submission")?;
    assert_eq!((submission.tenant.as_str(), submission.status), ("acme", SubmissionStatus::Submitted));
    assert_eq!(submission.content["code"], "print(1)");
    Ok(())
}

#[tokio::test]
async fn creating_a_submission_again_changes_nothing() -> Result<()> {
    let Database { store, .. } = Database::fresh().await?;
    let id = Uuid::now_v7();
    store.create_submission(id, "acme", None, CONTENT, true).await?;
    store.create_submission(id, "acme", None, "{}", false).await?;
    let submission = store.submission(id).await?.context("the submission")?;
    assert_eq!(submission.content["code"], "print(1)");
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_or_another_tenants_is_not_found() -> Result<()> {
    let database = Database::fresh().await?;
    let store = &database.store;
    let id = Uuid::now_v7();
    store.create_submission(id, "acme", None, CONTENT, false).await?;
    let other = database.confined(Scope::Tenant("other".to_owned())).await?;
    for (id, store) in [(Uuid::now_v7(), store), (id, &other)] {
        assert_eq!(store.submission(id).await?, None);
        assert_eq!(store.submit(id).await?, Err(SubmissionRefusal::NotFound));
        assert_eq!(store.replace_content(id, "{}").await?, Err(SubmissionRefusal::NotFound));
    }
    Ok(())
}

#[tokio::test]
async fn content_that_is_no_object_or_holds_a_nul_is_invalid() -> Result<()> {
    let Database { store, .. } = Database::fresh().await?;
    for content in ["[]", "1", "{", r#"{"code": "\u0000"}"#] {
        let error = store.create_submission(Uuid::now_v7(), "acme", None, content, false).await;
        assert!(matches!(error, Err(StoreError::Invalid { .. })), "{content}: {error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_can_be_loaded_with_plain_sql() -> Result<()> {
    let database = Database::fresh().await?;
    database.run(r#"INSERT INTO submissions (status, content) VALUES ('SUBMITTED', '{"code": ""}')"#).await?;
    let id = sqlx::query_scalar("SELECT id FROM submissions").fetch_one(&database.sql).await?;
    database.accepted(&new_job(id)).await?;
    Ok(())
}

#[tokio::test]
async fn new_jobs_get_the_version_of_a_rubric_that_was_last_asked_for() -> Result<()> {
    let database = Database::fresh().await?;
    for version in ["2", "1", "3"] {
        database.store.ensure_rubrics(&[rubric("default", version)]).await?;
        let job = database.queued().await?;
        assert_eq!(database.row(job).await?.rubric_version, version);
        assert_eq!(database.store.current_rubric_version("default").await?.as_deref(), Some(version));
    }
    assert_eq!(database.number("SELECT count(*) FROM rubrics").await?, 3);
    assert!(database.store.rubric_spec("default", "2").await?.is_some());
    assert_eq!(database.store.rubric_spec("default", "4").await?, None);
    Ok(())
}

#[tokio::test]
async fn one_call_can_bring_several_rubrics_and_the_last_of_a_name_counts() -> Result<()> {
    let Database { store, .. } = Database::fresh().await?;
    store.ensure_rubrics(&[rubric("a", "1"), rubric("b", "1"), rubric("a", "2")]).await?;
    assert_eq!(store.current_rubric_version("a").await?.as_deref(), Some("2"));
    assert_eq!(store.current_rubric_version("b").await?.as_deref(), Some("1"));
    Ok(())
}
