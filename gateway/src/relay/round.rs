//! One round of relaying: everything that waits now.

use runtime::in_full;
use runtime::trace::{self, SpanKind};
use std::time::{Duration, SystemTime};

use futures::{StreamExt, stream};
use kube::Client;
use store::{BatchToMirror, JobRow, Relay};
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use super::aside::Aside;
use super::creation::{Creation, create};
use super::object::scoring_batch;
use super::plan::{Plan, gather, plan};
use super::singles::{Tally, create_all};
use super::{Relayer, RoundError};
use crate::metrics::ResourceKind;

/// After this time a round begins nothing more: other gateways are to get their turn, and a stop is not to wait.
pub(super) const ROUND_TIME: Duration = Duration::from_secs(5);

/// The most jobs read in one round.
const MOST_JOBS: u32 = 4_000;

/// The most batches made in one round, 1,000 ids each. With more kinds of jobs than that, those that wait gather for longer, so
/// that there are never more than this many resources a look, however many kinds there are.
const MOST_BATCHES: u32 = 8;

/// Batches under way at once.
const BATCHES_AT_ONCE: usize = 2;

/// How long the numbers of live and waiting jobs are taken to hold; in between, what is created is added to them.
const COUNTS_HOLD: Duration = Duration::from_millis(500);

/// The most waiting jobs counted.
const COUNTED: u32 = 100_000;

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoundEnd {
    /// There is more to do.
    More,
    /// All that was there is done, or put aside.
    Caught,
    /// Another gateway relays.
    NotMyTurn,
}

/// What is remembered from one round to the next.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Something was recorded since the last turn.
    pub(super) owed: bool,
    /// What was decided last.
    plan: Plan,
    /// For how long jobs are to gather until the next look, if they share resources.
    pub(super) gather: Option<Duration>,
    aside: Aside,
    live: u64,
    counted_at: Option<Instant>,
}

impl Relayer {
    /// Relays what waits, if it is this gateway's turn.
    pub(super) async fn round(&mut self, state: &mut State) -> Result<RoundEnd, RoundError> {
        let client = self.cluster.client().await.map_err(RoundError::Kubernetes)?;
        let Some(turn) = self.store.begin_relay().await? else {
            return Ok(RoundEnd::NotMyTurn);
        };
        let worked = self.work(&turn, &client, state).await;
        let ended = turn.end().await;
        let end = worked?;
        ended?;
        Ok(end)
    }

    async fn work(&self, turn: &Relay, client: &Client, state: &mut State) -> Result<RoundEnd, RoundError> {
        let now = Instant::now();
        state.aside.tidy(now);
        self.count(turn, state, now).await?;
        if self.kubernetes.is_on() {
            return self.probe(turn, client, state).await;
        }
        let waiting = self.waiting(turn, state, MOST_JOBS).await?;
        let many = waiting.len() >= size(MOST_JOBS);
        let number = waiting.len().try_into().unwrap_or(u64::MAX);
        state.plan = plan(number, state.live, self.limits, state.plan);
        match state.plan {
            Plan::Batches => {
                state.gather = Some(gather(number));
                let left_over = self.batches(turn, client, state, MOST_BATCHES).await?;
                let began = SystemTime::now();
                let moved =
                    turn.move_to_batch(&waiting, size(MOST_BATCHES).saturating_sub(left_over)).await?;
                let when = began..SystemTime::now();
                for job in moved.iter().flat_map(|(_, jobs)| jobs) {
                    let traceparent = job.traceparent.as_deref();
                    trace::hop("move to ScoringBatch", SpanKind::Client, traceparent, when.clone(), &[]);
                }
                let made = left_over + self.batches(turn, client, state, MOST_BATCHES).await?;
                Ok(if many && made < size(MOST_BATCHES) { RoundEnd::More } else { RoundEnd::Caught })
            }
            Plan::Singles => {
                state.gather = None;
                let batched = self.batches(turn, client, state, MOST_BATCHES).await? > 0;
                let singles = self.singles(turn, client, state, waiting).await?;
                Ok(if many || batched || singles.cut_short { RoundEnd::More } else { RoundEnd::Caught })
            }
        }
    }

