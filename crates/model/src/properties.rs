//! What is always so, and what is to happen at some time so that the former means something.

use domain::transition::{self, Cancel, Finish, Start, Verdict};
use domain::{AttemptOutcome, Epoch, JobStatus};
use stateright::Property;

use crate::continuation::Survivors;
use crate::life::Life;
use crate::operator::{Keeper, token};
use crate::renewal::Renewing;
use crate::rules::Rules;
use crate::scorer::{Holding, Phase};
use crate::state::{Row, State};

/// What is always so.
pub(crate) fn always() -> Vec<Property<Life>> {
    vec![
        Property::<Life>::always("a job is recorded as done at most once", |_, state| {
            state.rows.iter().all(Row::is_done_at_most_once)
        }),
        Property::<Life>::always("a stale epoch never changes a row", |_, state| !state.broken.stale_write),
        Property::<Life>::always("no result is recorded for another's attempt", |_, state| {
            !state.broken.others_result
        }),
        Property::<Life>::always("a job that has ended never changes", |life, state| {
            !state.broken.ended_changed && state.rows.iter().all(|row| row.stays_ended(&life.rules))
        }),
        Property::<Life>::always("attempts never exceed the limit", |_, state| {
            state.rows.iter().all(|row| row.job.attempt <= row.job.max_attempts)
        }),
        Property::<Life>::always("the recorded attempts are those that were spent", |_, state| {
            state.rows.iter().all(Row::records_what_was_spent)
        }),
        Property::<Life>::always("no epoch has two recorded attempts", |_, state| {
            !state.broken.recorded_twice
        }),
        Property::<Life>::always(
            "only a lease that was seen to run out spends an attempt as lost",
            |_, state| !state.broken.spent_unseen,
        ),
        Property::<Life>::always("every job ends once faults cease, whoever survives", |life, state| {
            state.have_all_ended()
                || [Survivors::All, Survivors::None].into_iter().all(|survivors| {
                    let end = state.without_faults(&life.rules, survivors);
                    end.is_some_and(|end| end.rows.iter().all(Row::records_what_was_spent))
                })
        }),
    ]
}

/// What can happen within any bounds.
pub(crate) fn sometimes() -> Vec<Property<Life>> {
    vec![
        Property::<Life>::sometimes("a job is done although an attempt was lost", |_, state| {
            state
                .rows
                .iter()
                .any(|row| row.job.status == JobStatus::Done && row.has_recorded(AttemptOutcome::LeaseLost))
        }),
        Property::<Life>::sometimes("a job ends because its last attempt was lost", |_, state| {
            state.rows.iter().any(|row| row.ended_with(AttemptOutcome::LeaseLost))
        }),
        Property::<Life>::sometimes("a job ends because its last attempt failed", |_, state| {
            state.rows.iter().any(|row| row.ended_with(AttemptOutcome::Retryable))
        }),
        Property::<Life>::sometimes("an attempt is taken over that no lease ran out for", |_, state| {
            state.any_scorer(|it| match it.phase {
                Phase::Starting { expired } => {
                    let job = state.row(it.claim.job).job;
                    job.status == JobStatus::Running && expired < job.epoch && job.epoch < it.claim.epoch
                }
                _ => false,
            })
        }),
        Property::<Life>::sometimes("a start is repeated whose answer was lost", |_, state| {
            state.any_scorer(|it| {
                matches!(it.phase, Phase::Starting { .. }) && state.is_running_under(it.claim)
            })
        }),
        Property::<Life>::sometimes(
            "a verdict is found that was recorded and its answer lost",
            |_, state| {
                state.any_scorer(|it| match it.phase {
                    Phase::FindingOut(verdict) => state.find_recorded(it.claim, verdict).is_some(),
                    _ => false,
                })
            },
        ),
        Property::<Life>::sometimes("a result is refused that comes too late", |_, state| {
            state.any_scorer(|it| {
                let job = state.row(it.claim.job).job;
                it.phase == Phase::Finishing(Verdict::Done) && job.epoch > it.claim.epoch
            })
        }),
        Property::<Life>::sometimes("a rebuild is completed", |_, state| state.any_completing(true)),
        Property::<Life>::sometimes("a rebuild was lost while it was made", |_, state| {
            state.any_completing(false)
        }),
        Property::<Life>::sometimes("a lease that Redis had lost is adopted", |_, state| {
            state.scorers.iter().any(|scorer| match scorer.renewing {
                Renewing::Adopting(claim) => {
                    state.queue.leased_epoch(claim.job).unwrap_or(Epoch::NONE) < claim.epoch
                }
                _ => false,
            })
        }),
    ]
}

impl Row {
    fn has_recorded(&self, outcome: AttemptOutcome) -> bool {
        self.attempts.iter().any(|attempt| attempt.outcome == outcome)
    }

    fn ended_with(&self, outcome: AttemptOutcome) -> bool {
        self.job.status == JobStatus::Error && self.attempts.last().is_some_and(|it| it.outcome == outcome)
    }

    fn is_done_at_most_once(&self) -> bool {
        let records = self.attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Done).count();
        records == usize::from(self.job.status == JobStatus::Done)
    }

    /// The attempts that count are numbered from 1, and the one that is running comes next.
    fn records_what_was_spent(&self) -> bool {
        let counted = self.attempts.iter().filter(|attempt| attempt.outcome.spends_attempt());
        let running = u32::from(self.job.status == JobStatus::Running);
        counted.map(|attempt| attempt.number).eq(1..=self.job.attempt.saturating_sub(running))
    }

    /// Once it has ended, no call changes it, whatever it says: this stands for all that could still be done then.
    fn stays_ended(&self, rules: &Rules) -> bool {
        let epochs = || [-1, 0, 1].map(|distance| Epoch(self.job.epoch.0 + distance)).into_iter();
        let start = |(epoch, expired)| (rules.start)(self.job, epoch, expired) == Start::Ended;
        let finish = |(epoch, verdict)| (rules.finish)(self.job, epoch, verdict) == Finish::Refused;
        self.job.status.is_active()
            || epochs().flat_map(|epoch| epochs().map(move |expired| (epoch, expired))).all(start)
                && epochs().flat_map(|epoch| Verdict::ALL.map(|verdict| (epoch, verdict))).all(finish)
                && transition::cancel(self.job) == Cancel::Ended
    }
}

impl State {
    fn any_scorer(&self, is: impl Fn(Holding) -> bool) -> bool {
        self.scorers.iter().filter_map(|scorer| scorer.holding()).any(is)
    }

    /// Whether an operator is about to complete a rebuild that Redis still knows of, or no longer does.
    fn any_completing(&self, known: bool) -> bool {
        let known = |which| self.queue.rebuilds.contains_key(&token(which)) == known;
        (0..self.operators.len())
            .any(|which| self.operators[which].keeper == Keeper::Completing && known(which))
    }
}
