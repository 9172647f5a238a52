//! What can happen to a queue.

use proptest::prelude::*;

/// How many jobs there are: few, so that much happens to each.
pub(crate) const JOBS: usize = 4;

/// Jobs are named by an index into a small set; claims by how many were handed out since, so that old claims come
/// back long after they were superseded.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// From the rows: job, priority, whether it is delayed, and whether the row was read before the last claim.
    Enqueue(Vec<(usize, i64, bool, bool)>),
    Claim(usize),
    Tick,
    Renew(Vec<usize>),
    /// Of each: whether with a delay, and whether the clock of Redis had gone back behind the row's epoch.
    Release(Vec<(usize, bool, bool)>),
    Finish(Vec<usize>),
    /// As a scorer does whose renewal is missing: only what the row confirms.
    Adopt(Vec<usize>),
    Cancel(Vec<usize>),
    Withdraw(Vec<usize>),
    /// The lease or the delay of a job runs out.
    RunOut(usize),
    /// Nobody reaches Redis for so many ms.
    Outage(i64),
    /// The clock of Redis goes back by so many ms.
    ClockBack(i64),
    /// Another server takes over, with the same data.
    Failover,
    /// What Redis has now is what it will have again after `Restart`.
    Snapshot,
    /// Redis starts again from the last snapshot.
    Restart,
    /// Redis is emptied.
    Flush,
    /// The queue is rebuilt from the rows, perhaps with a flush in the middle.
    Rebuild {
        interrupted: bool,
    },
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let job = 0..JOBS;
    let claim = 0usize..9;
    let claims = prop::collection::vec(claim.clone(), 0..5);
    let jobs = prop::collection::vec(job.clone(), 1..4);
    let item = (job.clone(), 0i64..10, prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let release = (claim, any::<bool>(), prop::bool::weighted(0.1));
    let step = prop_oneof![
        8 => prop::collection::vec(item, 1..6).prop_map(Step::Enqueue),
        10 => (0usize..4).prop_map(Step::Claim),
        2 => Just(Step::Tick),
        5 => claims.clone().prop_map(Step::Renew),
        5 => prop::collection::vec(release, 0..4).prop_map(Step::Release),
        4 => claims.clone().prop_map(Step::Finish),
        4 => claims.prop_map(Step::Adopt),
        1 => jobs.clone().prop_map(Step::Cancel),
        2 => jobs.prop_map(Step::Withdraw),
        6 => job.prop_map(Step::RunOut),
        1 => (1i64..40_000).prop_map(Step::Outage),
        1 => (1i64..40_000).prop_map(Step::ClockBack),
        1 => Just(Step::Failover),
        5 => Just(Step::Snapshot),
        5 => Just(Step::Restart),
        1 => Just(Step::Flush),
        2 => prop::bool::weighted(0.3).prop_map(|interrupted| Step::Rebuild { interrupted }),
    ];
    (any::<bool>(), prop::collection::vec(step, 1..80)).prop_map(|(known, mut steps)| {
        if known {
            steps.insert(0, Step::Rebuild { interrupted: false });
        }
        steps
    })
}
