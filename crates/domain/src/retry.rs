//! When a failed attempt is tried again.

use std::time::Duration;

use crate::Knobs;

/// How often a job is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy { retries: 3 }
    }
}

const LONGEST_BACKOFF: Duration = Duration::from_secs(Knobs::MAX_BACKOFF_SECONDS as u64);

impl RetryPolicy {
    /// How many attempts the job may spend in all.
    pub fn max_attempts(self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// How long to wait after this many spent attempts: `first`, twice that, four times that and so on to at most five
    /// minutes, each moved by `jitter` (0 to 1, drawn by the caller) within ±20 %, so that jobs that failed together do
    /// not return together.
    pub fn backoff(first: Duration, spent_attempts: u32, jitter: f64) -> Duration {
        let doublings = spent_attempts.saturating_sub(1).min(16);
        let base = first.saturating_mul(2u32.pow(doublings)).min(LONGEST_BACKOFF);
        base.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_SECONDS: Duration = Duration::from_secs(2);

    fn seconds(first: u64) -> Vec<f64> {
        let backoff = |spent| RetryPolicy::backoff(Duration::from_secs(first), spent, 0.5);
        (1..=3).map(|spent| backoff(spent).as_secs_f64()).collect()
    }

    #[test]
    fn backoff_doubles_from_two_seconds_unless_the_job_says_otherwise() {
        assert_eq!(seconds(Knobs::default().backoff_seconds.into()), [2.0, 4.0, 8.0]);
        assert_eq!(seconds(30), [30.0, 60.0, 120.0]);
        assert_eq!(seconds(200), [200.0, 300.0, 300.0]);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        assert_eq!(RetryPolicy::backoff(TWO_SECONDS, 1, 0.0), Duration::from_millis(1600));
        assert_eq!(RetryPolicy::backoff(TWO_SECONDS, 1, 1.0), Duration::from_millis(2400));
    }

    #[test]
    fn backoff_is_bounded_however_many_attempts() {
        for first in [TWO_SECONDS, LONGEST_BACKOFF, Duration::MAX] {
            assert!(RetryPolicy::backoff(first, u32::MAX, 1.0) <= LONGEST_BACKOFF.mul_f64(1.2));
        }
    }
}
