//! One claim, from its start in Postgres to the end of its lease.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::transition::TakenOver;
use domain::{AttemptOutcome, Claim, Epoch, ErrorCode, JobStatus, RetryPolicy};
use futures::FutureExt;
use runtime::trace::{SpanKind, TraceContext};
use store::{Ending, Finished, Started, Tenure, Work};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::field::display;
use tracing::{debug, error, info, warn};

use crate::engine::{Assignment, Engine, panicked};
use crate::held::{Held, Holding, Loss};
use crate::leases::{LeaseEnd, Leases};
use crate::metrics::Metrics;
use crate::records::{Records, done};
use crate::rubrics::Rubrics;
use crate::scoring::{Limits, ScoringError};
use crate::slots::{Permit, Slot};
use crate::traces::{AttemptSpan, Claiming};

/// When a job that is held back is looked at again. An operator takes it off the queue before long, or it is resumed.
const LOOK_AT_SUSPENDED_AFTER: Duration = Duration::from_secs(1);

/// When a job that could not be scored here, for reasons of this scorer's own, is tried again by any.
const PAUSE_AFTER_TROUBLE: Duration = Duration::from_secs(2);

/// When an attempt began, how old its job was then, and what of it is seen in the job's trace.
#[derive(Debug)]
struct Begun {
    at: Instant,
    age: Duration,
    span: AttemptSpan,
}

/// Makes attempts at the jobs that were claimed.
pub(crate) struct Attempts {
    pub(crate) leases: Leases,
    pub(crate) records: Records,
    pub(crate) held: Held,
    pub(crate) rubrics: Rubrics,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) metrics: Metrics,
    /// The longest that one attempt may take.
    pub(crate) max_timeout: Duration,
    /// What is not scored by now is handed back.
    pub(crate) last_call: CancellationToken,
}

impl Attempts {
    /// Works on a claim of a job whose last lease, that of the epoch `expired`, is known to have run out. It counts as held
    /// until what came of it is recorded, and its lease is ended after that.
    pub(crate) async fn make(&self, claim: Claim, expired: Epoch, permit: Permit, claiming: &Claiming) {
        let Permit { slot, room } = permit;
        let holding = self.held.hold(claim);
        let end = self.make_held(&holding, expired, slot, claiming).await;
        drop((holding, room));
        self.leases.end(end).await;
    }

    async fn make_held(
        &self,
        holding: &Holding,
        expired: Epoch,
        slot: Slot,
        claiming: &Claiming,
    ) -> LeaseEnd {
        let starting = SystemTime::now();
        let work = match self.start(holding, expired).await {
            Ok(work) => work,
            Err(end) => return end,
        };
        let started = starting..SystemTime::now();
        let span = AttemptSpan::begin(&work, holding.claim, claiming, started);
        holding.traced(span.context());
        let begun = Begun { at: Instant::now(), age: work.age, span };
        let scoring = SystemTime::now();
        let scored = self.score(work, slot, holding).await;
        begun.span.step("score", SpanKind::Internal, scoring..SystemTime::now(), &[]);
        match scored {
            Some(ending) => self.finish(ending, begun, holding).await,
            None => self.stopped(holding),
        }
    }

