//! The status of a ScoringBatch, as a pure function of its row and counts.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use resources::{COMPLETE, FAILED, FailedMember, ScoringBatchStatus, condition};
use store::{BatchCounts, BatchRow, Rejected};

use crate::one_line::one_line;
use crate::rejection::Rejection;

/// The failures that a status names; the API lists them all.
const NAMED_FAILURES: usize = 5;

/// What the resource shows of this batch.
pub(super) fn of_batch(batch: &BatchRow, counts: &BatchCounts) -> ScoringBatchStatus {
    let failures = counts.failures.iter().map(|failure| FailedMember {
        submission_id: failure.submission_id,
        job_id: Some(failure.job),
        code: failure.code.clone(),
        message: one_line(&failure.message),
    });
    let rejected = batch.rejected.iter().map(rejected_member);
    ScoringBatchStatus {
        batch_id: Some(batch.id),
        total: Some(batch.total.into()),
        queued: Some(counts.queued.into()),
        running: Some(counts.running.into()),
        done: Some(counts.done.into()),
        error: Some(counts.error.into()),
        rejected: i64::try_from(batch.rejected.len()).ok(),
        mean_score: counts.mean_score.map(|mean| (mean * 100.0).round() / 100.0),
        first_failures: failures.chain(rejected).take(NAMED_FAILURES).collect(),
        completed_at: counts.completed_at.map(Time),
        message: batch.knobs.suspended.then(|| "held back: spec.suspend is true".to_owned()),
        conditions: conditions(batch, counts),
    }
}

fn rejected_member(rejected: &Rejected) -> FailedMember {
    let message = match rejected.active_job {
        Some(job) => format!("the submission has another active job: {job}"),
        None => "not accepted".to_owned(),
    };
    FailedMember { submission_id: rejected.submission_id, job_id: None, code: rejected.code.clone(), message }
}

/// `Failed` as soon as one member has no score, `Complete` once all have ended: a batch can be both.
fn conditions(batch: &BatchRow, counts: &BatchCounts) -> Vec<Condition> {
    let without_score =
        usize::try_from(counts.error).unwrap_or(usize::MAX).saturating_add(batch.rejected.len());
    let since = Time(counts.completed_at.unwrap_or(batch.created_at));
    let mut conditions = Vec::new();
    if counts.is_complete() {
        let message = format!("{} scored, {without_score} not", counts.done);
        conditions.push(condition(COMPLETE, true, "AllEnded", &message, since.clone()));
    }
    if without_score > 0 {
        let message = format!("{without_score} of {} have no score", batch.total);
        conditions.push(condition(FAILED, true, "MembersFailed", &message, since));
    } else if counts.is_complete() {
        conditions.push(condition(FAILED, false, "AllScored", "", since));
    }
    conditions
}

/// What a request shows that never became a batch.
pub(super) fn of_rejection(rejection: &Rejection, now: Timestamp) -> ScoringBatchStatus {
    ScoringBatchStatus {
        message: Some(one_line(&rejection.message)),
        conditions: vec![condition(FAILED, true, rejection.reason, &rejection.message, Time(now))],
        ..ScoringBatchStatus::default()
    }
}

/// Whether the status says that the request will never be a batch.
pub(super) fn is_rejection(status: &ScoringBatchStatus) -> bool {
    status.batch_id.is_none() && status.conditions.iter().any(|c| c.type_ == FAILED && c.status == "True")
}

#[cfg(test)]
mod tests {
    use domain::Knobs;
    use store::BatchOrigin;
    use uuid::Uuid;

    use super::*;

    fn batch(rejected: usize) -> BatchRow {
        let of = |n: usize| Rejected {
            submission_id: Uuid::from_u128(n as u128),
            code: "unknown_submission".to_owned(),
            active_job: None,
        };
        BatchRow {
            id: Uuid::from_u128(1),
            origin: BatchOrigin::Api,
            tenant: "default".to_owned(),
            knobs: Knobs::default(),
            total: 10,
            rejected: (0..rejected).map(of).collect(),
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn counts(queued: u32, done: u32, error: u32) -> BatchCounts {
        BatchCounts {
            version: 0,
            queued,
            running: 0,
            done,
            error,
            mean_score: Some(70.126),
            started_at: None,
            completed_at: (queued == 0).then_some(Timestamp::UNIX_EPOCH),
            failures: Vec::new(),
        }
    }

    fn truths(status: &ScoringBatchStatus) -> Vec<(String, String)> {
        status.conditions.iter().map(|c| (c.type_.clone(), c.status.clone())).collect()
    }

    fn pair(kind: &str, truth: &str) -> (String, String) {
        (kind.to_owned(), truth.to_owned())
    }

    #[test]
    fn a_batch_under_way_has_no_conditions() {
        assert!(of_batch(&batch(0), &counts(4, 6, 0)).conditions.is_empty());
    }

    #[test]
    fn a_batch_whose_members_are_all_scored_is_complete_and_not_failed() {
        let status = of_batch(&batch(0), &counts(0, 10, 0));
        assert_eq!(truths(&status), [pair(COMPLETE, "True"), pair(FAILED, "False")]);
        assert_eq!(status.mean_score, Some(70.13));
    }

    #[test]
    fn one_rejected_or_failed_member_makes_the_batch_failed_at_once() {
        assert_eq!(truths(&of_batch(&batch(1), &counts(4, 5, 0))), [pair(FAILED, "True")]);
        assert_eq!(truths(&of_batch(&batch(0), &counts(4, 5, 1))), [pair(FAILED, "True")]);
    }

    #[test]
    fn at_most_five_failures_are_named() {
        assert_eq!(of_batch(&batch(10), &counts(0, 0, 0)).first_failures.len(), NAMED_FAILURES);
    }

    #[test]
    fn a_rejected_request_is_told_from_a_failed_batch() {
        let rejection = Rejection::unusable("no".to_owned());
        assert!(is_rejection(&of_rejection(&rejection, Timestamp::UNIX_EPOCH)));
        assert!(!is_rejection(&of_batch(&batch(10), &counts(0, 0, 0))));
    }
}
