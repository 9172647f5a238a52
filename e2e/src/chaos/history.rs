//! Everything that is known of one job.

use std::fs;

use anyhow::{Context, Result};
use uuid::Uuid;

use super::ledger::Notes;
use crate::world::World;

/// The row, the attempts and the audit log of a job.
const RECORDS: [&str; 3] = [
    "SELECT to_jsonb(j) - 'result' - 'feedback' FROM scoring_jobs j WHERE id = $1",
    "SELECT to_jsonb(a) FROM scoring_attempts a WHERE job_id = $1 ORDER BY lease_epoch",
    "SELECT to_jsonb(l) FROM audit_log l WHERE job_id = $1 ORDER BY id",
];

/// The history of a job, in words: what Postgres has of it, what clients were told, and what every process logged.
///
/// # Errors
/// When Postgres does not answer, or a log cannot be read.
pub(crate) async fn history(world: &World, notes: &Notes, job: Uuid) -> Result<String> {
    let mut lines = vec![format!("History of {job}:")];
    for statement in RECORDS {
        let rows: Vec<(serde_json::Value,)> =
            sqlx::query_as(statement).bind(job).fetch_all(&world.database.pool).await?;
        lines.extend(rows.into_iter().map(|(row,)| format!("  {row}")));
    }
    for told in notes.jobs.get(&job).into_iter().flatten() {
        lines.push(format!("  {} a client: {}", told.at_ms, told.what));
    }
    let id = job.to_string();
    for service in world.stack.services() {
        let log = fs::read(service.log()).with_context(|| format!("read the log of {}", service.name()))?;
        let log = String::from_utf8_lossy(&log);
        let of_job = log.lines().filter(|line| line.contains(&id));
        lines.extend(of_job.map(|line| format!("  {}: {line}", service.name())));
    }
    Ok(lines.join("\n"))
}
