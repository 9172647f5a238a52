//! Why a request made with kubectl never becomes a job.

use domain::{JobId, JobStatus, Pool};
use store::Refusal;

/// A reason that the person who made the request has to act on. It is written once and not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The condition's reason, in CamelCase.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl Rejection {
    /// The spec asks for something that cannot be.
    pub(crate) fn unusable(message: String) -> Self {
        Rejection { reason: "InvalidSpec", message }
    }

    pub(crate) fn unknown_pool(pool: &str, known: &[Pool]) -> Self {
        let known: Vec<&str> = known.iter().map(Pool::as_str).collect();
        let message = format!("there is no pool {pool}; there are: {}", known.join(", "));
        Rejection { reason: "UnknownPool", message }
    }

    pub(crate) fn active_job(job: JobId, status: JobStatus) -> Self {
        let message = format!("the submission has another active job: {job} is {status}");
        Rejection { reason: "ActiveJobExists", message }
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let reason = match refusal {
            Refusal::UnknownSubmission => "UnknownSubmission",
            Refusal::NotSubmitted => "SubmissionNotSubmitted",
            Refusal::UnknownRubric => "UnknownRubric",
            Refusal::OverQuota { .. } => "QuotaExceeded",
            Refusal::IdTaken => "IdTaken",
        };
        Rejection { reason, message: format!("{refusal}; delete this resource and make a new one") }
    }
}
