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
    breaker: Breaker,
}

impl Shared {
    /// The Redis at a URL. It need not be there.
    pub(super) fn start(url: &str, metrics: &Metrics) -> Result<Shared, QueueError> {
        let away = metrics.dependencies.away(Dependency::named("redis_for_rate_limits"));
        Ok(Shared {
            limits: Arc::new(RateLimits::connect(url)?),
            outage: Arc::new(Outage::shown_by("rate limits on Redis", away)),
            breaker: Breaker::new(PAUSE),
        })
    }

    /// Whether Redis is worth a question.
    pub(super) fn may_be_asked(&self) -> bool {
        self.breaker.may_be_asked()
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
                self.breaker.answered();
                Some(answer)
            }
            _ => {
                self.breaker.failed();
                None
            }
        }
    }
}
