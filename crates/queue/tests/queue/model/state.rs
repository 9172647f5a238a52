//! Everything that Redis keeps of one pool, read from its keys.

use std::collections::{BTreeMap, BTreeSet};

use domain::queue_rules::{Place, QueueState, Turn};
use domain::{Epoch, JobId, Lane, Rank};
use uuid::Uuid;

use crate::fixture::Fixture;

type Numbers = BTreeMap<String, i64>;

/// All keys of a pool.
#[derive(Debug)]
struct Keys {
    ready: BTreeMap<JobId, i64>,
    delayed: BTreeMap<JobId, i64>,
    leases: BTreeMap<JobId, i64>,
    ranks: BTreeMap<JobId, i64>,
    epochs: BTreeMap<JobId, i64>,
    expired: BTreeMap<JobId, i64>,
    epoch: Option<i64>,
    served: Option<u64>,
    heard: Option<i64>,
    markers: usize,
    generation: Option<String>,
    rebuilds: BTreeMap<String, String>,
}

/// What Redis has now, `turn` being its name of the present turn.
pub(crate) async fn read(test: &mut Fixture, turn: &str) -> QueueState {
    let keys = Keys::read(test).await;
    keys.assert_whole();
    keys.state(turn)
}

/// Puts all of it into empty keys. Rebuilds that have begun are none of it.
pub(crate) async fn write(state: &QueueState, test: &mut Fixture) {
    let mut pipeline = redis::pipe();
    for (job, place) in &state.places {
        let member = job.to_string();
        let (zset, score) = match place {
            Place::Ready { rank, .. } => ("ready", number(*rank)),
            Place::Delayed { due_ms, .. } => ("delayed", *due_ms),
            Place::Leased { deadline_ms, .. } => ("leases", *deadline_ms),
        };
        pipeline.cmd("ZADD").arg(test.key(zset)).arg(score).arg(&member);
        let fields = match place {
            Place::Ready { expired, .. } => [("expired", expired.map(|epoch| epoch.0)), ("epochs", None)],
            Place::Delayed { rank, .. } => [("ranks", Some(number(*rank))), ("epochs", None)],
            Place::Leased { rank, epoch, .. } => [("ranks", Some(number(*rank))), ("epochs", Some(epoch.0))],
        };
        for (hash, value) in fields {
            if let Some(value) = value {
                pipeline.cmd("HSET").arg(test.key(hash)).arg(&member).arg(value);
            }
        }
    }
    let served = state.served.and_then(|lane| i64::try_from(lane.0).ok());
    let last_epoch = state.last_epoch.map(|epoch| epoch.0);
    for (key, value) in [("epoch", last_epoch), ("served", served), ("heard", state.heard_ms)] {
        if let Some(value) = value {
            pipeline.cmd("SET").arg(test.key(key)).arg(value);
        }
    }
    if state.generation.is_some() {
        pipeline.cmd("SET").arg(test.key("generation")).arg("another");
    }
    if state.marker {
        pipeline.cmd("LPUSH").arg(test.key("wake")).arg(1);
    }
    pipeline.exec_async(&mut test.raw).await.expect("writing the pool's keys");
}

fn number(rank: Rank) -> i64 {
    i64::try_from(rank.0).expect("a rank fits")
}

fn rank(number: i64) -> Rank {
    Rank(u64::try_from(number).expect("a rank is positive"))
}

impl Keys {
    async fn read(test: &mut Fixture) -> Keys {
        let mut pipeline = redis::pipe();
        for zset in ["ready", "delayed", "leases"] {
            pipeline.cmd("ZRANGE").arg(test.key(zset)).arg(0).arg(-1).arg("WITHSCORES");
        }
        pipeline.hgetall(test.key("ranks")).hgetall(test.key("epochs")).hgetall(test.key("expired"));
        pipeline.get(test.key("epoch")).get(test.key("served")).get(test.key("heard"));
        pipeline.llen(test.key("wake")).get(test.key("generation")).hgetall(test.key("rebuilds"));
        type Reply = (
            Numbers,
            Numbers,
            Numbers,
            Numbers,
            Numbers,
            Numbers,
            Option<i64>,
            Option<u64>,
            Option<i64>,
            usize,
            Option<String>,
            BTreeMap<String, String>,
        );
        let reply: Reply = pipeline.query_async(&mut test.raw).await.expect("the pool's keys");
        let (
            ready,
            delayed,
            leases,
            ranks,
            epochs,
            expired,
            epoch,
            served,
            heard,
            markers,
            generation,
            rebuilds,
        ) = reply;
        let by_job = |numbers: Numbers| {
            numbers.into_iter().map(|(job, number)| (job.parse().expect("a job id"), number)).collect()
        };
        Keys {
            ready: by_job(ready),
            delayed: by_job(delayed),
            leases: by_job(leases),
            ranks: by_job(ranks),
            epochs: by_job(epochs),
            expired: by_job(expired),
            epoch,
            served,
            heard,
            markers,
            generation,
            rebuilds,
        }
    }

    /// A job is in one place, and the hashes have exactly the members that they should.
    fn assert_whole(&self) {
        let (ready, delayed, leases) = (self.ready.keys(), self.delayed.keys(), self.leases.keys());
        let places: Vec<&JobId> = ready.chain(delayed.clone()).chain(leases.clone()).collect();
        let distinct: BTreeSet<&JobId> = places.iter().copied().collect();
        assert_eq!(places.len(), distinct.len(), "a job is in two places: {self:?}");
        let ranked: BTreeSet<&JobId> = delayed.chain(leases.clone()).collect();
        assert!(self.ranks.keys().eq(ranked), "ranks: {self:?}");
        assert!(self.epochs.keys().eq(leases), "epochs: {self:?}");
        assert!(self.expired.keys().all(|job| self.ready.contains_key(job)), "expired: {self:?}");
        assert!(self.markers <= 1, "markers: {self:?}");
        assert!(
            self.epochs.values().chain(self.expired.values()).all(|epoch| Some(*epoch) <= self.epoch),
            "the last epoch: {self:?}"
        );
    }

    /// The same as the rules have it.
    fn state(&self, turn: &str) -> QueueState {
        let ready = self.ready.iter().map(|(job, number)| {
            let expired = self.expired.get(job).copied().map(Epoch);
            (*job, Place::Ready { rank: rank(*number), expired })
        });
        let delayed = self.delayed.iter().map(|(job, due_ms)| {
            let rank = rank(self.ranks[job]);
            (*job, Place::Delayed { rank, due_ms: *due_ms })
        });
        let leased = self.leases.iter().map(|(job, deadline_ms)| {
            let (rank, epoch) = (rank(self.ranks[job]), Epoch(self.epochs[job]));
            (*job, Place::Leased { rank, epoch, deadline_ms: *deadline_ms })
        });
        let written_in = |name: &String| if name == turn { Turn::Present } else { Turn::Earlier };
        let token = |token: &String| Uuid::parse_str(token).expect("a token").as_u128();
        QueueState {
            places: ready.chain(delayed).chain(leased).collect(),
            last_epoch: self.epoch.map(Epoch),
            served: self.served.map(Lane),
            heard_ms: self.heard,
            marker: self.markers > 0,
            generation: self.generation.as_ref().map(written_in),
            rebuilds: self.rebuilds.iter().map(|(name, turn)| (token(name), written_in(turn))).collect(),
        }
    }
}
