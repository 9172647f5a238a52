//! How often something may be done: the generic cell rate algorithm (ITU-T I.371), which needs one number for each who
//! does it.
//!
//! That number is the theoretical arrival time: when everything that was done would have been due, had it come evenly.
//! Who is ahead of it by less than the quota may go on. The script of `crates/queue` does the same, and its tests
//! compare the two.
//!
//! Times are whole microseconds of any clock that does not go back by much.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration::{self, InvalidDuration};

/// The longest window, in microseconds: a day.
const LONGEST_WINDOW_US: u64 = 86_400_000_000;

/// So many in a window of time: that many at once after a rest, and on the average.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    quota: u32,
    window: Duration,
}

/// The text is not a rate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRate {
    /// It has another form.
    #[error("{0:?} is not a rate: write a number and the time for which it holds, such as 600/1m")]
    Form(String),
    /// The time cannot be read.
    #[error(transparent)]
    Window(#[from] InvalidDuration),
    /// It cannot be counted.
    #[error("{0:?} cannot be kept: a rate is from 1 a day up to 1000000 a second")]
    Range(String),
}

/// What became of a wish for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many of them may be done.
    pub granted: u32,
    /// The theoretical arrival time after that, in microseconds.
    pub tat_us: u64,
}

impl Rate {
    /// So many in a window.
    ///
    /// # Errors
    /// [`InvalidRate::Range`].
    pub fn new(quota: u32, window: Duration) -> Result<Rate, InvalidRate> {
        let rate = Rate { quota, window };
        let window_us = window.as_micros();
        let is_countable =
            quota > 0 && window_us <= u128::from(LONGEST_WINDOW_US) && window_us >= u128::from(quota);
        if is_countable { Ok(rate) } else { Err(InvalidRate::Range(rate.to_string())) }
    }

    /// How many at once.
    pub fn quota(&self) -> u32 {
        self.quota
    }

    /// The time for which the quota is.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// The time that one takes, in microseconds.
    pub fn interval_us(&self) -> u64 {
        u64::try_from(self.window.as_micros()).unwrap_or(LONGEST_WINDOW_US) / u64::from(self.quota)
    }

    /// How far the theoretical arrival time may be ahead of the clock, in microseconds.
    pub fn tolerance_us(&self) -> u64 {
        self.interval_us() * u64::from(self.quota)
    }

    /// Takes as many of those that are wanted as there are.
    ///
    /// No theoretical arrival time is further ahead than the quota; one that is found there comes from another rate, or
    /// from a clock that went back.
    pub fn take(&self, tat_us: u64, now_us: u64, wanted: u32) -> Taken {
        let latest = now_us + self.tolerance_us();
        let tat_us = tat_us.clamp(now_us, latest);
        let left = (latest - tat_us) / self.interval_us();
        let granted = wanted.min(u32::try_from(left).unwrap_or(u32::MAX));
        Taken { granted, tat_us: tat_us + u64::from(granted) * self.interval_us() }
    }

    /// How many more there are when the theoretical arrival time is so far ahead of the clock.
    pub fn left(&self, ahead_us: u64) -> u32 {
        u32::try_from(self.tolerance_us().saturating_sub(ahead_us) / self.interval_us()).unwrap_or(u32::MAX)
    }

    /// How long until there is one more when the theoretical arrival time is so far ahead of the clock.
    pub fn until_next(&self, ahead_us: u64) -> Duration {
        Duration::from_micros((ahead_us + self.interval_us()).saturating_sub(self.tolerance_us()))
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Rate, InvalidRate> {
        let form = || InvalidRate::Form(text.to_owned());
        let (quota, window) = text.split_once('/').ok_or_else(form)?;
        if !quota.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        Rate::new(quota.parse().map_err(|_| form())?, duration::parse(window)?)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}ms", self.quota, self.window.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    #[test]
    fn a_quota_may_be_spent_at_once_and_comes_back_evenly() {
        let rate = rate("10/1s");
        let spent = rate.take(0, 5_000_000, 12);
        assert_eq!(spent, Taken { granted: 10, tat_us: 6_000_000 });
        assert_eq!(rate.take(spent.tat_us, 5_099_999, 1).granted, 0);
        assert_eq!(rate.take(spent.tat_us, 5_100_000, 5).granted, 1);
        assert_eq!(rate.take(spent.tat_us, 5_550_000, 9).granted, 5);
        assert_eq!(rate.take(spent.tat_us, 60_000_000, 99).granted, 10);
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let rate = rate("1/1s");
        let spent = rate.take(0, 7_000_000, 1);
        assert_eq!(rate.take(spent.tat_us, 7_000_001, 1), Taken { granted: 0, tat_us: spent.tat_us });
    }

    #[test]
    fn a_clock_that_goes_back_costs_a_window_at_most() {
        let rate = rate("5/1s");
        let spent = rate.take(0, 1_000_000_000, 5);
        assert_eq!(rate.take(spent.tat_us, 2_000_000, 1), Taken { granted: 0, tat_us: 3_000_000 });
        assert_eq!(rate.take(3_000_000, 3_000_000, 1).granted, 1);
    }

    #[test]
    fn what_is_left_and_when_there_is_more_follow_from_how_far_ahead_one_is() {
        let rate = rate("4/1s");
        assert_eq!((rate.left(0), rate.until_next(0)), (4, Duration::ZERO));
        assert_eq!((rate.left(750_000), rate.until_next(750_000)), (1, Duration::ZERO));
        assert_eq!((rate.left(750_001), rate.until_next(750_001)), (0, Duration::from_micros(1)));
        assert_eq!((rate.left(1_000_000), rate.until_next(1_000_000)), (0, Duration::from_millis(250)));
    }

    #[test]
    fn rates_are_written_as_a_number_and_a_time() {
        assert_eq!((rate("600/1m").quota(), rate("600/1m").window()), (600, Duration::from_secs(60)));
        assert_eq!(rate("1000000/1s").interval_us(), 1);
        for text in ["", "600", "600/", "/1m", "600/1", "-1/1m", "+1/1m", "1.5/1m", "600/1m/2"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["0/1m", "1/0s", "1/2d", "1000001/1s"] {
            assert!(matches!(text.parse::<Rate>(), Err(InvalidRate::Range(_))), "{text}");
        }
    }
}
