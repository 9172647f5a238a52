//! When a failed attempt is tried again.

use std::time::Duration;

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

const FIRST_BACKOFF: Duration = Duration::from_secs(2);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

impl RetryPolicy {
    /// How many attempts the job may spend in all.
    pub fn max_attempts(self) -> u32 {
        self.retries.saturating_add(1)
    }

    /// How long to wait after this many spent attempts: 2, 4, 8 s and so on to at most five minutes, each moved by
    /// `jitter` (0 to 1, drawn by the caller) within ±20 %, so that jobs that failed together do not return together.
    pub fn backoff(spent_attempts: u32, jitter: f64) -> Duration {
        let doublings = spent_attempts.saturating_sub(1).min(16);
        let base = (FIRST_BACKOFF * 2u32.pow(doublings)).min(LONGEST_BACKOFF);
        base.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_two_seconds() {
        let seconds: Vec<f64> = (1..=3).map(|spent| RetryPolicy::backoff(spent, 0.5).as_secs_f64()).collect();
        assert_eq!(seconds, [2.0, 4.0, 8.0]);
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        assert_eq!(RetryPolicy::backoff(1, 0.0), Duration::from_millis(1600));
        assert_eq!(RetryPolicy::backoff(1, 1.0), Duration::from_millis(2400));
    }

    #[test]
    fn backoff_is_bounded_however_many_attempts() {
        assert!(RetryPolicy::backoff(u32::MAX, 1.0) <= LONGEST_BACKOFF.mul_f64(1.2));
    }
}
