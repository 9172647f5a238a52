//! The resources of jobs and batches.

use std::collections::BTreeMap;

use domain::{Knobs, SubmissionId};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use resources::{
    KnobsSpec, MADE_BY_GATEWAY, MANAGED_BY, ScoringBatch, ScoringBatchSpec, ScoringJob, ScoringJobSpec,
    TRACEPARENT,
};
use store::{BatchToMirror, JobRow};

/// The resource of a job, under the job's id.
pub(super) fn scoring_job(row: &JobRow) -> ScoringJob {
    let knobs = Knobs {
        rubric: row.rubric.clone(),
        pool: row.pool.clone(),
        priority: row.priority,
        retries: row.max_attempts.saturating_sub(1),
        backoff_seconds: row.backoff_seconds,
        timeout_seconds: row.timeout_seconds,
        ttl_seconds: row.ttl_seconds,
        // That of a job tried before is its own retry's.
        not_before: row.not_before.filter(|_| row.attempt == 0),
        suspended: row.suspended,
    };
    let spec = ScoringJobSpec { submission_id: row.submission_id, knobs: KnobsSpec::from(&knobs) };
    let annotations =
        row.traceparent.as_ref().map(|context| BTreeMap::from([(TRACEPARENT.to_owned(), context.clone())]));
    ScoringJob { metadata: ObjectMeta { annotations, ..ours(row.id.to_string()) }, spec, status: None }
}

/// The resource of a batch, under the batch's id. It lists what was asked for: the members, and after them those
/// that were rejected.
pub(super) fn scoring_batch(waiting: &BatchToMirror) -> ScoringBatch {
    let rejected = waiting.batch.rejected.iter().map(|rejected| rejected.submission_id);
    let submission_ids: Vec<SubmissionId> = waiting.submission_ids.iter().copied().chain(rejected).collect();
    let spec = ScoringBatchSpec { submission_ids, knobs: KnobsSpec::from(&waiting.batch.knobs) };
    ScoringBatch { metadata: ours(waiting.batch.id.to_string()), spec, status: None }
}

fn ours(name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        labels: Some(BTreeMap::from([(MANAGED_BY.to_owned(), MADE_BY_GATEWAY.to_owned())])),
        ..ObjectMeta::default()
    }
}
