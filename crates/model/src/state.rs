//! Everything there is at one moment.

use domain::queue_rules::{Moment, Place, QueueState, Turn};
use domain::transition::JobState;
use domain::{AttemptOutcome, Claim, Epoch, JobId, Rank};

use crate::bounds::Bounds;
use crate::operator::Operator;
use crate::scorer::Scorer;

/// Everything there is at one moment: two stores, those who work on them, and what may still go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Postgres: one row a job.
    pub rows: Vec<Row>,
    /// Redis.
    pub queue: QueueState,
    /// What a replica of Redis has that is about to take over.
    pub replica: Option<QueueState>,
    /// The scorers, in no order.
    pub scorers: Vec<Scorer>,
    /// The operators.
    pub operators: Vec<Operator>,
    /// How many more faults there can be.
    pub faults_left: u8,
    /// What must never happen and did.
    pub broken: Broken,
}

/// A job in Postgres.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// What the state machine reads and writes.
    pub job: JobState,
    /// Noted as not being on the queue yet.
    pub unqueued: bool,
    /// The ended attempts, in the order in which they were recorded, but for those that nobody asks about any more and
    /// that do not count.
    pub attempts: Vec<Attempt>,
    /// It was cancelled, and whoever did that has not told the queue.
    pub to_be_taken_off: bool,
    /// Not in Postgres, but the truth about leases: the epochs, from the row's on, whose lease Redis saw running out.
    pub ran_out: Vec<Epoch>,
}

/// An ended attempt, as the audit table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Under which epoch it ran.
    pub epoch: Epoch,
    /// Which attempt it was, from 1.
    pub number: u32,
    /// How it ended.
    pub outcome: AttemptOutcome,
}

/// What must never happen, and is seen only at the moment when it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broken {
    /// A call under an epoch that is not the newest changed a row.
    pub stale_write: bool,
    /// An attempt's end was recorded for another attempt.
    pub others_result: bool,
    /// An attempt was spent as lost although nobody saw its lease running out.
    pub spent_unseen: bool,
    /// A row that had ended changed.
    pub ended_changed: bool,
    /// Two ends were recorded of one attempt.
    pub recorded_twice: bool,
}

/// Time stands still, and leases and delays end when they are said to.
pub(crate) const NOW: Moment = Moment { now_ms: 1_000_000, lease_ms: 30_000, outage_ms: 12_500 };

impl State {
    /// The jobs are accepted, and the queue is empty and known to be.
    pub fn new(bounds: &Bounds) -> State {
        let row = Row {
            job: JobState::accepted(bounds.max_attempts),
            unqueued: true,
            attempts: Vec::new(),
            to_be_taken_off: false,
            ran_out: Vec::new(),
        };
        State {
            rows: vec![row; bounds.jobs],
            queue: QueueState {
                heard_ms: Some(NOW.now_ms),
                generation: Some(Turn::Present),
                ..QueueState::default()
            },
            replica: None,
            scorers: vec![Scorer::default(); bounds.scorers],
            operators: vec![Operator::default(); bounds.operators],
            faults_left: bounds.faults,
            broken: Broken::default(),
        }
    }

    /// The job's row.
    pub fn row(&self, job: JobId) -> &Row {
        &self.rows[index(job)]
    }

    pub(crate) fn row_mut(&mut self, job: JobId) -> &mut Row {
        &mut self.rows[index(job)]
    }

    /// Whether a scorer that lives renews this claim.
    pub fn is_held(&self, claim: Claim) -> bool {
        self.scorers.iter().any(|scorer| scorer.held() == Some(claim))
    }

    /// The jobs whose lease or delay has not ended yet.
    pub(crate) fn with_time_left(&self) -> impl Iterator<Item = (JobId, Place)> {
        self.queue.places.iter().map(|(job, place)| (*job, *place)).filter(|(_, place)| match place {
            Place::Ready { .. } => false,
            Place::Delayed { due_ms: ends_ms, .. } | Place::Leased { deadline_ms: ends_ms, .. } => {
                *ends_ms > NOW.now_ms
            }
        })
    }

    /// The job's lease or delay ends.
    pub(crate) fn run_out(&mut self, job: JobId) {
        if let Some(Place::Delayed { due_ms: ends_ms, .. } | Place::Leased { deadline_ms: ends_ms, .. }) =
            self.queue.places.get_mut(&job)
        {
            *ends_ms = 0;
        }
    }
}

/// The jobs, in the order of their ids.
pub(crate) fn jobs(count: usize) -> impl Iterator<Item = JobId> {
    (0..count).map(|index| JobId::from_u128(index as u128 + 1))
}

pub(crate) fn index(job: JobId) -> usize {
    job.as_u128() as usize - 1
}

/// Older jobs come first.
pub(crate) fn rank(job: JobId) -> Rank {
    Rank(job.as_u128() as u64)
}
