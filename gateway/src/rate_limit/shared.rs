//! What gateways keep together on Redis, and doing without it.

use std::sync::Arc;
use std::time::Duration;

use domain::Rate;
use queue::{QueueError, RateAnswer, RateLimits};
use runtime::metrics::Dependency;
use runtime::{Breaker, Outage};
use tokio::time::timeout;

use crate::metrics::Metrics;

/// How long a request waits for Redis. What it gains by that is a limit that holds for all gateways instead of one.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long nobody asks after it did not answer in that time. Then one does, and the others once that was answered.
const PAUSE: Duration = Duration::from_millis(500);

/// Redis, as long as it answers soon.
pub(super) struct Shared {
    limits: Arc<RateLimits>,
    outage: Arc<Outage>,
    /// One for each server, so that one that is away takes nobody's limits apart but those that it keeps.
    breakers: Vec<Breaker>,
}

impl Shared {
    /// The Redis at a URL. It need not be there.
    pub(super) fn start(url: &str, metrics: &Metrics) -> Result<Shared, QueueError> {
        let away = metrics.dependencies.away(Dependency::named("redis_for_rate_limits"));
        let limits = Arc::new(RateLimits::connect(url)?);
        let breakers = (0..limits.servers()).map(|_| Breaker::new(PAUSE)).collect();
        Ok(Shared { limits, outage: Arc::new(Outage::shown_by("rate limits on Redis", away)), breakers })
    }

    /// Whether Redis is worth a question about whoever has this name.
    pub(super) fn may_be_asked(&self, name: &str) -> bool {
        self.breaker(name).may_be_asked()
    }

    fn breaker(&self, name: &str) -> &Breaker {
        &self.breakers[self.limits.server_of(name)]
    }

    /// Asks Redis; `None` when it does not answer soon.
    pub(super) async fn take(&self, name: &str, rate: Rate, wanted: u32) -> Option<RateAnswer> {
        // The question goes on by itself when it takes too long: a connection that is just being made would never
        // come to be if everybody who waits for it gave up on it.
        let question = tokio::spawn({
            let (limits, outage, name) = (self.limits.clone(), self.outage.clone(), name.to_owned());
            async move {
                let answer = limits.take(&name, &rate, wanted).await;
                outage.note(&answer);
                answer
            }
        });
        match timeout(PATIENCE, question).await {
            Ok(Ok(Ok(answer))) => {
                self.breaker(name).answered();
                Some(answer)
            }
            _ => {
                self.breaker(name).failed();
                None
            }
        }
    }
}
