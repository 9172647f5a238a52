//! Something that fails for a while: one line in the log when that begins, and one when it ends.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::metrics::gauge::Gauge;
use tracing::{info, warn};

/// Whether something that this process depends on, or does again and again, fails at the moment.
#[derive(Debug)]
pub struct Outage {
    of: &'static str,
    since: Mutex<Option<Instant>>,
    shown: Gauge,
}

impl Outage {
    /// It works, as far as anybody knows.
    pub fn of(of: &'static str) -> Outage {
        Outage::shown_by(of, Gauge::default())
    }

    /// Like [`Outage::of`], with a gauge that is 1 while it fails.
    pub fn shown_by(of: &'static str, gauge: Gauge) -> Outage {
        Outage { of, since: Mutex::new(None), shown: gauge }
    }

    /// Notes what came of a call: an error begins an outage, or success ends it.
    pub fn note<T, E: Error>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.end(),
            Err(error) => self.begin(&in_full(error)),
        }
    }

    /// It failed. Says so, unless that is known.
    pub fn begin(&self, reason: &dyn fmt::Display) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_none() {
            *since = Some(Instant::now());
            self.shown.set(1);
            warn!(of = self.of, %reason, "does not work: trying again until it does");
        }
    }

    /// It succeeded.
    pub fn end(&self) {
        if !self.is_on() {
            return;
        }
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(since) = since {
            self.shown.set(0);
            info!(of = self.of, away_seconds = since.elapsed().as_secs_f64(), "works again");
        }
    }

    /// Whether it fails at the moment.
    pub fn is_on(&self) -> bool {
        self.shown.get() != 0
    }
}

/// An error with all its causes, in one line: for logs and for people. (A JSON log line shows of an error given as
/// `&dyn Error` the outermost message only.)
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_answer() {
        let outage = Outage::of("something");
        assert!(!outage.is_on());
        outage.begin(&"no answer");
        outage.begin(&"still no answer");
        assert!(outage.is_on());
        outage.end();
        assert!(!outage.is_on());
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_nothing_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot sweep")]
        struct Sweep(#[source] std::io::Error);
        let error = Sweep(std::io::Error::other("connection refused"));
        assert_eq!(in_full(&error), "cannot sweep: connection refused");
        assert_eq!(in_full(&std::io::Error::other(error)), "cannot sweep: connection refused");
    }
}
