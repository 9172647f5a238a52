//! One resource for each job, or one for many?

use std::time::Duration;

/// How many resources there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Whether jobs may share a resource at all.
    pub(crate) batch_overflow: bool,
    /// How many ScoringJobs there may be at once.
    pub(crate) live: u64,
}

/// What becomes of the jobs that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Each gets a resource of its own.
    #[default]
    Singles,
    /// Those with the same choices share one.
    Batches,
}

/// Up to so many get a resource of their own. With its statuses and its end, each costs the API server some 4 ms of
/// processor time, as much as accepting 80 jobs: more than this many at once would slow down all that comes after them.
const MOST_SINGLES: u64 = 100;

/// Once jobs share resources, so many have to gather between two looks for that to go on. Otherwise the few that
/// arrive while a batch is made would get resources of their own, whose statuses cost as much as many batches.
const FEWEST_FOR_MORE_BATCHES: u64 = 50;

/// How long jobs gather between two looks, while they share resources: so that batches are few and full.
const GATHER: Duration = Duration::from_millis(200);

/// The same where few share resources, which is because there may be no more ScoringJobs: a batch of a few costs as much as a job.
/// Operators queue what has no resource yet after about as long.
const GATHER_FEW: Duration = Duration::from_secs(1);

/// How long jobs gather until the next look, when so many waited at this one.
pub(crate) fn gather(waiting: u64) -> Duration {
    if waiting < FEWEST_FOR_MORE_BATCHES { GATHER_FEW } else { GATHER }
}

/// Decides for the jobs that wait now, while so many ScoringJobs exist, after what was decided last.
pub(crate) fn plan(waiting: u64, live: u64, limits: Limits, last: Plan) -> Plan {
    let most_singles = match last {
        Plan::Singles => MOST_SINGLES,
        Plan::Batches => FEWEST_FOR_MORE_BATCHES - 1,
    };
    let few = waiting <= most_singles && live.saturating_add(waiting) <= limits.live;
    if few || !limits.batch_overflow { Plan::Singles } else { Plan::Batches }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { batch_overflow: true, live: 10_000 };

    #[test]
    fn while_few_wait_each_gets_its_own_resource() {
        assert_eq!(plan(1, 0, LIMITS, Plan::Singles), Plan::Singles);
        assert_eq!(plan(100, 9_900, LIMITS, Plan::Singles), Plan::Singles);
    }

    #[test]
    fn many_at_once_share_resources_until_few_come() {
        assert_eq!(plan(101, 0, LIMITS, Plan::Singles), Plan::Batches);
        assert_eq!(plan(50, 0, LIMITS, Plan::Batches), Plan::Batches);
        assert_eq!(plan(49, 0, LIMITS, Plan::Batches), Plan::Singles);
    }

    #[test]
    fn live_resources_are_capped() {
        assert_eq!(plan(2, 9_999, LIMITS, Plan::Singles), Plan::Batches);
        assert_eq!(plan(1, u64::MAX, LIMITS, Plan::Singles), Plan::Batches);
    }

    #[test]
    fn few_that_may_have_no_resource_of_their_own_gather_for_longer() {
        assert_eq!(plan(3, 10_000, LIMITS, Plan::Batches), Plan::Batches);
        assert!(gather(3) > gather(FEWEST_FOR_MORE_BATCHES));
    }

    #[test]
    fn without_overflow_each_always_gets_its_own_resource() {
        let limits = Limits { batch_overflow: false, live: 10 };
        assert_eq!(plan(100_000, 100_000, limits, Plan::Singles), Plan::Singles);
    }
}
