//! What a person may choose for a job, written the same in a ScoringJob and a ScoringBatch.

use domain::{Knobs, Pool, Priority};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Rust reads as a UUID in the form that everybody writes. The format `uuid` of the API server is looser.
pub(crate) const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

/// A time of RFC 3339, to the nanosecond at most. The format `date-time` of the API server is looser.
const TIME: &str =
    r"^\d{4}-\d{2}-\d{2}[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$";

/// What of the choices may not change after creation, as a rule of the API server.
pub(crate) const KNOBS_STAY: &str = "self.rubric == oldSelf.rubric && self.pool == oldSelf.pool && \
    self.retries == oldSelf.retries && self.backoffSeconds == oldSelf.backoffSeconds && self.timeoutSeconds == oldSelf.timeoutSeconds && \
    has(self.notBefore) == has(oldSelf.notBefore) && \
    (!has(self.notBefore) || self.notBefore == oldSelf.notBefore)";

/// What a person is told who tries to.
pub(crate) const STAYS: &str = "only suspend, priority and ttlSecondsAfterFinished can be changed: delete the resource and make a new one";

/// The choices of a job. The API server fills in the defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnobsSpec {
    /// The name of the rubric to score by; its newest version at acceptance is used.
    #[serde(default = "default_rubric")]
    #[schemars(length(min = 1, max = 253))]
    pub rubric: String,
    /// 0 to 9; a higher one is scored sooner.
    #[serde(default = "default_priority")]
    #[schemars(range(min = 0, max = 9))]
    pub priority: i32,
    /// The pool of scorers that takes the job.
    #[serde(default = "default_pool")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub pool: String,
    /// Hold the job back until this is false. An attempt that is running goes on.
    #[serde(default)]
    pub suspend: bool,
    /// Do not start before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub not_before: Option<Time>,
    /// How many more times a failed attempt is tried.
    #[serde(default = "default_retries")]
    #[schemars(range(min = 0, max = Knobs::MAX_RETRIES))]
    pub retries: i32,
    /// How long to wait before the first retry, in seconds; each later one waits twice as long, up to 300.
    #[serde(default = "default_backoff_seconds")]
    #[schemars(range(min = 1, max = Knobs::MAX_BACKOFF_SECONDS))]
    pub backoff_seconds: i32,
    /// How long one attempt may take.
    #[serde(default = "default_timeout_seconds")]
    #[schemars(range(min = 1, max = Knobs::MAX_TIMEOUT_SECONDS))]
    pub timeout_seconds: i32,
    /// How long the resource stays after the job has ended. The score stays in Postgres.
    #[serde(default = "default_ttl_seconds")]
    #[schemars(range(min = 0, max = 31536000))]
    pub ttl_seconds_after_finished: i32,
}

fn default_rubric() -> String {
    Knobs::default().rubric
}

fn default_priority() -> i32 {
    Knobs::default().priority.get().into()
}

fn default_pool() -> String {
    Knobs::default().pool.into()
}

fn default_retries() -> i32 {
    saturating(Knobs::default().retries)
}

fn default_backoff_seconds() -> i32 {
    saturating(Knobs::default().backoff_seconds)
}

fn default_timeout_seconds() -> i32 {
    saturating(Knobs::default().timeout_seconds)
}

fn default_ttl_seconds() -> i32 {
    saturating(Knobs::default().ttl_seconds)
}

fn saturating(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl From<&Knobs> for KnobsSpec {
    fn from(knobs: &Knobs) -> Self {
        KnobsSpec {
            rubric: knobs.rubric.clone(),
            priority: knobs.priority.get().into(),
            pool: knobs.pool.as_str().to_owned(),
            suspend: knobs.suspended,
            not_before: knobs.not_before.map(Time),
            retries: saturating(knobs.retries),
            backoff_seconds: saturating(knobs.backoff_seconds),
            timeout_seconds: saturating(knobs.timeout_seconds),
            ttl_seconds_after_finished: saturating(knobs.ttl_seconds),
        }
    }
}

/// A spec that got past the API server's schema and cannot be used all the same. The text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableKnobs(pub String);

impl TryFrom<&KnobsSpec> for Knobs {
    type Error = UnusableKnobs;

    fn try_from(spec: &KnobsSpec) -> Result<Self, Self::Error> {
        let unsigned = |name: &str, number: i32| {
            u32::try_from(number).map_err(|_| UnusableKnobs(format!("{name} {number} is negative")))
        };
        Ok(Knobs {
            rubric: spec.rubric.clone(),
            pool: spec.pool.parse::<Pool>().map_err(|error| UnusableKnobs(error.to_string()))?,
            priority: Priority::try_from(i64::from(spec.priority))
                .map_err(|error| UnusableKnobs(error.to_string()))?,
            retries: unsigned("retries", spec.retries)?,
            backoff_seconds: unsigned("backoffSeconds", spec.backoff_seconds)?,
            timeout_seconds: unsigned("timeoutSeconds", spec.timeout_seconds)?,
            ttl_seconds: unsigned("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished)?,
            not_before: spec.not_before.as_ref().map(|time| time.0),
            suspended: spec.suspend,
        })
    }
}
