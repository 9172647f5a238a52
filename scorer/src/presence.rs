//! Says on Redis that this scorer is there, for those who count scorers: autoscaling, and which Pod to stop first.
//!
//! Every few seconds and apart from the jobs, so that a job costs no more. What cannot be said is not made up for.

use std::time::Duration;

use domain::Pool;
use queue::{Queue, REPORT_EVERY, ScorerLoad};
use runtime::{Outage, Shutdown, in_full};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::debug;

use crate::held::Held;

/// What says that this scorer is there.
pub(crate) struct Presence {
    pub(crate) queue: Queue,
    pub(crate) pool: Pool,
    pub(crate) name: String,
    pub(crate) slots: usize,
    pub(crate) held: Held,
    pub(crate) shutdown: Shutdown,
}

impl Presence {
    /// Says so for as long as the process lives.
    pub(crate) async fn report_for_ever(self) {
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outage = Outage::of("saying on Redis that this scorer is there");
        loop {
            ticks.tick().await;
            let load = load(self.slots, self.held.all().len(), self.shutdown.is_requested());
            outage.note(&self.queue.report_scorer(&self.pool, &self.name, load).await);
        }
    }
}

/// How long a stop waits for that to be said.
const DISMISS_WITHIN: Duration = Duration::from_secs(1);

/// Says that this scorer stops. It would be forgotten a little later anyway.
pub(crate) async fn dismiss(queue: &Queue, pool: &Pool, name: &str) {
    match timeout(DISMISS_WITHIN, queue.dismiss_scorer(pool, name)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error = in_full(&error), "could not say on Redis that this scorer stops"),
        Err(_) => debug!("could not say on Redis in time that this scorer stops"),
    }
}

/// One that stops has no slots but those that are still occupied.
fn load(slots: usize, held: usize, stopping: bool) -> ScorerLoad {
    let slots = if stopping { slots.min(held) } else { slots };
    ScorerLoad { slots: slots as u64, held: held as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scorer_that_stops_offers_no_free_slots() {
        assert_eq!(load(5, 2, false), ScorerLoad { slots: 5, held: 2 });
        assert_eq!(load(5, 2, true), ScorerLoad { slots: 2, held: 2 });
        assert_eq!(load(5, 7, true), ScorerLoad { slots: 5, held: 7 });
    }
}
