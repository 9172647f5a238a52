//! What is on record, asked of the bundled Postgres in its own Pod.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Installation, Reached};
use serde_json::json;
use testkit::{Seen, until};
use uuid::Uuid;

/// The most that one request asks for.
const BATCH: usize = 1_000;

/// How long a heap of jobs may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Jobs that were asked for together.
pub(crate) struct Heap<'i> {
    installation: &'i Installation,
    size: usize,
    /// When the first was, by Postgres's clock.
    since: String,
}

/// What became of attempts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) done: usize,
    pub(crate) lease_lost: usize,
    pub(crate) others: usize,
}

/// Runs one of PostgreSQL's programs beside the bundled Postgres, as the owner of its tables.
pub(crate) async fn run(installation: &Installation, program: &str, args: &[&str]) -> Result<String> {
    let pod = installation.name_of("postgres-0");
    let inside = ["exec", &pod, "--", program, "-U", "assay", "-h", "/tmp"];
    Ok(installation.kubectl(&[&inside, args].concat()).await?.trim().to_owned())
}

pub(crate) async fn ask(installation: &Installation, question: &str) -> Result<String> {
    run(installation, "psql", &["-qAtc", question, "assay"]).await
}

/// As many submissions that take some milliseconds to score: each has 60 functions to be parsed.
pub(crate) async fn submissions(installation: &Installation, how_many: usize) -> Result<Vec<Uuid>> {
    let made = ask(
        installation,
        &format!(
            "INSERT INTO submissions (status, content)
             SELECT 'SUBMITTED', jsonb_build_object('language', 'python', 'documentation', '# Notes', 'code', '# ' || n || E'\\n' ||
               (SELECT string_agg(format(E'def f%s(x):\\n    \"\"\"Adds %s.\"\"\"\\n    if x > %s:\\n        return x + %s\\n    return x\\n\\n\\n', i, i, i, i), '')
                FROM generate_series(1, 60) i))
             FROM generate_series(1, {how_many}) n RETURNING id"
        ),
    )
    .await?;
    Ok(made.lines().map(str::parse).collect::<Result<_, _>>()?)
}

impl<'i> Heap<'i> {
    /// Asks for the scores of as many submissions.
    pub(crate) async fn post(
        installation: &'i Installation,
        reached: &Reached,
        size: usize,
    ) -> Result<Heap<'i>> {
        let submissions = submissions(installation, size).await?;
        let since = ask(installation, "SELECT now()").await?;
        for batch in submissions.chunks(BATCH) {
            let answer = reached.api.post("/api/scoring/batches", &json!({ "submissionIds": batch })).await?;
            ensure!(answer.status == 202 && answer.body["accepted"] == batch.len(), "{answer:?}");
        }
        Ok(Heap { installation, size, since })
    }

    /// Those that have begun to be asked for from now on.
    pub(crate) async fn from_now(installation: &'i Installation) -> Result<Heap<'i>> {
        Ok(Heap { installation, size: 0, since: ask(installation, "SELECT now()").await? })
    }

    async fn count(&self, condition: &str) -> Result<usize> {
        let question =
            format!("SELECT count(*) FROM scoring_jobs WHERE created_at >= '{}' AND {condition}", self.since);
        ask(self.installation, &question).await?.parse().context("a number")
    }

    /// How many have not ended.
    pub(crate) async fn active(&self) -> Result<usize> {
        self.count("completed_at IS NULL").await
    }

    /// Waits until some are running; returns the name of a scorer's Pod that runs one.
    pub(crate) async fn until_running(&self) -> Result<String> {
        let question = format!(
            "SELECT scorer FROM scoring_jobs WHERE created_at >= '{}' AND status = 'RUNNING'
             ORDER BY started_at DESC LIMIT 1",
            self.since
        );
        until("some run", PATIENCE, async || {
            let scorer = ask(self.installation, &question).await?;
            Ok(if scorer.is_empty() { Seen::NotYet("none".to_owned()) } else { Seen::Yes(scorer) })
        })
        .await
    }

    /// Waits until all have ended.
    async fn until_ended(&self) -> Result<()> {
        until("all have ended", PATIENCE, async || {
            let active = self.active().await?;
            Ok(Seen::when(active == 0, || format!("{active} have not")))
        })
        .await
    }

    /// Waits until all have ended, and makes sure that each is DONE and was scored once.
    pub(crate) async fn was_scored_once(&self) -> Result<Attempts> {
        self.until_ended().await?;
        let done = self.count("status = 'DONE'").await?;
        ensure!(done >= self.size, "{done} of {} are DONE", self.size);
        ensure!(self.count("status <> 'DONE'").await? == 0, "some are not DONE");
        let outcomes = ask(
            self.installation,
            &format!(
                "SELECT count(*) FILTER (WHERE outcome = 'done'), count(*) FILTER (WHERE outcome = 'lease_lost'),
                   count(*) FILTER (WHERE outcome NOT IN ('done', 'lease_lost'))
                 FROM scoring_attempts WHERE job_id IN (SELECT id FROM scoring_jobs WHERE created_at >= '{}')",
                self.since
            ),
        )
        .await?;
        let mut counts = outcomes.split('|').map(str::parse::<usize>);
        let mut next = || counts.next().context("a count")?.context("a number");
        let attempts = Attempts { done: next()?, lease_lost: next()?, others: next()? };
        ensure!(attempts.done == done, "{done} jobs were scored by {attempts:?}");
        Ok(attempts)
    }
}
