//! The last few minutes, second by second.

use std::collections::{BTreeMap, BTreeSet};

use domain::Pool;
use store::{RecentThroughput, ThroughputKind};

use super::Scope;

/// How far back is looked, in seconds.
pub(super) const LENGTH: i64 = 300;

/// How many seconds one step of a series covers.
pub(super) const STEP: i64 = 5;

/// Over how many seconds a rate is the mean: what is done in groups would otherwise jump.
const RATE_SPAN: i64 = 5;

/// Seconds that are counted once more: what carries an earlier time may be committed a little later.
const UNSETTLED: i64 = 3;

/// What happened to how many jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) done: u64,
    pub(super) error: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.accepted += other.accepted;
        self.done += other.done;
        self.error += other.error;
    }

    fn of(kind: ThroughputKind, jobs: u64) -> Counts {
        match kind {
            ThroughputKind::Accepted => Counts { accepted: jobs, ..Counts::default() },
            ThroughputKind::Done => Counts { done: jobs, ..Counts::default() },
            ThroughputKind::Error => Counts { error: jobs, ..Counts::default() },
        }
    }
}

/// What happened a second, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) accepted: f64,
    pub(super) done: f64,
    pub(super) error: f64,
}

type Second = BTreeMap<(Pool, Option<String>), Counts>;

/// The last few minutes, second by second, of all pools. Times are those of Postgres.
#[derive(Clone, Debug)]
pub(super) struct Window {
    seconds: BTreeMap<i64, Second>,
    /// The first second that was counted in full.
    from: i64,
    /// The second in which it was last counted.
    now: i64,
}

impl Window {
    /// One of which nothing is counted yet.
    pub(super) fn before(now: i64) -> Window {
        Window { seconds: BTreeMap::new(), from: now - LENGTH, now: now - LENGTH }
    }

    /// From which second on to count next.
    pub(super) fn count_from(&self) -> i64 {
        self.from.max(self.now - UNSETTLED)
    }

    /// Takes over what was counted from the second on that [`Window::count_from`] said.
    pub(super) fn count(&mut self, counted: &RecentThroughput) {
        if counted.from > self.count_from() {
            // More happened than is counted: what comes before it is not known, so the window begins anew.
            self.seconds.clear();
            self.from = counted.from;
        }
        self.now = counted.now.as_second();
        self.from = self.from.max(self.now - LENGTH);
        let settled = self.from..counted.from;
        self.seconds.retain(|second, _| settled.contains(second));
        for count in &counted.counts {
            if count.second >= self.from {
                let key = (count.pool.clone(), count.tenant.clone());
                let second = self.seconds.entry(count.second).or_default();
                second.entry(key).or_default().add(Counts::of(count.kind, count.jobs));
            }
        }
    }

    /// The first second that was counted in full.
    pub(super) fn from(&self) -> i64 {
        self.from
    }

    /// The pools in which anything happened.
    pub(super) fn pools(&self, scope: &Scope) -> BTreeSet<&Pool> {
        let keys = self.seconds.values().flat_map(BTreeMap::keys);
        keys.filter(|(_, tenant)| scope.sees(tenant.as_deref())).map(|(pool, _)| pool).collect()
    }

    /// What happened in all.
    pub(super) fn total(&self, pool: &Pool, scope: &Scope) -> Counts {
        self.between(i64::MIN, i64::MAX, pool, scope)
    }

