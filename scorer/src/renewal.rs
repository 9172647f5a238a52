//! Keeps the leases.

use std::collections::HashSet;
use std::sync::Arc;

use domain::Claim;
use queue::{Adopt, Adoption, Renewal};
use store::Tenure;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::attempt::Attempts;
use crate::held::Loss;

/// Renews everything that is held, in one call, for as long as the process lives. Work on what another scorer has
/// claimed meanwhile is stopped.
pub(crate) async fn renew_for_ever(attempts: Arc<Attempts>) {
    let mut ticks = interval(attempts.leases.renew_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        renew(&attempts).await;
    }
}

async fn renew(attempts: &Attempts) {
    let claims = attempts.held.all();
    attempts.metrics.oldest_claim_age_seconds.set(attempts.held.oldest_age().as_secs_f64());
    if claims.is_empty() {
        return;
    }
    let Ok(renewals) = attempts.leases.renew(&claims).await else { return };
    let mut missing = HashSet::new();
    for (claim, renewal) in claims.iter().zip(renewals) {
        match renewal {
            Renewal::Renewed => {}
            Renewal::Superseded => lose(attempts, claim, Loss::Over),
            Renewal::Missing => {
                missing.insert(*claim);
            }
        }
    }
    if !missing.is_empty() {
        recover(attempts, &missing).await;
    }
}

/// Redis has no lease for these: it lost them, or they ran out, or the jobs were cancelled. Postgres knows which. One
/// that Postgres has not started yet cannot be asked about; it is left until the next renewal.
async fn recover(attempts: &Attempts, missing: &HashSet<Claim>) {
    let started: Vec<Adopt> =
        attempts.held.started().into_iter().filter(|adopt| missing.contains(&adopt.claim)).collect();
    let claims: Vec<Claim> = started.iter().map(|adopt| adopt.claim).collect();
    if claims.is_empty() {
        return;
    }
    let Ok(held) = attempts.records.held(&claims).await else { return };
    let mut mine = Vec::new();
    for (adopt, tenure) in started.into_iter().zip(held) {
        match tenure {
            Tenure::Held => mine.push(adopt),
            Tenure::Cancelled => lose(attempts, &adopt.claim, Loss::Cancelled),
            Tenure::Over => lose(attempts, &adopt.claim, Loss::Over),
        }
    }
    let Ok(adoptions) = attempts.leases.adopt(&mine).await else { return };
    for (adopt, adoption) in mine.iter().zip(adoptions) {
        match adoption {
            Adoption::Adopted => info!(job = %adopt.claim.job, "Redis had lost the lease; it is restored"),
            Adoption::Superseded => lose(attempts, &adopt.claim, Loss::Over),
        }
    }
}

fn lose(attempts: &Attempts, claim: &Claim, loss: Loss) {
    let trace_id = attempts.held.trace(claim).map(|trace| tracing::field::display(trace.trace_id()));
    warn!(job = %claim.job, trace_id, epoch = %claim.epoch, ?loss, "the lease is lost");
    attempts.held.lose(claim, loss);
}
