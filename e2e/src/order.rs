//! What must be true whenever everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use uuid::Uuid;

use crate::resources::Resource;
use crate::rows::{Attempt, Row};
use crate::world::World;
use testkit::{Seen, until};

/// How long statuses may lag behind their rows.
const LAG: Duration = Duration::from_secs(20);

impl World {
    /// Checks that everything has come to rest and nothing is lost, doubled or wrongly shown: each accepted job has a
    /// row; each row has ended; each DONE job has exactly one attempt that says so, and each attempt spent is on the
    /// record; the queue is empty; each resource shows what its row says, and none is too many or missing.
    ///
    /// # Errors
    /// What is not in order.
    pub async fn is_in_order(&self, accepted: &[Uuid]) -> Result<()> {
        let rows = self.database.jobs().await?;
        let known: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
        let lost: Vec<&Uuid> = accepted.iter().filter(|job| !known.contains(job)).collect();
        ensure!(lost.is_empty(), "accepted and lost: {lost:?}");
        let misfits = misfits(&rows, &self.database.attempts().await?);
        ensure!(misfits.is_empty(), "rows and attempts do not fit: {misfits:#?}");
        self.until_queue_holds(0, 0, 0).await?;
        until("every resource shows its row", LAG, async || {
            let differences = self.differences().await?;
            Ok(Seen::when(differences.is_empty(), || differences.join("\n")))
        })
        .await
    }

    /// Checks that every job was scored at the first attempt, so that no fault of the system was paid with one.
    ///
    /// # Errors
    /// Which jobs were not.
    pub async fn no_attempt_was_spent_in_vain(&self) -> Result<()> {
        let rows = self.database.jobs().await?;
        let spent: Vec<&Row> = rows.iter().filter(|row| row.status != "DONE" || row.attempt != 1).collect();
        let Some(first) = spent.first() else { return Ok(()) };
        let attempts = self.database.attempts_of(first.id).await?;
        bail!(
            "{} of {} jobs are not DONE at the first attempt, for example {first:?} after {attempts:?}",
            spent.len(),
            rows.len()
        )
    }

    /// In what the resources differ from the rows.
    pub(crate) async fn differences(&self) -> Result<Vec<String>> {
        let rows = self.database.jobs().await?;
        let (mut of_own, mut differences) = (BTreeMap::new(), Vec::new());
        for row in &rows {
            match (row.resource_kind.as_deref(), row.resource_uid) {
                (Some("job"), Some(uid)) => drop(of_own.insert(uid, row)),
                (Some("job"), None) | (None, _) => differences.push(format!("nothing shows {row:?}")),
                _ => {}
            }
        }
        let mut missing: BTreeSet<Uuid> = of_own.keys().copied().collect();
        for resource in self.resources("scoringjobs").await? {
            let uid = resource.uid()?;
            missing.remove(&uid);
            match of_own.get(&uid) {
                Some(row) => differences.extend(job_difference(&resource, row)),
                None if resource.phase() == "REJECTED" => {}
                None => differences.push(format!("sj/{} shows no row", resource.name())),
            }
        }
        differences.extend(missing.iter().map(|uid| format!("no ScoringJob shows {:?}", of_own[uid])));
        differences.extend(self.batch_differences().await?);
        Ok(differences)
    }

    async fn batch_differences(&self) -> Result<Vec<String>> {
        const BATCHES: &str = "
SELECT b.resource_uid, count(j.id), count(*) FILTER (WHERE j.status = 'QUEUED'),
  count(*) FILTER (WHERE j.status = 'RUNNING'), count(*) FILTER (WHERE j.status = 'DONE'),
  count(*) FILTER (WHERE j.status = 'ERROR'), avg(j.score)
FROM scoring_batches b LEFT JOIN scoring_jobs j ON j.batch_id = b.id
WHERE b.resource_kind = 'batch' GROUP BY b.id";
        type Counts = (Option<Uuid>, i64, i64, i64, i64, i64, Option<f64>);
        let batches: Vec<Counts> = sqlx::query_as(BATCHES).fetch_all(&self.database.pool).await?;
        let mut rows = BTreeMap::new();
        for (uid, members, queued, running, done, error, mean) in batches {
            let uid = uid.context("a batch's resource has no uid")?;
            rows.insert(uid, ([members, queued, running, done, error], mean));
        }
        let mut differences = Vec::new();
        for resource in self.resources("scoringbatches").await? {
            let number = |field: &str| resource.status(field).as_i64().unwrap_or_default();
            let members = number("total") - number("rejected");
            let counts = [members, number("queued"), number("running"), number("done"), number("error")];
            let mean = resource.status("meanScore").as_f64();
            let row = rows.remove(&resource.uid()?);
            if !row.is_some_and(|(of_row, mean_of_row)| of_row == counts && agree(mean_of_row, mean)) {
                let name = resource.name();
                differences.push(format!("sb/{name} shows {counts:?} and {mean:?}, its rows say {row:?}"));
            }
        }
        differences.extend(rows.keys().map(|uid| format!("no ScoringBatch has the uid {uid}")));
        Ok(differences)
    }
}

/// Whether two means are the same, as far as two decimals go.
fn agree(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < 0.01,
        (one, other) => one == other,
    }
}

/// In what rows and attempts do not fit, each with its job: every row has ended, each DONE row has exactly one attempt
/// that says so, under the row's epoch, and each attempt spent is on the record.
pub(crate) fn misfits(rows: &[Row], attempts: &[Attempt]) -> Vec<(Uuid, String)> {
    let mut of_job: BTreeMap<Uuid, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        of_job.entry(attempt.job_id).or_default().push(attempt);
    }
    let mut misfits = Vec::new();
    for row in rows {
        let attempts = of_job.remove(&row.id).unwrap_or_default();
        let spent = attempts.iter().filter(|attempt| attempt.outcome != "released").count();
        let done: Vec<i64> = attempts
            .iter()
            .filter(|attempt| attempt.outcome == "done")
            .map(|attempt| attempt.lease_epoch)
            .collect();
        let newest = attempts.iter().map(|attempt| attempt.lease_epoch).max();
        let expected: &[i64] = if row.status == "DONE" { &[row.lease_epoch] } else { &[] };
        if row.is_active() {
            misfits.push((row.id, format!("still active: {row:?}")));
        } else if usize::try_from(row.attempt).ok() != Some(spent) {
            misfits.push((row.id, format!("{row:?} has other attempts than {attempts:#?}")));
        } else if done != expected {
            misfits.push((row.id, format!("{row:?} was scored {} times: {attempts:#?}", done.len())));
        } else if newest > Some(row.lease_epoch) {
            misfits.push((row.id, format!("{row:?} has an attempt newer than itself: {attempts:#?}")));
        }
    }
    misfits.extend(
        of_job.into_iter().map(|(job, attempts)| (job, format!("attempts at no job: {attempts:#?}"))),
    );
    misfits
}

fn job_difference(resource: &Resource, row: &Row) -> Option<String> {
    let shown = json!([
        resource.status("jobId"),
        resource.phase(),
        resource.status("score").as_f64(),
        resource.status("attempts"),
        resource.status("worker"),
        resource.condition("Complete").is_some(),
        resource.condition("Failed").is_some(),
    ]);
    let recorded = json!([
        row.id,
        row.status,
        row.score,
        row.attempt,
        row.scorer,
        row.status == "DONE",
        row.status == "ERROR"
    ]);
    (shown != recorded).then(|| format!("sj/{} shows {shown}, its row says {recorded}", resource.name()))
}
