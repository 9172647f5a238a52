//! The order of the queue.

use crate::Priority;

/// A job's place in the queue: the smallest rank is claimed first. Priority decides, then age.
///
/// It is the score of a Redis sorted set, a double, so it must stay below 2^53 to be exact: ten priorities of 10^13
/// each leave room for milliseconds until the year 2286. Jobs of one millisecond are ordered by their id, which for
/// UUIDv7 is by age again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rank(pub u64);

const MILLISECONDS_OF_ONE_PRIORITY: u64 = 10_000_000_000_000;

impl Rank {
    /// The place of a job of this priority, created at this time in milliseconds since 1970.
    pub fn new(priority: Priority, created_at_ms: u64) -> Rank {
        let steps = u64::from(Priority::HIGHEST.get() - priority.get());
        Rank(steps * MILLISECONDS_OF_ONE_PRIORITY + created_at_ms.min(MILLISECONDS_OF_ONE_PRIORITY - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(number: i64) -> Priority {
        Priority::try_from(number).expect("a priority")
    }

    #[test]
    fn higher_priority_comes_first_however_young() {
        assert!(Rank::new(priority(6), u64::MAX) < Rank::new(priority(5), 0));
    }

    #[test]
    fn older_comes_first_within_one_priority() {
        assert!(Rank::new(priority(5), 1) < Rank::new(priority(5), 2));
    }

    #[test]
    fn every_rank_is_exact_as_a_double() {
        let largest = Rank::new(priority(0), u64::MAX).0;
        assert!(largest < 1 << 53);
    }
}
