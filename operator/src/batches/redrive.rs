//! Redriving the members of a ScoringBatch that ended without a score, because a person asks for it with an annotation.

use std::collections::BTreeMap;

use domain::{BatchId, JobId};
use resources::{REDRIVEN_MEMBERS, ScoringBatch};
use store::{DeadLetterFilter, Redrive, RedriveOrder, Redriven, ResourceRef};

use crate::cluster::Seen;
use crate::context::{Context, ReconcileError};
use crate::redrive::{Answer, answer, by};

/// The members that one statement redrives.
const PAGE: u32 = 500;

/// What became of the members that had ended without a score.
#[derive(Default)]
struct Counts {
    redriven: u32,
    /// How many were left as they are, by the reason.
    skipped: BTreeMap<&'static str, u32>,
}

/// Redrives the members and answers the wish. May be interrupted anywhere: the next time goes on. The new jobs are no
/// members of the batch, whose counts stay as they are.
pub(super) async fn redrive(
    batch: BatchId,
    resource: &Seen<ScoringBatch>,
    reference: &ResourceRef,
    context: &Context,
) -> Result<(), ReconcileError> {
    // What a person cancelled is not what failed.
    let order = RedriveOrder::by(by("scoringbatch", reference));
    let filter = DeadLetterFilter { batch: Some(batch), ..DeadLetterFilter::default() };
    let (mut counts, mut after) = (Counts::default(), None);
    loop {
        let page = context.store.dead_letters(&filter, after, PAGE).await?;
        let jobs = page.letters.iter().map(|letter| letter.job.id);
        let redrives: Vec<Redrive> = jobs.map(|job| Redrive { job, new_id: JobId::now_v7() }).collect();
        for redriven in context.store.redrive(&redrives, &order).await? {
            counts.add(&redriven)?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(answer(resource, words(&counts), context).await?);
        }
    }
}

/// Answers the wish for a resource that never became a batch.
pub(super) async fn refuse(resource: &Seen<ScoringBatch>, context: &Context) -> Result<(), ReconcileError> {
    Ok(answer(resource, words(&Counts::default()), context).await?)
}

impl Counts {
    fn add(&mut self, redriven: &Redriven) -> Result<(), ReconcileError> {
        match redriven {
            Redriven::Made { .. } => self.redriven += 1,
            Redriven::Skipped(skip) => *self.skipped.entry(skip.code()).or_default() += 1,
            Redriven::Unsettled => return Err(ReconcileError::Unsettled),
            // Dead letters do not come to life; their rows may go.
            Redriven::NotFailed { .. } | Redriven::NotFound => {}
        }
        Ok(())
    }
}

fn words(counts: &Counts) -> Answer {
    let Counts { redriven, skipped } = counts;
    if *redriven == 0 && skipped.is_empty() {
        let note = "no member has ended without a score".to_owned();
        return Answer { in_vain: true, reason: "NotFailed", note, mark: None };
    }
    let mut note = format!("{redriven} members were redriven");
    if !skipped.is_empty() {
        let reasons: Vec<String> = skipped.iter().map(|(code, times)| format!("{times} {code}")).collect();
        note = format!("{note}, and others not: {}", reasons.join(", "));
    }
    let all = redriven + skipped.get("redriven_before").copied().unwrap_or_default();
    let mark = Some((REDRIVEN_MEMBERS, all.to_string()));
    let (in_vain, reason) = if *redriven > 0 { (false, "Redriven") } else { (true, "NothingRedriven") };
    Answer { in_vain, reason, note, mark }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_counts_those_that_an_interrupted_redrive_had_made() {
        let counts =
            Counts { redriven: 3, skipped: BTreeMap::from([("redriven_before", 2), ("cancelled", 1)]) };
        let answer = words(&counts);
        assert_eq!(answer.mark, Some((REDRIVEN_MEMBERS, "5".to_owned())));
        assert_eq!(answer.note, "3 members were redriven, and others not: 1 cancelled, 2 redriven_before");
    }

    #[test]
    fn a_batch_without_failures_is_told_so() {
        assert_eq!(words(&Counts::default()).reason, "NotFailed");
    }
}