    /// Starts the attempt in Postgres, or says what becomes of the lease when there is nothing to score.
    async fn start(&self, holding: &Holding, expired: Epoch) -> Result<Work, LeaseEnd> {
        let claim = holding.claim;
        let Some(started) = self.records.start(holding, expired).await else {
            return Err(self.unanswered(holding));
        };
        match started {
            Started::Started { work, taken_over } => {
                if let Some(TakenOver { epoch: earlier, outcome }) = taken_over {
                    self.metrics.count(outcome);
                    let counts = outcome == AttemptOutcome::LeaseLost;
                    let trace = TraceContext::read(work.traceparent.as_deref());
                    let trace_id = trace.map(|trace| display(trace.trace_id()));
                    info!(job = %claim.job, trace_id, epoch = %claim.epoch, %earlier, counts, "took over an attempt without end");
                }
                holding.started(work.rank);
                self.metrics.waiting_seconds.observe(work.waited.as_secs_f64());
                Ok(work)
            }
            Started::AlreadyStarted { work } => {
                holding.started(work.rank);
                Ok(work)
            }
            Started::Exhausted { lost } => {
                self.metrics.count(AttemptOutcome::LeaseLost);
                self.metrics.job_ended(JobStatus::Error, None);
                warn!(job = %claim.job, %lost, "the last attempt was lost; the job ends in ERROR");
                Err(LeaseEnd::Finish(claim))
            }
            Started::Ended | Started::Unknown => {
                debug!(job = %claim.job, ?started, "nothing to score");
                Err(LeaseEnd::Finish(claim))
            }
            Started::Suspended => {
                debug!(job = %claim.job, "held back");
                // Not dropped: it may be resumed at this moment, and then is believed to be on the queue.
                Err(LeaseEnd::release(claim, LOOK_AT_SUSPENDED_AFTER))
            }
            Started::Stale { newest } => {
                self.metrics.stale.inc();
                warn!(job = %claim.job, epoch = %claim.epoch, %newest, "the claim is older than the job's last attempt");
                Err(LeaseEnd::release_above(claim, Duration::ZERO, newest))
            }
        }
    }

    /// Scores, and says how the attempt ended. `None` when the job is no longer this scorer's.
    async fn score(&self, work: Work, slot: Slot, holding: &Holding) -> Option<Ending> {
        if holding.is_lost() {
            // Taken over before any work was done: its record need not show an attempt that was lost.
            return Some(released("the job was taken over before it was scored"));
        }
        let (attempt, backoff) = (work.attempt, Duration::from_secs(work.backoff_seconds.into()));
        tokio::select! {
            biased;
            () = holding.lost() => None,
            () = self.last_call.cancelled() => Some(released("the scorer stopped")),
            outcome = self.outcome(work, slot, holding) => {
                let outcome = outcome?;
                Some(outcome.unwrap_or_else(|error| self.failed(error, attempt, backoff, holding)))
            }
        }
    }

