//! Whose turn it is.

use crate::fnv1a;

/// Where a tenant's jobs wait in the queue of a pool. Lanes are served in turn, one job each, so what one tenant has
/// waiting delays another by no more than its share; priority and age decide within a lane alone.
///
/// A lane follows from the tenant's name, so nobody has to hand lanes out, remember them, or take them back. Two tenants
/// whose names fall on the same of the [`Lane::TENANTS`] lanes share its turns: P. E. McKenney, *Stochastic Fairness
/// Queuing* (1990).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub u64);

impl Lane {
    /// How many lanes there are for tenants.
    pub const TENANTS: u64 = 100_000;

    /// The first of them. Ranks of the lanes below are of no tenant: an earlier version made them, which knew no lanes,
    /// or a script for a job whose rank was missing. Those lanes have their turns like all others.
    pub const FIRST: Lane = Lane(2_500);

    /// The lane of a tenant, the same in every process and version.
    pub fn of(tenant: &str) -> Lane {
        Lane(Lane::FIRST.0 + fnv1a(tenant.as_bytes()) % Lane::TENANTS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_lane_of_a_name_never_changes() {
        assert_eq!(Lane::of("default"), Lane(Lane::FIRST.0 + fnv1a(b"default") % 100_000));
    }

    #[test]
    fn a_thousand_similar_names_have_nearly_all_a_lane_of_their_own() {
        let names = (0..1000).map(|number| format!("course-{number}"));
        let lanes: HashSet<Lane> = names.map(|name| Lane::of(&name)).collect();
        assert!(lanes.len() >= 985, "{} lanes", lanes.len());
        assert!(lanes.iter().all(|lane| (2_500..102_500).contains(&lane.0)));
    }
}
