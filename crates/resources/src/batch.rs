//! Many submissions to be scored alike.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::KnobsSpec;
use crate::knobs::{KNOBS_STAY, STAYS, UUID};

/// Score up to 1,000 submissions with the same choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "assay.dev",
    version = "v1alpha1",
    kind = "ScoringBatch",
    plural = "scoringbatches",
    namespaced,
    status = "ScoringBatchStatus",
    derive = "PartialEq",
    doc = "Up to 1,000 submissions to be scored alike. The jobs are recorded in Postgres; this resource shows their counts, and asks for them when made with kubectl. Deleting it cancels those that have not ended.",
    shortname = "sb",
    category = "assay",
    selectable = ".spec.pool",
    printcolumn(name = "Total", type_ = "integer", json_path = ".status.total"),
    printcolumn(name = "Queued", type_ = "integer", json_path = ".status.queued"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.running"),
    printcolumn(name = "Done", type_ = "integer", json_path = ".status.done"),
    printcolumn(name = "Error", type_ = "integer", json_path = ".status.error"),
    printcolumn(name = "Mean", type_ = "number", json_path = ".status.meanScore"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Rubric", type_ = "string", json_path = ".spec.rubric", priority = 1),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool", priority = 1),
    printcolumn(name = "Rejected", type_ = "integer", json_path = ".status.rejected", priority = 1),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.completedAt", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.submissionIds == oldSelf.submissionIds").message(STAYS))]
#[x_kube(validation = Rule::new(KNOBS_STAY).message(STAYS))]
pub struct ScoringBatchSpec {
    /// The submissions, which must be SUBMITTED.
    #[schemars(length(min = 1, max = 1000), inner(regex(pattern = UUID)))]
    pub submission_ids: Vec<Uuid>,
    /// How to score each of them.
    #[serde(flatten)]
    pub knobs: KnobsSpec,
}

/// How the batch's jobs stand, as recorded in Postgres. What is not there is written as null, so that a merge patch
/// clears it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoringBatchStatus {
    /// The batch's id, for `GET /api/scoring/batches/:id`.
    pub batch_id: Option<Uuid>,
    /// How many jobs it has.
    pub total: Option<i64>,
    /// How many wait.
    pub queued: Option<i64>,
    /// How many are being scored.
    pub running: Option<i64>,
    /// How many were scored.
    pub done: Option<i64>,
    /// How many ended without a score.
    pub error: Option<i64>,
    /// How many submissions did not become a job, for example because they are unknown.
    pub rejected: Option<i64>,
    /// The mean score of those that were scored.
    pub mean_score: Option<f64>,
    /// The first few that failed or were rejected.
    #[serde(default)]
    pub first_failures: Vec<FailedMember>,
    /// When the last member ended.
    pub completed_at: Option<Time>,
    /// What a person needs to know, in one line.
    pub message: Option<String>,
    /// `Complete` once every member has ended; `Failed` when one of them has no score.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A member of a batch that has no score and will not get one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedMember {
    /// Its submission.
    pub submission_id: Uuid,
    /// Its job, if it became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<Uuid>,
    /// Why, as a stable code.
    pub code: String,
    /// Why, in words.
    pub message: String,
}