    async fn outcome(
        &self,
        work: Work,
        slot: Slot,
        holding: &Holding,
    ) -> Option<Result<Ending, ScoringError>> {
        let rubric = match self.rubrics.of(&work, &self.records, holding).await? {
            Ok(rubric) => rubric,
            Err(error) => return Some(Err(error)),
        };
        let timeout_asked = Duration::from_secs(work.timeout_seconds.into());
        let limits = Limits { timeout: timeout_asked.min(self.max_timeout), ..Limits::default() };
        let assignment =
            Assignment { job: work.job, content: work.content, rubric, limits: limits.clone(), _slot: slot };
        let begun = Instant::now();
        let scoring = AssertUnwindSafe(async { self.engine.score(assignment).await }).catch_unwind();
        let outcome = match timeout(limits.timeout, scoring).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(panicked()),
            Err(_elapsed) => Err(ScoringError::timed_out(limits.timeout)),
        };
        self.metrics.scoring_seconds.observe(begun.elapsed().as_secs_f64());
        Some(outcome.map(done))
    }

    fn failed(&self, error: ScoringError, attempt: u32, backoff: Duration, holding: &Holding) -> Ending {
        let (trace_id, span_id) = (holding.trace_id(), holding.span_id());
        info!(job = %holding.claim.job, trace_id, span_id, attempt, %error, "the attempt failed");
        let delay = RetryPolicy::backoff(backoff, attempt, rand::random());
        match error {
            ScoringError::Permanent { code, message } => Ending::Permanent { code, message },
            ScoringError::Retryable { code, message } => Ending::Retryable { code, message, delay },
            ScoringError::Crashed { message } => {
                self.metrics.crashes.inc();
                Ending::Crashed { message, delay }
            }
            ScoringError::Released { message } => Ending::Released { message, delay: PAUSE_AFTER_TROUBLE },
        }
    }

    /// Records how the attempt ended.
    async fn finish(&self, ending: Ending, begun: Begun, holding: &Holding) -> LeaseEnd {
        let claim = holding.claim;
        let verdict = ending.verdict();
        let finishing = SystemTime::now();
        let finished = self.records.finish(holding, ending).await;
        begun.span.step("finish", SpanKind::Client, finishing..SystemTime::now(), &[]);
        match finished {
            Some(Ok(Finished::Recorded { status, retry_after })) => {
                self.recorded(verdict.outcome(), status, begun);
                if status == JobStatus::Queued {
                    LeaseEnd::release(claim, retry_after.unwrap_or_default())
                } else {
                    LeaseEnd::Finish(claim)
                }
            }
            Some(Ok(Finished::Refused)) => {
                self.metrics.refused.inc();
                let trace_id = holding.trace_id();
                warn!(job = %claim.job, trace_id, epoch = %claim.epoch, ?verdict, "refused: the job is no longer this scorer's");
                // Only to count it, so once.
                if let Ok([Tenure::Cancelled]) = self.records.held(&[claim]).await.as_deref() {
                    self.metrics.count(AttemptOutcome::Cancelled);
                }
                LeaseEnd::Finish(claim)
            }
            Some(Err(invalid)) => {
                let trace_id = holding.trace_id();
                error!(job = %claim.job, trace_id, error = %invalid, "the result cannot be stored");
                self.finish_unstorable(&invalid.message, begun, holding).await
            }
            None => self.unanswered(holding),
        }
    }

    /// Postgres did not answer before the claim was lost or the process had to end. Whatever it has recorded by then,
    /// the job can go back at once: should it still be running on the record, whoever claims it next gives the
    /// attempt back, since no lease ran out.
    fn unanswered(&self, holding: &Holding) -> LeaseEnd {
        if holding.is_lost() {
            self.stopped(holding)
        } else {
            LeaseEnd::release(holding.claim, Duration::ZERO)
        }
    }

    /// Ends the job with what can be stored for certain.
    async fn finish_unstorable(&self, reason: &str, begun: Begun, holding: &Holding) -> LeaseEnd {
        let message = format!("the result of scoring cannot be stored: {reason}");
        let ending = Ending::Permanent { code: ErrorCode::INTERNAL, message };
        if let Some(Ok(Finished::Recorded { status, .. })) = self.records.finish(holding, ending).await {
            self.recorded(AttemptOutcome::Permanent, status, begun);
        }
        LeaseEnd::Finish(holding.claim)
    }

    /// Counts an attempt whose end is on the record, and its job if that has ended, too.
    fn recorded(&self, outcome: AttemptOutcome, status: JobStatus, mut begun: Begun) {
        begun.span.recorded(outcome, status);
        let took = begun.at.elapsed();
        self.metrics.count(outcome);
        self.metrics.attempt_took(outcome, took.as_secs_f64());
        self.metrics.job_ended(status, Some((begun.age + took).as_secs_f64()));
    }

    /// The work on a claim that was lost has been stopped. Its lease, should Redis still have it, is of no use.
    fn stopped(&self, holding: &Holding) -> LeaseEnd {
        let claim = holding.claim;
        self.metrics.stopped.inc();
        let loss = holding.loss();
        if let Some(loss) = loss {
            self.metrics.lease_lost(loss);
        }
        if loss == Some(Loss::Cancelled) {
            self.metrics.count(AttemptOutcome::Cancelled);
        }
        let trace_id = holding.trace_id();
        info!(job = %claim.job, trace_id, epoch = %claim.epoch, "stopped: the job was cancelled or taken over");
        LeaseEnd::Finish(claim)
    }
}

fn released(reason: &str) -> Ending {
    Ending::Released { message: reason.to_owned(), delay: Duration::ZERO }
}
