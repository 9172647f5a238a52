//! Assay's custom resources, as the gateway writes them and the operator reads them: group `assay.dev`, version
//! `v1alpha1`. The manifests in `crds/` are generated from these types.
#![allow(unreachable_pub, reason = "the derive of KubeSchema repeats the types in a private scope")]
#![allow(clippy::duplicated_attributes, reason = "each printcolumn has a name, a type and a path")]

mod batch;
mod conditions;
mod job;
mod knobs;

pub use batch::{FailedMember, ScoringBatch, ScoringBatchSpec, ScoringBatchStatus};
pub use conditions::{COMPLETE, FAILED, condition};
pub use job::{Phase, ScoringJob, ScoringJobSpec, ScoringJobStatus};
pub use knobs::{KnobsSpec, UnusableKnobs};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The API group of every resource.
pub const GROUP: &str = "assay.dev";

/// The label on what the gateway made; its value is [`MADE_BY_GATEWAY`].
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// See [`MANAGED_BY`].
pub const MADE_BY_GATEWAY: &str = "assay-gateway";

/// The annotation that carries the W3C trace context of the request that made the job; a person may give one, too.
pub const TRACEPARENT: &str = "assay.dev/traceparent";

/// The annotation with which a person asks for what failed to be redriven; its value is `true`. It goes once that is
/// answered, with an event and with [`REDRIVEN_AS`] or [`REDRIVEN_MEMBERS`].
pub const REDRIVE: &str = "assay.dev/redrive";

/// The annotation on a ScoringJob that names the job it was redriven as.
pub const REDRIVEN_AS: &str = "assay.dev/redriven-as";

/// The annotation on a ScoringBatch that says how many of its members were redriven.
pub const REDRIVEN_MEMBERS: &str = "assay.dev/redriven-members";

/// Every custom resource definition, with the name of its manifest in `crds/`.
pub fn definitions() -> Vec<(&'static str, CustomResourceDefinition)> {
    vec![("scoringjobs.yaml", ScoringJob::crd()), ("scoringbatches.yaml", ScoringBatch::crd())]
}
