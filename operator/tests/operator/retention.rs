use anyhow::Result;
use clap::Parser;
use operator::ExportFlags;
use sqlx::{Connection, Executor, PgConnection};

use crate::world::{World, eventually};

#[derive(Parser)]
struct Export {
    #[command(flatten)]
    flags: ExportFlags,
}

/// Jobs of which the last ended an hour ago, and the others two days ago.
const LOAD: &str = "
INSERT INTO submissions (id, status, content, created_at)
  SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'SUBMITTED', '{}', now() - interval '3 days'
  FROM generate_series(1, 3) n;
INSERT INTO scoring_jobs (id, submission_id, tenant, rubric, rubric_version, status, score, feedback, result, attempt,
  lease_epoch, scorer, created_at, started_at, completed_at, resource_kind)
  SELECT id, id, 'default', 'default', '1', 'DONE', 50, 'Fine.', '{}', 1, 1, 's', t, t, t, 'none'
  FROM submissions, LATERAL (
    SELECT now() - CASE WHEN id::text LIKE '%3' THEN interval '1 hour' ELSE interval '2 days' END AS t) past";

#[tokio::test]
async fn a_submission_goes_although_its_history_falls_due_in_the_same_pass() -> Result<()> {
    let world = World::new().await?;
    let mut sql = PgConnection::connect(&world.database_url).await?;
    sql.execute(LOAD).await?;
    let ages = ["--retain-jobs", "1d", "--retain-history", "36h", "--retain-submissions", "36h"];
    let operator = world.operator_with("a", &[&ages[..], &["--retention-every", "10ms"]].concat()).await?;
    let left = async || {
        let mut sql = PgConnection::connect(&world.database_url).await?;
        let count = "SELECT (SELECT count(*) FROM scoring_history), (SELECT count(*) FROM submissions)";
        Ok(sqlx::query_as::<_, (i64, i64)>(count).fetch_one(&mut sql).await?)
    };
    eventually("two jobs and their submissions are gone", left, |left| *left == (0, 1)).await?;
    operator.stop().await
}

#[tokio::test]
async fn jobs_leave_when_they_are_old_enough_and_are_exported_in_lines() -> Result<()> {
    let world = World::new().await?;
    let mut sql = PgConnection::connect(&world.database_url).await?;
    sql.execute(LOAD).await?;
    let keeping =
        world.operator_with("keeping", &["--retain-jobs", "3d", "--retention-every", "10ms"]).await?;
    let moving = world.operator_with("moving", &["--retain-jobs", "1d", "--retention-every", "10ms"]).await?;
    let left = async || {
        let mut sql = PgConnection::connect(&world.database_url).await?;
        Ok(sqlx::query_scalar::<_, i64>("SELECT count(*) FROM scoring_jobs").fetch_one(&mut sql).await?)
    };
    eventually("two jobs have left", left, |left| *left == 1).await?;
    keeping.stop().await?;
    moving.stop().await?;

    let exported = async |after: &str| -> Result<Vec<serde_json::Value>> {
        let words = ["export-history", "--database-url", &world.database_url, "--after", after];
        let mut out = Vec::new();
        let jobs = operator::export(&Export::try_parse_from(words)?.flags, &mut out).await?;
        let lines =
            String::from_utf8(out)?.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(lines.len(), usize::try_from(jobs)?);
        Ok(lines)
    };
    let lines = exported("0").await?;
    assert_eq!((lines.len(), &lines[0]["score"]), (2, &50.into()));
    assert_eq!(exported(&lines[0]["cursor"].to_string()).await?, lines[1..]);
    assert!(exported(&lines[1]["cursor"].to_string()).await?.is_empty());
    Ok(())
}
