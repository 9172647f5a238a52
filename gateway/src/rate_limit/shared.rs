//! What gateways keep together on Redis, and doing without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::Rate;
use queue::{QueueError, RateAnswer, RateLimits};
use runtime::Outage;
use runtime::metrics::Dependency;
use tokio::time::{Instant, timeout};

use crate::metrics::Metrics;

/// How long a request waits for Redis. What it gains by that is a limit that holds for all gateways instead of one.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long nobody asks after it did not answer in that time. Then one does, and the others once that was answered.
const PAUSE: Duration = Duration::from_millis(500);

/// The state of a Redis that answers.
const WELL: u64 = 0;

/// Redis, as long as it answers soon.
pub(super) struct Shared {
    limits: Arc<RateLimits>,
    outage: Arc<Outage>,
    began: Instant,
    /// [`WELL`], or when it may be asked again, in milliseconds since it began.
    ask_at: AtomicU64,
}

impl Shared {
    /// The Redis at a URL. It need not be there.
    pub(super) fn start(url: &str, metrics: &Metrics) -> Result<Shared, QueueError> {
        let away = metrics.dependencies.away(Dependency::named("redis_for_rate_limits"));
        Ok(Shared {
            limits: Arc::new(RateLimits::connect(url)?),
            outage: Arc::new(Outage::shown_by("rate limits on Redis", away)),
            began: Instant::now(),
            ask_at: AtomicU64::new(WELL),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn after_pause(&self) -> u64 {
        self.now() + u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether Redis is worth a question: it answered the last one, or it is time for one to find out.
    pub(super) fn may_be_asked(&self) -> bool {
        match self.ask_at.load(Ordering::Relaxed) {
            WELL => true,
            at if self.now() < at => false,
            at => {
                let claimed = self.ask_at.compare_exchange(
                    at,
                    self.after_pause(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                claimed.is_ok()
            }
        }
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
                self.ask_at.store(WELL, Ordering::Relaxed);
                Some(answer)
            }
            _ => {
                self.ask_at.store(self.after_pause(), Ordering::Relaxed);
                None
            }
        }
    }
}
