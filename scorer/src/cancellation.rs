//! Notices within a second that a running job was cancelled.

use std::sync::Arc;
use std::time::Duration;

use domain::Claim;
use tokio::time::{MissedTickBehavior, interval};

use crate::attempt::Attempts;

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Asks Postgres every second whether what runs here is still to run, and stops what is not, for as long as the
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
        // What was recorded since is answered with no as well, and nobody minds its loss.
        for (claim, _) in claims.iter().zip(held).filter(|(_, held)| !held) {
            attempts.held.lose(claim);
        }
    }
}
