//! Redriving the job of one ScoringJob, because a person asks for it with an annotation.

use domain::{JobId, JobStatus};
use resources::{REDRIVEN_AS, ScoringJob};
use store::{Redrive, RedriveOrder, Redriven, ResourceRef, Skip};

use crate::cluster::Seen;
use crate::context::{Context, ReconcileError};
use crate::redrive::{Answer, answer, by};

/// Redrives the job and answers the wish. May be interrupted anywhere: the next time finds what was made.
pub(super) async fn redrive(
    job: JobId,
    resource: &Seen<ScoringJob>,
    reference: &ResourceRef,
    context: &Context,
) -> Result<(), ReconcileError> {
    let redrives = [Redrive { job, new_id: JobId::now_v7() }];
    // Whoever names a job that a person cancelled means it.
    let order = RedriveOrder { cancelled_too: true, ..RedriveOrder::by(by("scoringjob", reference)) };
    match context.store.redrive(&redrives, &order).await?.pop() {
        None | Some(Redriven::Unsettled) => Err(ReconcileError::Unsettled),
        Some(redriven) => Ok(answer(resource, words(&redriven), context).await?),
    }
}

/// Answers the wish for a resource that never became a job.
pub(super) async fn refuse(resource: &Seen<ScoringJob>, context: &Context) -> Result<(), ReconcileError> {
    Ok(answer(resource, words(&Redriven::NotFound), context).await?)
}

/// What became of it, in words.
fn words(redriven: &Redriven) -> Answer {
    let said = |in_vain, reason, note| Answer { in_vain, reason, note, mark: None };
    let marked = |job: JobId, reason, note| Answer {
        in_vain: false,
        reason,
        note,
        mark: Some((REDRIVEN_AS, job.to_string())),
    };
    match redriven {
        Redriven::Made { id, .. } => marked(*id, "Redriven", format!("redriven as job {id}")),
        Redriven::Skipped(Skip::Redriven { job, status }) => {
            let note = match status {
                Some(JobStatus::Error) => {
                    format!("it was redriven before, as job {job}, which is ERROR: redrive that one")
                }
                Some(status) => format!("it was redriven before, as job {job}, which is {status}"),
                None => format!("it was redriven before, as job {job}"),
            };
            marked(*job, "RedrivenBefore", note)
        }
        Redriven::Skipped(Skip::Scored { job }) => {
            said(false, "ScoredSince", format!("job {job} has scored the submission since"))
        }
        Redriven::Skipped(Skip::Active { job, status }) => {
            said(true, "ActiveJobExists", format!("the submission has another active job: {job} is {status}"))
        }
        Redriven::Skipped(Skip::OverQuota { allowed }) => said(
            true,
            "QuotaExceeded",
            format!("its tenant has as many active jobs as it may have: {allowed}"),
        ),
        Redriven::Skipped(Skip::UnknownRubric) => {
            said(true, "UnknownRubric", "its rubric is no longer there".to_owned())
        }
        Redriven::Skipped(Skip::UnknownSubmission) => {
            said(true, "UnknownSubmission", "its submission is no longer there".to_owned())
        }
        Redriven::Skipped(Skip::Cancelled) => said(true, "Cancelled", "a person cancelled it".to_owned()),
        Redriven::NotFailed { status } => {
            let note = format!("only a job that ended without a score can be redriven: it is {status}");
            said(true, "NotFailed", note)
        }
        Redriven::NotFound | Redriven::Unsettled => {
            said(true, "NoJob", "there is no job to redrive".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_job_and_one_that_was_made_before_are_marked_and_nothing_else() {
        let id = JobId::from_u128(1);
        let mark = Some((REDRIVEN_AS, id.to_string()));
        let before = |status| Redriven::Skipped(Skip::Redriven { job: id, status });
        for (redriven, expected) in [
            (Redriven::Made { id, not_before: None }, mark.clone()),
            (before(Some(JobStatus::Done)), mark.clone()),
            (before(None), mark),
            (Redriven::Skipped(Skip::Scored { job: id }), None),
            (Redriven::NotFailed { status: JobStatus::Running }, None),
        ] {
            assert_eq!(words(&redriven).mark, expected, "{redriven:?}");
        }
    }

    #[test]
    fn whoever_asks_about_a_chain_is_told_which_job_to_redrive() {
        let job = JobId::from_u128(7);
        let answer = words(&Redriven::Skipped(Skip::Redriven { job, status: Some(JobStatus::Error) }));
        assert!(answer.note.contains(&job.to_string()) && answer.note.ends_with("redrive that one"));
    }
}
