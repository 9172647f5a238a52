//! What this scorer holds at the moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Claim, Rank};
use queue::Adopt;
use runtime::trace::{SpanId, TraceContext, TraceId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::{DisplayValue, display};

/// The claims held. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    claims: Arc<Mutex<HashMap<Claim, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    lost: CancellationToken,
    /// Known from when `lost` is cancelled.
    loss: Option<Loss>,
    /// Known once Postgres has started the attempt.
    rank: Option<Rank>,
    /// The place of the attempt in its job's trace, once that is known.
    trace: Option<TraceContext>,
}

/// Why a claim is no longer this scorer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Its job was cancelled during this very attempt.
    Cancelled,
    /// Another has taken it over, or the attempt is recorded already.
    Over,
}

/// One claim that is being worked on. Dropping it ends its renewals, however the work ends, so that a defect costs a
/// lease and does not keep a job for ever.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) claim: Claim,
    lost: CancellationToken,
    held: Held,
}

impl Held {
    pub(crate) fn hold(&self, claim: Claim) -> Holding {
        let lost = CancellationToken::new();
        let entry = Entry { since: Instant::now(), lost: lost.clone(), loss: None, rank: None, trace: None };
        self.lock().insert(claim, entry);
        Holding { claim, lost, held: self.clone() }
    }

    /// Every claim held.
    pub(crate) fn all(&self) -> Vec<Claim> {
        self.lock().keys().copied().collect()
    }

    /// For how long the oldest claim has been held; zero when there is none.
    pub(crate) fn oldest_age(&self) -> Duration {
        self.lock().values().map(|entry| entry.since.elapsed()).max().unwrap_or_default()
    }

    /// The place of an attempt in its job's trace, for log lines.
    pub(crate) fn trace(&self, claim: &Claim) -> Option<TraceContext> {
        self.lock().get(claim)?.trace
    }

    /// The claims whose attempt has been started in Postgres.
    pub(crate) fn started(&self) -> Vec<Adopt> {
        let started = |(claim, entry): (&Claim, &Entry)| Some(Adopt { claim: *claim, rank: entry.rank? });
        self.lock().iter().filter_map(started).collect()
    }

    /// The claim is another's by now, or its job has ended: the work on it stops.
    pub(crate) fn lose(&self, claim: &Claim, loss: Loss) {
        if let Some(entry) = self.lock().get_mut(claim) {
            entry.loss.get_or_insert(loss);
            entry.lost.cancel();
        }
    }

    // The map is whole after each single operation, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Claim, Entry>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holding {
    /// Postgres has started the attempt; from now on it can be asked whose the job is.
    pub(crate) fn started(&self, rank: Rank) {
        if let Some(entry) = self.held.lock().get_mut(&self.claim) {
            entry.rank = Some(rank);
        }
    }

    /// The attempt has this place in its job's trace.
    pub(crate) fn traced(&self, trace: Option<TraceContext>) {
        if let Some(entry) = self.held.lock().get_mut(&self.claim) {
            entry.trace = trace;
        }
    }

    /// The trace that log lines about the attempt name, when it is known.
    pub(crate) fn trace_id(&self) -> Option<DisplayValue<TraceId>> {
        self.held.trace(&self.claim).map(|trace| display(trace.trace_id()))
    }

    /// The attempt's span in that trace.
    pub(crate) fn span_id(&self) -> Option<DisplayValue<SpanId>> {
        self.held.trace(&self.claim).map(|trace| display(trace.span_id()))
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Why the claim is lost, if it is.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.held.lock().get(&self.claim)?.loss
    }

    /// Returns when the claim is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.lock().remove(&self.claim);
    }
}

#[cfg(test)]
mod tests {
    use domain::{Epoch, JobId};

    use super::*;

    fn claim(epoch: i64) -> Claim {
        Claim { job: JobId::nil(), epoch: Epoch(epoch) }
    }

    #[test]
    fn two_claims_of_one_job_are_held_and_lost_apart() {
        let held = Held::default();
        let (older, newer) = (held.hold(claim(1)), held.hold(claim(2)));
        held.lose(&claim(1), Loss::Cancelled);
        held.lose(&claim(1), Loss::Over);
        assert!(older.is_lost() && !newer.is_lost());
        assert_eq!((older.loss(), newer.loss()), (Some(Loss::Cancelled), None));
        drop(older);
        assert_eq!(held.all(), [claim(2)]);
    }

    #[test]
    fn only_a_started_claim_can_be_adopted() {
        let held = Held::default();
        let holding = held.hold(claim(1));
        assert_eq!(held.started(), []);
        holding.started(Rank(7));
        assert_eq!(held.started(), [Adopt { claim: claim(1), rank: Rank(7) }]);
    }
}
