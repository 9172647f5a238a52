//! The status of a ScoringJob, as a pure function of its row.

use domain::JobStatus;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use resources::{COMPLETE, FAILED, Phase, ScoringJobStatus, condition};
use store::JobRow;

use crate::one_line::one_line;
use crate::rejection::Rejection;

/// What the resource shows of this row.
pub(super) fn of_row(row: &JobRow) -> ScoringJobStatus {
    ScoringJobStatus {
        job_id: Some(row.id),
        phase: Some(row.status.into()),
        score: row.score,
        attempts: Some(i32::try_from(row.attempt).unwrap_or(i32::MAX)),
        worker: row.scorer.clone(),
        queued_at: row.queued_at.map(Time),
        started_at: row.started_at.map(Time),
        completed_at: row.completed_at.map(Time),
        message: message(row),
        rubric_version: Some(row.rubric_version.clone()),
        conditions: conditions(row),
    }
}

fn message(row: &JobRow) -> Option<String> {
    let text = match row.status {
        JobStatus::Done => None,
        JobStatus::Error => row.feedback.as_deref(),
        JobStatus::Queued if row.suspended => Some("held back: spec.suspend is true"),
        JobStatus::Queued | JobStatus::Running => row.error_message.as_deref(),
    };
    text.map(one_line)
}

fn conditions(row: &JobRow) -> Vec<Condition> {
    let Some(ended) = row.completed_at.map(Time) else {
        return Vec::new();
    };
    match row.status {
        JobStatus::Done => vec![
            condition(COMPLETE, true, "Scored", "", ended.clone()),
            condition(FAILED, false, "Scored", "", ended),
        ],
        _ => {
            let reason = row.error_code.as_ref().map_or("Error".to_owned(), |code| camel_case(code.as_str()));
            let text = one_line(row.feedback.as_deref().unwrap_or_default());
            vec![
                condition(COMPLETE, false, &reason, &text, ended.clone()),
                condition(FAILED, true, &reason, &text, ended),
            ]
        }
    }
}

/// `lease_lost` as `LeaseLost`: the form that Kubernetes asks of a condition's reason.
pub(crate) fn camel_case(code: &str) -> String {
    let words = code.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let reason: String =
        words.map(|word| format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..])).collect();
    if reason.starts_with(|c: char| c.is_ascii_alphabetic()) { reason } else { "Error".to_owned() }
}

/// What a request shows that never became a job.
pub(super) fn of_rejection(rejection: &Rejection, now: Timestamp) -> ScoringJobStatus {
    let rejected = condition(FAILED, true, rejection.reason, &rejection.message, Time(now));
    ScoringJobStatus {
        phase: Some(Phase::Rejected),
        message: Some(one_line(&rejection.message)),
        conditions: vec![rejected],
        ..ScoringJobStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{Epoch, ErrorCode, Pool, Priority};
    use store::Mirror;
    use uuid::Uuid;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn row(status: JobStatus) -> JobRow {
        JobRow {
            id: Uuid::from_u128(1),
            submission_id: Uuid::from_u128(2),
            batch_id: None,
            tenant: "default".to_owned(),
            status,
            priority: Priority::default(),
            pool: Pool::default(),
            rubric: "default".to_owned(),
            rubric_version: "abc".to_owned(),
            score: None,
            feedback: None,
            error_code: None,
            error_message: None,
            attempt: 0,
            max_attempts: 4,
            backoff_seconds: 2,
            timeout_seconds: 60,
            ttl_seconds: 3600,
            suspended: false,
            epoch: Epoch::NONE,
            scorer: None,
            not_before: None,
            delay: Duration::ZERO,
            version: 1,
            mirrored_version: 0,
            mirror: Mirror::None,
            created_at: at(1),
            queued_at: None,
            started_at: None,
            completed_at: None,
            traceparent: None,
        }
    }

    fn truth(status: &ScoringJobStatus, kind: &str) -> Option<String> {
        status.conditions.iter().find(|c| c.type_ == kind).map(|c| c.status.clone())
    }

    #[test]
    fn an_active_job_has_no_conditions_yet() {
        for status in [JobStatus::Queued, JobStatus::Running] {
            assert!(of_row(&row(status)).conditions.is_empty());
        }
    }

    #[test]
    fn a_scored_job_is_complete_and_not_failed() {
        let done = of_row(&JobRow {
            score: Some(87.5),
            feedback: Some("long".to_owned()),
            completed_at: Some(at(9)),
            ..row(JobStatus::Done)
        });
        assert_eq!((done.phase, done.score), (Some(Phase::Done), Some(87.5)));
        assert_eq!(truth(&done, COMPLETE).as_deref(), Some("True"));
        assert_eq!(truth(&done, FAILED).as_deref(), Some("False"));
    }

    #[test]
    fn a_failed_job_says_why_in_a_reason_and_one_line() {
        let failed = of_row(&JobRow {
            feedback: Some("first line\nsecond line".to_owned()),
            error_code: Some(ErrorCode::LEASE_LOST),
            completed_at: Some(at(9)),
            ..row(JobStatus::Error)
        });
        assert_eq!(failed.message.as_deref(), Some("first line"));
        assert_eq!(truth(&failed, FAILED).as_deref(), Some("True"));
        assert_eq!(failed.conditions[0].reason, "LeaseLost");
    }

    #[test]
    fn a_job_that_waits_for_its_next_attempt_says_what_went_wrong() {
        let waiting =
            of_row(&JobRow { error_message: Some("timed out".to_owned()), ..row(JobStatus::Queued) });
        assert_eq!(waiting.message.as_deref(), Some("timed out"));
    }

    #[test]
    fn any_code_makes_a_reason_that_kubernetes_takes() {
        for (code, reason) in
            [("lease_lost", "LeaseLost"), ("timeout", "Timeout"), ("", "Error"), ("9x", "Error")]
        {
            assert_eq!(camel_case(code), reason);
        }
    }

    #[test]
    fn what_is_gone_is_cleared_by_the_patch() {
        let status = serde_json::to_value(of_row(&row(JobStatus::Queued))).expect("JSON");
        assert!(status.as_object().expect("an object").get("startedAt").expect("is there").is_null());
    }
}
