//! Postgres: each function is one statement, which takes effect entirely and whose answer may be lost.

use domain::queue_rules::Enqueue;
use domain::transition::{self, Cancel, Finish, JobState, Start, Verdict};
use domain::{AttemptOutcome, Claim, Epoch, JobId, JobStatus};

use crate::rules::Rules;
use crate::state::{Attempt, Row, State, rank};

impl State {
    /// A scorer starts a job it claimed.
    pub(crate) fn start(&mut self, rules: &Rules, claim: Claim, expired: Epoch) -> Start {
        let row = self.row_mut(claim.job);
        let before = row.job;
        let answer = (rules.start)(before, claim.epoch, expired);
        let (next, ended) = match answer {
            Start::Started { next, taken_over } => (next, taken_over.map(|it| (it.epoch, it.outcome))),
            Start::Exhausted { next, lost } => (next, Some((lost, AttemptOutcome::LeaseLost))),
            _ => return answer,
        };
        let spent = ended.filter(|(_, outcome)| outcome.spends_attempt());
        let spent_unseen = spent.is_some_and(|(epoch, _)| !row.ran_out.contains(&epoch));
        self.broken.recorded_twice |= row.change(next, ended);
        self.broken.spent_unseen |= spent_unseen;
        self.broken.stale_write |= claim.epoch <= before.epoch;
        self.broken.ended_changed |= before.status.is_terminal();
        answer
    }

    /// A scorer ends its attempt.
    pub(crate) fn finish(&mut self, rules: &Rules, claim: Claim, verdict: Verdict) -> Finish {
        let row = self.row_mut(claim.job);
        let before = row.job;
        let answer = (rules.finish)(before, claim.epoch, verdict);
        let Finish::Recorded { next } = answer else { return answer };
        self.broken.recorded_twice |= row.change(next, Some((claim.epoch, verdict.outcome())));
        let own = before.status == JobStatus::Running && before.epoch == claim.epoch;
        self.broken.others_result |= !own;
        self.broken.stale_write |= claim.epoch < before.epoch;
        self.broken.ended_changed |= before.status.is_terminal();
        answer
    }

    /// Where the job stands if this very verdict was recorded by an earlier call. Once it has moved on, it was queued in
    /// between.
    pub(crate) fn find_recorded(&self, claim: Claim, verdict: Verdict) -> Option<JobStatus> {
        let row = self.row(claim.job);
        let recorded =
            |attempt: &Attempt| (attempt.epoch, attempt.outcome) == (claim.epoch, verdict.outcome());
        let status = if row.job.epoch == claim.epoch { row.job.status } else { JobStatus::Queued };
        row.attempts.iter().any(recorded).then_some(status)
    }

    /// A person cancels a job.
    pub(crate) fn cancel(&mut self, job: JobId) {
        let row = self.row_mut(job);
        if let Cancel::Cancelled { next, attempt } = transition::cancel(row.job) {
            row.to_be_taken_off = true;
            let twice = row.change(next, attempt.map(|epoch| (epoch, AttemptOutcome::Cancelled)));
            self.broken.recorded_twice |= twice;
        }
    }

    /// A person holds a job back.
    pub(crate) fn suspend(&mut self, job: JobId) {
        self.row_mut(job).job.suspended = true;
    }

    /// A person resumes a job. If it waits, it is to be queued.
    pub(crate) fn resume(&mut self, job: JobId) {
        let row = self.row_mut(job);
        row.job.suspended = false;
        row.unqueued |= row.job.status == JobStatus::Queued;
    }

    /// Whether the claim's job is still running under it.
    pub(crate) fn is_running_under(&self, claim: Claim) -> bool {
        let job = self.row(claim.job).job;
        job.status == JobStatus::Running && job.epoch == claim.epoch
    }

    /// Those of the jobs that belong on the queue.
    pub(crate) fn active_of(&self, jobs: impl IntoIterator<Item = JobId>) -> Vec<Enqueue> {
        jobs.into_iter()
            .filter(|job| self.row(*job).belongs_on_queue())
            .map(|job| self.to_queue(job))
            .collect()
    }

    /// Those of the jobs that wait and are not noted as queued. What needs no queueing any more is forgotten.
    pub(crate) fn unqueued_of(&mut self, jobs: impl IntoIterator<Item = JobId>) -> Vec<Enqueue> {
        let mut page = Vec::new();
        for job in jobs.into_iter().collect::<Vec<_>>() {
            let row = self.row_mut(job);
            row.unqueued &= row.job.status == JobStatus::Queued && !row.job.suspended;
            if row.unqueued {
                page.push(self.to_queue(job));
            }
        }
        page
    }

    /// Notes that jobs are on the queue.
    pub(crate) fn note_queued(&mut self, jobs: &[JobId]) {
        for job in jobs {
            self.row_mut(*job).unqueued = false;
        }
    }

    // Without the rest of its delay: then it is claimed sooner, which nothing of what is checked here forbids.
    fn to_queue(&self, job: JobId) -> Enqueue {
        let JobState { epoch, status, .. } = self.row(job).job;
        let leased = status == JobStatus::Running;
        Enqueue { job, rank: rank(job), delay: std::time::Duration::ZERO, epoch, leased }
    }
}

impl Row {
    /// Changes the row and records the attempt that ended by it. Returns whether that one had been recorded before.
    fn change(&mut self, next: JobState, ended: Option<(Epoch, AttemptOutcome)>) -> bool {
        let number = self.job.attempt;
        let twice = ended.is_some_and(|(epoch, _)| self.attempts.iter().any(|it| it.epoch == epoch));
        self.attempts.extend(ended.map(|(epoch, outcome)| Attempt { epoch, number, outcome }));
        self.job = next;
        self.ran_out.retain(|epoch| *epoch >= next.epoch);
        twice
    }

    fn belongs_on_queue(&self) -> bool {
        match self.job.status {
            JobStatus::Queued => !self.job.suspended,
            JobStatus::Running => true,
            JobStatus::Done | JobStatus::Error => false,
        }
    }
}
