//! How long a claim holds.

use std::time::Duration;

/// How long a scorer may go unheard before its jobs are given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    duration: Duration,
    renew_every: Duration,
}

/// The lease and its renewal contradict each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLease {
    /// One lost renewal must not lose the lease, so three have to fit.
    #[error("a lease of {duration:?} is shorter than three renewals, one every {renew_every:?}")]
    ShorterThanThreeRenewals {
        /// The lease asked for.
        duration: Duration,
        /// The renewal interval asked for.
        renew_every: Duration,
    },
    /// Shorter leases would expire from ordinary scheduling delays.
    #[error("a lease of {0:?} is shorter than half a second")]
    TooShort(Duration),
    /// A zero interval would renew without pause.
    #[error("leases must be renewed at an interval above zero")]
    NoInterval,
}

impl LeaseSettings {
    /// A lease renewed every third of its duration.
    ///
    /// # Errors
    /// When the duration is below half a second.
    pub fn renewed_by_thirds(duration: Duration) -> Result<Self, InvalidLease> {
        LeaseSettings::new(duration, duration / 3)
    }

    /// A lease with its own renewal interval.
    ///
    /// # Errors
    /// When the duration is below half a second or three renewals do not fit.
    pub fn new(duration: Duration, renew_every: Duration) -> Result<Self, InvalidLease> {
        if duration < Duration::from_millis(500) {
            return Err(InvalidLease::TooShort(duration));
        }
        if renew_every.is_zero() {
            return Err(InvalidLease::NoInterval);
        }
        if renew_every * 3 > duration {
            return Err(InvalidLease::ShorterThanThreeRenewals { duration, renew_every });
        }
        Ok(LeaseSettings { duration, renew_every })
    }

    /// How long a claim holds without renewal.
    pub fn duration(self) -> Duration {
        self.duration
    }

    /// How often a scorer renews what it holds.
    pub fn renew_every(self) -> Duration {
        self.renew_every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_shorter_than_three_renewals_is_refused() {
        let seconds = Duration::from_secs;
        assert!(LeaseSettings::new(seconds(30), seconds(10)).is_ok());
        assert_eq!(
            LeaseSettings::new(seconds(29), seconds(10)),
            Err(InvalidLease::ShorterThanThreeRenewals { duration: seconds(29), renew_every: seconds(10) })
        );
    }
}
