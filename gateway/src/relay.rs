//! Turning recorded jobs into custom resources: one ScoringJob each, or a ScoringBatch for many.
//!
//! It is woken after each commit of this gateway, and looks by itself now and then for what a gateway that crashed
//! has left. Rounds are taken in turns between gateways, and everything in them may be repeated: a resource has the
//! name of its job, so creating it twice is harmless.

mod aside;
mod creation;
mod object;
mod plan;
mod round;
mod singles;

pub(crate) use plan::Limits;

use std::sync::Arc;
use std::time::Duration;

use runtime::{Outage, Shutdown, in_full};
use store::{Store, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::schema::Prepared;
use round::{RoundEnd, State};

/// How often to look for what others have left.
const POLL: Duration = Duration::from_secs(1);

/// How soon to ask again for the turn when another gateway has it and there is something to relay: its round may
/// have begun before that was recorded.
const ANOTHER_TURN: Duration = Duration::from_millis(50);

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// What relaying needs.
pub(crate) struct Relayer {
    pub(crate) store: Store,
    pub(crate) cluster: Cluster,
    /// Where resources are made.
    pub(crate) namespace: String,
    pub(crate) limits: Limits,
    pub(crate) kubernetes: Outage,
    pub(crate) metrics: Metrics,
}

/// Why a round could not go on.
#[derive(Debug)]
enum RoundError {
    Postgres(StoreError),
    /// In words.
    Kubernetes(String),
}

impl From<StoreError> for RoundError {
    fn from(error: StoreError) -> Self {
        RoundError::Postgres(error)
    }
}

/// Relays until the stop is requested, and then finishes its round and what was recorded before the stop.
pub(crate) async fn run(
    mut relayer: Relayer,
    recorded: Arc<Notify>,
    mut prepared: Prepared,
    postgres: Arc<Outage>,
    stop: Shutdown,
) {
    if !matches!(stop.unless_requested(prepared.wait_for(|prepared| *prepared)).await, Some(Ok(_))) {
        return;
    }
    let mut state = State::default();
    let mut backoff = FIRST_BACKOFF;
    loop {
        let wait = match relayer.round(&mut state).await {
            Ok(end) => {
                postgres.end();
                backoff = FIRST_BACKOFF;
                match end {
                    RoundEnd::More if !stop.is_requested() => continue,
                    RoundEnd::More => return,
                    RoundEnd::Caught => {
                        state.owed = false;
                        match state.gather.filter(|_| !stop.is_requested()) {
                            Some(time) => Wait::ToGather(time),
                            None => Wait::ForWork(POLL),
                        }
                    }
                    RoundEnd::NotMyTurn if state.owed => Wait::Pause(ANOTHER_TURN),
                    RoundEnd::NotMyTurn => Wait::ForWork(POLL),
                }
            }
            Err(error) => {
                match error {
                    RoundError::Postgres(error) => postgres.begin(&in_full(&error)),
                    RoundError::Kubernetes(reason) => {
                        relayer.kubernetes.begin(&reason);
                        relayer.cluster.forget();
                    }
                }
                let pause = backoff;
                backoff = (backoff * 2).min(LONGEST_BACKOFF);
                Wait::Pause(pause)
            }
        };
        match wait {
            Wait::ForWork(at_most) => tokio::select! {
                biased;
                woken = timeout(at_most, recorded.notified()) => state.owed |= woken.is_ok(),
                () = stop.requested() => return,
            },
            // A stop cuts this short, and what has gathered is relayed.
            Wait::ToGather(time) => drop(stop.unless_requested(tokio::time::sleep(time)).await),
            Wait::Pause(pause) => {
                if stop.unless_requested(tokio::time::sleep(pause)).await.is_none() {
                    return;
                }
            }
        }
    }
}

enum Wait {
    ForWork(Duration),
    ToGather(Duration),
    Pause(Duration),
}
