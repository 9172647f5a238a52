//! What is taken in advance for those who ask often, so that few of their requests wait for Redis.
//!
//! It is taken from the quota like everything else, so no limit is exceeded by it. What is not used in time is lost: no more
//! than twice what was used in as short a time before, and never more than a hundredth of the quota.

use domain::Rate;

/// How long it may be used, and how recent the last question must be for there to be any, in microseconds.
const LIFE_US: u64 = 50_000;

/// It is at most such a part of the quota.
const PART: u32 = 100;

/// Requests that need not be asked for any more. Times are microseconds of any clock.
#[derive(Debug, Default)]
pub(super) struct Advance {
    left: u32,
    asked_at_us: u64,
    used: u32,
}

impl Advance {
    /// Uses one, if there is one.
    pub(super) fn spend(&mut self, now_us: u64) -> bool {
        if now_us > self.asked_at_us + LIFE_US {
            self.left = 0;
        }
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        self.used = self.used.saturating_add(1);
        true
    }

    /// How many are left.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// How many to ask for besides those of requests that wait.
    pub(super) fn worth_asking(&self, rate: &Rate, waiting: u32, now_us: u64) -> u32 {
        if now_us > self.asked_at_us + LIFE_US {
            return 0;
        }
        self.used.saturating_add(waiting).saturating_mul(2).min(rate.quota() / PART)
    }

    /// A question that was answered: so many waited, and so many were granted.
    pub(super) fn answered(&mut self, waiting: u32, granted: u32, now_us: u64) {
        *self = Advance { left: granted.saturating_sub(waiting), asked_at_us: now_us, used: waiting };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    #[test]
    fn who_asks_now_and_then_takes_nothing_in_advance() {
        let rate = rate("6000/1m");
        let mut advance = Advance::default();
        for second in 1..10 {
            let now_us = second * 1_000_000;
            assert_eq!(advance.worth_asking(&rate, 1, now_us), 0);
            advance.answered(1, 1, now_us);
            assert!(!advance.spend(now_us + 1));
        }
    }

    #[test]
    fn who_asks_often_takes_ever_more_up_to_a_hundredth_of_the_quota() {
        let rate = rate("6000/1m");
        let mut advance = Advance::default();
        advance.answered(1, 1, 1_000_000);
        let mut asked = Vec::new();
        for _ in 0..6 {
            let worth = advance.worth_asking(&rate, 1, 1_000_000);
            asked.push(worth);
            advance.answered(1, 1 + worth, 1_000_000);
            while advance.spend(1_000_000) {}
        }
        assert_eq!(asked, [4, 12, 28, 60, 60, 60]);
        assert_eq!(advance.worth_asking(&rate_of_few(), 1, 1_000_000), 0);
    }

    fn rate_of_few() -> Rate {
        rate("99/1m")
    }

    #[test]
    fn what_is_not_used_in_time_is_lost() {
        let mut advance = Advance::default();
        advance.answered(1, 3, 1_000_000);
        assert!(advance.spend(1_000_000 + LIFE_US));
        assert!(!advance.spend(1_000_001 + LIFE_US));
        assert_eq!(advance.left(), 0);
    }
}
