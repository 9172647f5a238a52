//! Everything that Redis keeps of one pool.

use std::collections::BTreeMap;

use domain::JobId;

use crate::fixture::Fixture;

/// All keys of a pool, the same for the real queue and for the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) ready: BTreeMap<JobId, i64>,
    pub(crate) delayed: BTreeMap<JobId, i64>,
    pub(crate) leases: BTreeMap<JobId, i64>,
    pub(crate) ranks: BTreeMap<JobId, i64>,
    pub(crate) epochs: BTreeMap<JobId, i64>,
    pub(crate) expired: BTreeMap<JobId, i64>,
    pub(crate) epoch: Option<i64>,
    pub(crate) heard: Option<i64>,
    pub(crate) markers: usize,
    pub(crate) generation: Option<String>,
    pub(crate) rebuilds: usize,
}

impl State {
    /// What Redis has now.
    pub(crate) async fn read(test: &mut Fixture) -> State {
        let mut pipeline = redis::pipe();
        for zset in ["ready", "delayed", "leases"] {
            pipeline.cmd("ZRANGE").arg(test.key(zset)).arg(0).arg(-1).arg("WITHSCORES");
        }
        pipeline.hgetall(test.key("ranks")).hgetall(test.key("epochs")).hgetall(test.key("expired"));
        pipeline.get(test.key("epoch")).get(test.key("heard"));
        pipeline.llen(test.key("wake")).get(test.key("generation")).hlen(test.key("rebuilds"));
        type Numbers = BTreeMap<String, i64>;
        type Reply = (
            Numbers,
            Numbers,
            Numbers,
            Numbers,
            Numbers,
            Numbers,
            Option<i64>,
            Option<i64>,
            usize,
            Option<String>,
            usize,
        );
        let reply: Reply = pipeline.query_async(&mut test.raw).await.expect("the pool's keys");
        let (ready, delayed, leases, ranks, epochs, expired, epoch, heard, markers, generation, rebuilds) =
            reply;
        let by_job = |numbers: Numbers| {
            numbers.into_iter().map(|(job, number)| (job.parse().expect("a job id"), number)).collect()
        };
        State {
            ready: by_job(ready),
            delayed: by_job(delayed),
            leases: by_job(leases),
            ranks: by_job(ranks),
            epochs: by_job(epochs),
            expired: by_job(expired),
            epoch,
            heard,
            markers,
            generation,
            rebuilds,
        }
    }

    /// Puts all of it into empty keys.
    pub(crate) async fn write(&self, test: &mut Fixture) {
        let mut pipeline = redis::pipe();
        for (key, numbers) in [("ready", &self.ready), ("delayed", &self.delayed), ("leases", &self.leases)] {
            for (job, score) in numbers {
                pipeline.cmd("ZADD").arg(test.key(key)).arg(*score).arg(job.to_string());
            }
        }
        for (key, numbers) in [("ranks", &self.ranks), ("epochs", &self.epochs), ("expired", &self.expired)] {
            for (job, number) in numbers {
                pipeline.cmd("HSET").arg(test.key(key)).arg(job.to_string()).arg(*number);
            }
        }
        for (key, number) in [("epoch", self.epoch), ("heard", self.heard)] {
            if let Some(number) = number {
                pipeline.cmd("SET").arg(test.key(key)).arg(number);
            }
        }
        if let Some(generation) = &self.generation {
            pipeline.cmd("SET").arg(test.key("generation")).arg(generation);
        }
        for _ in 0..self.markers {
            pipeline.cmd("LPUSH").arg(test.key("wake")).arg(1);
        }
        pipeline.exec_async(&mut test.raw).await.expect("writing the pool's keys");
    }

    /// A job is in one place, and the hashes have exactly the members that they should.
    pub(crate) fn assert_whole(&self) {
        let (ready, delayed, leases) = (self.ready.keys(), self.delayed.keys(), self.leases.keys());
        let mut places: Vec<&JobId> = ready.chain(delayed.clone()).chain(leases.clone()).collect();
        let all = places.len();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), all, "a job is in two places: {self:?}");
        let mut ranked: Vec<&JobId> = delayed.chain(leases.clone()).collect();
        ranked.sort();
        assert!(self.ranks.keys().eq(ranked), "ranks: {self:?}");
        assert!(self.epochs.keys().eq(leases), "epochs: {self:?}");
        assert!(self.expired.keys().all(|job| self.ready.contains_key(job)), "expired: {self:?}");
        assert!(self.markers <= 1, "markers: {self:?}");
        assert!(
            self.epochs.values().chain(self.expired.values()).all(|epoch| Some(*epoch) <= self.epoch),
            "the last epoch: {self:?}"
        );
    }
}
