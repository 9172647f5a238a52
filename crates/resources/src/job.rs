//! One submission to be scored.

use domain::JobStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::KnobsSpec;
use crate::knobs::{KNOBS_STAY, STAYS, UUID};

/// Score one submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "assay.dev",
    version = "v1alpha1",
    kind = "ScoringJob",
    namespaced,
    status = "ScoringJobStatus",
    derive = "PartialEq",
    doc = "One submission to be scored. The job is recorded in Postgres; this resource shows it, and asks for it when made with kubectl. Deleting it cancels the job.",
    shortname = "sj",
    category = "assay",
    selectable = ".status.phase",
    selectable = ".spec.pool",
    selectable = ".spec.submissionId",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Score", type_ = "number", json_path = ".status.score"),
    printcolumn(name = "Attempts", type_ = "integer", json_path = ".status.attempts"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Submission", type_ = "string", json_path = ".spec.submissionId", priority = 1),
    printcolumn(name = "Rubric", type_ = "string", json_path = ".spec.rubric", priority = 1),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool", priority = 1),
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority", priority = 1),
    printcolumn(name = "Worker", type_ = "string", json_path = ".status.worker", priority = 1),
    printcolumn(name = "Started", type_ = "date", json_path = ".status.startedAt", priority = 1),
    printcolumn(name = "Completed", type_ = "date", json_path = ".status.completedAt", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.submissionId == oldSelf.submissionId").message(STAYS))]
#[x_kube(validation = Rule::new(KNOBS_STAY).message(STAYS))]
pub struct ScoringJobSpec {
    /// The submission, which must be SUBMITTED.
    #[schemars(regex(pattern = UUID))]
    pub submission_id: Uuid,
    /// How to score it.
    #[serde(flatten)]
    pub knobs: KnobsSpec,
}

/// Where the job stands, as recorded in Postgres. What is not there is written as null, so that a merge patch clears
/// it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScoringJobStatus {
    /// The job's id, for `GET /api/scoring/:id`.
    pub job_id: Option<Uuid>,
    /// Where the job stands.
    pub phase: Option<Phase>,
    /// 0 to 100, once DONE.
    pub score: Option<f64>,
    /// Attempts spent, counting the one that is running.
    pub attempts: Option<i32>,
    /// The scorer that holds the job, or held it last.
    pub worker: Option<String>,
    /// When the job was put on the queue.
    pub queued_at: Option<Time>,
    /// When the running attempt, or the last one, began.
    pub started_at: Option<Time>,
    /// When the job ended.
    pub completed_at: Option<Time>,
    /// What a person needs to know, in one line.
    pub message: Option<String>,
    /// The version of the rubric that the job is scored by.
    pub rubric_version: Option<String>,
    /// `Complete` and `Failed`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Where a ScoringJob stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Phase {
    /// Waiting for a scorer.
    Queued,
    /// Being scored.
    Running,
    /// Scored.
    Done,
    /// Ended without a score.
    Error,
    /// Never became a job: the condition `Failed` says why.
    Rejected,
}

impl From<JobStatus> for Phase {
    fn from(status: JobStatus) -> Self {
        match status {
            JobStatus::Queued => Phase::Queued,
            JobStatus::Running => Phase::Running,
            JobStatus::Done => Phase::Done,
            JobStatus::Error => Phase::Error,
        }
    }
}
