//! Something that is away: one line in the log when that begins, and one when it ends.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::gauge::Gauge;
use tracing::{info, warn};

/// Whether something that the gateway depends on is away.
#[derive(Debug)]
pub(crate) struct Outage {
    of: &'static str,
    since: Mutex<Option<Instant>>,
    shown: Gauge,
}

impl Outage {
    /// It is there, as far as anybody knows. The gauge is 1 while it is not.
    pub(crate) fn of(of: &'static str, shown: Gauge) -> Outage {
        Outage { of, since: Mutex::new(None), shown }
    }

    /// It did not answer. Says so, unless that is known.
    pub(crate) fn begin(&self, reason: &dyn fmt::Display) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            *since = Some(Instant::now());
            self.shown.set(1);
            warn!(of = self.of, %reason, "away: trying again until it answers");
        }
    }

    /// It answered.
    pub(crate) fn end(&self) {
        if self.shown.get() == 0 {
            return;
        }
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(since) = since {
            self.shown.set(0);
            info!(of = self.of, away_seconds = since.elapsed().as_secs_f64(), "answers again");
        }
    }

    /// Whether it is away.
    pub(crate) fn is_on(&self) -> bool {
        self.shown.get() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_answer() {
        let outage = Outage::of("something", Gauge::default());
        assert!(!outage.is_on());
        outage.begin(&"no answer");
        outage.begin(&"still no answer");
        assert!(outage.is_on());
        outage.end();
        assert!(!outage.is_on());
    }
}
