//! Who scores for a pool at the moment, and how busy they are.
//!
//! Scorers say so themselves every few seconds, apart from what they do with jobs: nothing depends on it but figures, and
//! losing it costs a few seconds without them.

use std::time::Duration;

use domain::Pool;

use crate::{Queue, QueueError};

/// How often a scorer says that it is there.
pub const REPORT_EVERY: Duration = Duration::from_secs(5);

/// How long a scorer is believed to be there after it said so: two reports may be lost.
const BELIEVED_FOR: Duration = Duration::from_secs(16);

/// What a scorer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScorerLoad {
    /// How many jobs it works on at once.
    pub slots: u64,
    /// How many it holds, counting those whose results are being recorded.
    pub held: u64,
}

impl Queue {
    /// Says that the scorer of this name is there. It is believed for some seconds by the clock of Redis: longer than
    /// three times [`REPORT_EVERY`].
    ///
    /// # Errors
    /// When Redis is away or full.
    pub async fn report_scorer(&self, pool: &Pool, name: &str, load: ScorerLoad) -> Result<(), QueueError> {
        let script = &self.scripts().report_scorer;
        self.run_on_scorers(script, pool, |arguments| {
            arguments.text(name);
            arguments.number(load.slots);
            arguments.number(load.held);
            arguments.delay(BELIEVED_FOR);
        })
        .await
    }

    /// Says that the scorer of this name stops.
    ///
    /// # Errors
    /// When Redis is away. The scorer is then forgotten a little later.
    pub async fn dismiss_scorer(&self, pool: &Pool, name: &str) -> Result<(), QueueError> {
        let script = &self.scripts().dismiss_scorer;
        self.run_on_scorers(script, pool, |arguments| arguments.text(name)).await
    }

    /// The scorers that are there, by name, in no particular order.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn scorers(&self, pool: &Pool) -> Result<Vec<(String, ScorerLoad)>, QueueError> {
        let script = &self.scripts().scorers;
        let found: Vec<(String, u64, u64)> = self.run_on_scorers(script, pool, |_| {}).await?;
        Ok(found.into_iter().map(|(name, slots, held)| (name, ScorerLoad { slots, held })).collect())
    }
}