    /// Tries a resource or two, to learn whether there is use in trying more.
    async fn probe(&self, turn: &Relay, client: &Client, state: &mut State) -> Result<RoundEnd, RoundError> {
        let put_aside = state.aside.len();
        let batched = self.batches(turn, client, state, 1).await? > 0;
        let job = self.waiting(turn, state, 1).await?;
        let created = self.singles(turn, client, state, job).await?.created > 0 || batched;
        if created {
            state.aside.clear();
        } else if state.aside.len() > put_aside {
            return Err(RoundError::Kubernetes("what was tried is refused".to_owned()));
        } else {
            // There was nothing to try, so the question is put to the server itself.
            client.apiserver_version().await.map_err(|error| RoundError::Kubernetes(in_full(&error)))?;
        }
        self.kubernetes.end();
        Ok(RoundEnd::More)
    }

    async fn count(&self, turn: &Relay, state: &mut State, now: Instant) -> Result<(), RoundError> {
        if state.counted_at.is_none_or(|at| now - at > COUNTS_HOLD) {
            let counts = turn.counts(COUNTED).await?;
            self.metrics.relay(counts.waiting, counts.live);
            state.live = counts.live;
            state.counted_at = Some(now);
        }
        Ok(())
    }

    async fn waiting(&self, turn: &Relay, state: &State, limit: u32) -> Result<Vec<JobRow>, RoundError> {
        let with_aside = limit.saturating_add(state.aside.len().try_into().unwrap_or(u32::MAX));
        let now = Instant::now();
        let mut waiting = turn.waiting(with_aside).await?;
        waiting.retain(|job| !state.aside.holds(job.id, now));
        waiting.truncate(size(limit));
        Ok(waiting)
    }

    async fn singles(
        &self,
        turn: &Relay,
        client: &Client,
        state: &mut State,
        jobs: Vec<JobRow>,
    ) -> Result<Tally, RoundError> {
        if jobs.is_empty() {
            return Ok(Tally::default());
        }
        let mut tally = create_all(turn, client, &self.namespace, jobs).await?;
        state.live += u64::try_from(tally.created).unwrap_or(u64::MAX);
        self.metrics.created(ResourceKind::ScoringJob, tally.created);
        if let (Some((job, reason)), None) = (tally.refused.first(), &tally.away) {
            let jobs = tally.refused.len();
            warn!(jobs, job_id = %job, reason, "the API server refuses ScoringJobs: they are tried again later");
        }
        for (job, _) in &tally.refused {
            self.refused(ResourceKind::ScoringJob, *job, state);
        }
        match tally.away.take() {
            Some(reason) => Err(RoundError::Kubernetes(reason)),
            None => Ok(tally),
        }
    }

    /// Creates the resources of batches that wait for theirs; says how many.
    async fn batches(
        &self,
        turn: &Relay,
        client: &Client,
        state: &mut State,
        limit: u32,
    ) -> Result<usize, RoundError> {
        let with_aside = limit.saturating_add(state.aside.len().try_into().unwrap_or(u32::MAX));
        let now = Instant::now();
        let mut waiting = turn.unmirrored_batches(with_aside).await?;
        waiting.retain(|waiting| !state.aside.holds(waiting.batch.id, now));
        waiting.truncate(size(limit));
        let creations = stream::iter(waiting)
            .map(|waiting| async move {
                let creation = create(client, &self.namespace, &scoring_batch(&waiting)).await;
                (waiting, creation)
            })
            .buffer_unordered(BATCHES_AT_ONCE);
        let mut creations = std::pin::pin!(creations);
        let mut created = 0;
        while let Some((BatchToMirror { batch, .. }, creation)) = creations.next().await {
            match creation {
                Creation::Created { uid } => {
                    turn.mark_batch_mirrored(batch.id, &self.namespace, &batch.id.to_string(), uid).await?;
                    self.metrics.created(ResourceKind::ScoringBatch, 1);
                    created += 1;
                }
                Creation::Refused(reason) => {
                    let refused = "the API server refuses a ScoringBatch: it is tried again later";
                    warn!(batch_id = %batch.id, reason, "{refused}");
                    self.refused(ResourceKind::ScoringBatch, batch.id, state);
                }
                Creation::Away(reason) => return Err(RoundError::Kubernetes(reason)),
            }
        }
        Ok(created)
    }

    fn refused(&self, kind: ResourceKind, id: Uuid, state: &mut State) {
        self.metrics.refused(kind);
        state.aside.put(id, Instant::now());
    }
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
