//! The order of the queue.

use crate::{Lane, Priority};

/// A job's place in the queue: its lane, and within the lane the smallest rank is claimed first. There priority decides,
/// then age.
///
/// It is the score of a Redis sorted set, a double, which is exact below 2^53; below 2^52 Redis also prints it as the
/// integer that it is. That leaves room for seconds until the year 2106. Jobs of one second are ordered by their id, which
/// for UUIDv7 is by age again, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rank(pub u64);

impl Rank {
    /// How many ranks each priority of a lane has: one for each second since 1970.
    pub const SECONDS: u64 = 1 << 32;

    /// How many ranks each lane has.
    pub const LANE: u64 = 10 * Rank::SECONDS;

    /// The place of a job in this lane, of this priority, created at this time in milliseconds since 1970.
    pub fn new(lane: Lane, priority: Priority, created_at_ms: u64) -> Rank {
        let steps = u64::from(Priority::HIGHEST.get() - priority.get());
        let seconds = (created_at_ms / 1000).min(Rank::SECONDS - 1);
        Rank(lane.0 * Rank::LANE + steps * Rank::SECONDS + seconds)
    }

    /// The lane in which the job waits.
    pub fn lane(self) -> Lane {
        Lane(self.0 / Rank::LANE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: Lane = Lane(Lane::FIRST.0 + Lane::TENANTS - 1);

    fn priority(number: i64) -> Priority {
        Priority::try_from(number).expect("a priority")
    }

    #[test]
    fn higher_priority_comes_first_however_young() {
        assert!(Rank::new(LAST, priority(6), u64::MAX) < Rank::new(LAST, priority(5), 0));
    }

    #[test]
    fn older_comes_first_within_one_priority() {
        assert!(Rank::new(LAST, priority(5), 1_000) < Rank::new(LAST, priority(5), 2_000));
    }

    #[test]
    fn every_rank_is_in_its_lane_and_exact_as_a_double_and_as_text() {
        let (first, last) = (Rank::new(LAST, Priority::HIGHEST, 0), Rank::new(LAST, priority(0), u64::MAX));
        assert_eq!((first.lane(), last.lane()), (LAST, LAST));
        assert_eq!(last.0 + 1, (LAST.0 + 1) * Rank::LANE);
        assert!(last.0 < 1 << 52);
    }

    #[test]
    fn ranks_of_the_version_before_are_in_no_lane_of_a_tenant() {
        let largest = 10 * 10_u64.pow(13);
        assert!(Rank(largest).lane() < Lane::FIRST);
    }
}
