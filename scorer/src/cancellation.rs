//! Notices within a second that a running job was cancelled.

use std::sync::Arc;
use std::time::Duration;

use domain::Claim;
use store::Tenure;
use tokio::time::{MissedTickBehavior, interval};

use crate::attempt::Attempts;
use crate::held::Loss;

/// Half of what is promised: the answer and the end of the work need their part of a second too.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Asks Postgres twice a second whether what runs here is still to run, and stops what is not, for as long as the
/// process lives.
pub(crate) async fn look_for_ever(attempts: Arc<Attempts>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let claims: Vec<Claim> = attempts.held.started().into_iter().map(|adopt| adopt.claim).collect();
        if claims.is_empty() {
            continue;
        }
        // Without an answer the work goes on: Postgres will refuse its result if it has to.
        let Ok(held) = attempts.records.held(&claims).await else { continue };
        for (claim, tenure) in claims.iter().zip(held) {
            match tenure {
                Tenure::Held => {}
                Tenure::Cancelled => attempts.held.lose(claim, Loss::Cancelled),
                // Among these is what was recorded since, and nobody minds its loss.
                Tenure::Over => attempts.held.lose(claim, Loss::Over),
            }
        }
    }
}