    /// What happened a second, over the last seconds that are over.
    pub(super) fn rates(&self, pool: &Pool, scope: &Scope) -> Rates {
        let begin = (self.now - RATE_SPAN).max(self.from);
        let counts = self.between(begin, self.now, pool, scope);
        // At most a few seconds.
        let seconds = f64::from(i32::try_from(self.now - begin).unwrap_or(1).max(1));
        let rate = |jobs: u64| f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)) / seconds;
        Rates { accepted: rate(counts.accepted), done: rate(counts.done), error: rate(counts.error) }
    }

    /// What happened in each step, the last one being under way. Steps begin at the same seconds whenever one looks, so
    /// that the bars of a chart move and do not change.
    pub(super) fn series(&self, pool: &Pool, scope: &Scope) -> Vec<Counts> {
        let last = self.now.div_euclid(STEP);
        let first = last - LENGTH / STEP + 1;
        (first..=last).map(|step| self.between(step * STEP, (step + 1) * STEP, pool, scope)).collect()
    }

    fn between(&self, begin: i64, end: i64, pool: &Pool, scope: &Scope) -> Counts {
        let mut sum = Counts::default();
        let happened = self.seconds.range(begin..end).flat_map(|(_, second)| second);
        for ((_, _), counts) in
            happened.filter(|((of, tenant), _)| of == pool && scope.sees(tenant.as_deref()))
        {
            sum.add(*counts);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use store::Throughput;

    use super::*;

    const NOW: i64 = 1_790_000_003;

    fn counted(now: i64, from: i64, counts: &[(i64, Option<&str>, ThroughputKind, u64)]) -> RecentThroughput {
        let counts = counts.iter().map(|(second, tenant, kind, jobs)| Throughput {
            second: *second,
            pool: Pool::default(),
            tenant: tenant.map(str::to_owned),
            kind: *kind,
            jobs: *jobs,
        });
        let now = Timestamp::from_second(now).expect("a time");
        RecentThroughput { now, from, counts: counts.collect() }
    }

    fn done(window: &Window) -> u64 {
        window.total(&Pool::default(), &Scope::All).done
    }

    #[test]
    fn what_is_counted_once_more_counts_once() {
        let mut window = Window::before(NOW);
        assert_eq!(window.count_from(), NOW - LENGTH);
        let done_then = |second, jobs| (second, None, ThroughputKind::Done, jobs);
        window.count(&counted(NOW, NOW - LENGTH, &[done_then(NOW - 10, 5), done_then(NOW, 1)]));
        assert_eq!(done(&window), 6);
        let from = window.count_from();
        assert_eq!(from, NOW - UNSETTLED);
        window.count(&counted(NOW + 1, from, &[done_then(NOW, 4), done_then(NOW + 1, 2)]));
        assert_eq!(done(&window), 11);
    }

    #[test]
    fn what_is_too_long_ago_is_left_out() {
        let mut window = Window::before(NOW);
        window.count(&counted(NOW, NOW - LENGTH, &[(NOW, None, ThroughputKind::Done, 5)]));
        window.count(&counted(NOW + LENGTH, window.count_from().max(NOW + 1), &[]));
        assert_eq!((done(&window), window.from()), (0, NOW + 1));
    }

    #[test]
    fn a_window_begins_where_everything_was_counted() {
        let mut window = Window::before(NOW);
        window.count(&counted(NOW, NOW - 1, &[(NOW - 1, None, ThroughputKind::Done, 9)]));
        assert_eq!((window.from(), done(&window)), (NOW - 1, 9));
    }

    #[test]
    fn a_rate_is_of_whole_seconds() {
        let mut window = Window::before(NOW);
        let done_then = |second, jobs| (second, None, ThroughputKind::Done, jobs);
        let counts =
            [done_then(NOW - 6, 100), done_then(NOW - 5, 10), done_then(NOW - 1, 5), done_then(NOW, 99)];
        window.count(&counted(NOW, NOW - LENGTH, &counts));
        let rate = window.rates(&Pool::default(), &Scope::All).done;
        assert!((rate - 3.0).abs() < 1e-9, "{rate}");
    }

    #[test]
    fn a_series_ends_with_the_step_that_is_under_way() {
        let mut window = Window::before(NOW);
        let counts = [(NOW, None, ThroughputKind::Error, 2), (NOW - LENGTH, None, ThroughputKind::Error, 7)];
        window.count(&counted(NOW, NOW - LENGTH, &counts));
        let series = window.series(&Pool::default(), &Scope::All);
        assert_eq!(series.len(), 60);
        assert_eq!(series.last().map(|counts| counts.error), Some(2));
        assert_eq!(series.iter().map(|counts| counts.error).sum::<u64>(), 2);
    }

    #[test]
    fn a_tenant_sees_its_own() {
        let mut window = Window::before(NOW);
        let counts = [
            (NOW, None, ThroughputKind::Accepted, 5),
            (NOW, Some("acme"), ThroughputKind::Accepted, 2),
            (NOW, Some("other"), ThroughputKind::Accepted, 1),
        ];
        window.count(&counted(NOW, NOW - LENGTH, &counts));
        let accepted = |scope: Scope| window.total(&Pool::default(), &scope).accepted;
        assert_eq!(accepted(Scope::All), 8);
        assert_eq!(accepted(Scope::Tenant("acme".to_owned())), 2);
        assert_eq!(accepted(Scope::Tenant("unknown".to_owned())), 0);
        assert!(window.pools(&Scope::Tenant("unknown".to_owned())).is_empty());
    }
}
