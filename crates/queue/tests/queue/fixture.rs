//! A pool of its own on a real Redis, and raw access to its keys: tests let time pass by rewriting it there.

use std::time::Duration;

use domain::{Claim, Epoch, JobId, Lane, LeaseSettings, Pool, Priority, Rank};
use queue::{Enqueue, Queue};
use redis::aio::MultiplexedConnection;
use testkit::{Place, Redis, Server, TempFolder};
use uuid::Uuid;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const LEASE_MS: i64 = 30_000;
pub(crate) const OUTAGE_MS: i64 = 12_500;

pub(crate) struct Fixture {
    pub(crate) queue: Queue,
    pub(crate) pool: Pool,
    pub(crate) raw: MultiplexedConnection,
}

impl Fixture {
    pub(crate) async fn new() -> Fixture {
        Fixture::at(&testkit::redis_url().await.expect("a Redis for tests")).await
    }

    pub(crate) async fn at(url: &str) -> Fixture {
        let client = redis::Client::open(url).expect("a Redis URL");
        Fixture {
            queue: connect(url),
            pool: format!("t-{}", Uuid::new_v4().simple()).parse().expect("a pool"),
            raw: client.get_multiplexed_async_connection().await.expect("a connection"),
        }
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{{assay:{}}}:{name}", self.pool)
    }

    pub(crate) async fn enqueue(&self, jobs: &[Enqueue]) -> u64 {
        self.queue.enqueue(&self.pool, jobs).await.expect("enqueue")
    }

    /// As many new jobs, the oldest first.
    pub(crate) async fn enqueue_new(&self, count: u64) -> Vec<JobId> {
        let jobs: Vec<Enqueue> = (0..count).map(|age| waiting(Uuid::now_v7(), 5, age)).collect();
        assert_eq!(self.enqueue(&jobs).await, count);
        jobs.iter().map(|item| item.job).collect()
    }

    pub(crate) async fn claim(&self, max: usize) -> Vec<Claim> {
        self.queue.claim(&self.pool, max).await.expect("claim").claims
    }

    pub(crate) async fn claim_one(&self) -> Claim {
        let claims = self.claim(1).await;
        assert_eq!(claims.len(), 1, "nothing was ready");
        claims[0]
    }

    /// Makes the queue current, as an operator does for a pool it meets first.
    pub(crate) async fn rebuild(&self) {
        let rebuild = self.queue.begin_rebuild(&self.pool).await.expect("begin");
        assert!(self.queue.complete_rebuild(&self.pool, &rebuild).await.expect("complete"));
    }

    /// Lets the lease of a job run out.
    pub(crate) async fn expire(&mut self, job: JobId) {
        self.reschedule("leases", job, 1).await;
    }

    pub(crate) async fn reschedule(&mut self, key: &str, job: JobId, at_ms: i64) {
        let key = self.key(key);
        let mut command = redis::cmd("ZADD");
        command.arg(key).arg("XX").arg("CH").arg(at_ms).arg(job.to_string());
        let () = command.query_async(&mut self.raw).await.expect("ZADD");
    }

    pub(crate) async fn score(&mut self, key: &str, job: JobId) -> Option<i64> {
        let key = self.key(key);
        redis::cmd("ZSCORE").arg(key).arg(job.to_string()).query_async(&mut self.raw).await.expect("ZSCORE")
    }

    pub(crate) async fn number(&mut self, key: &str) -> i64 {
        let key = self.key(key);
        redis::cmd("GET").arg(key).query_async(&mut self.raw).await.expect("GET")
    }

    pub(crate) async fn set(&mut self, key: &str, value: impl ToString) {
        let key = self.key(key);
        let command = redis::cmd("SET").arg(key).arg(value.to_string()).exec_async(&mut self.raw).await;
        command.expect("SET");
    }

    /// What a queue that is rebuilt now is named after: the replication id.
    pub(crate) async fn turn(&mut self) -> String {
        let mut command = redis::cmd("INFO");
        let info: String = command.arg("replication").query_async(&mut self.raw).await.expect("INFO");
        let id = info.lines().find_map(|line| line.strip_prefix("master_replid:")).expect("a replication id");
        id.trim().to_owned()
    }

    /// Deletes all keys of the pool, as a FLUSHALL would.
    pub(crate) async fn flush(&mut self) {
        let keys: Vec<String> =
            redis::cmd("KEYS").arg(self.key("*")).query_async(&mut self.raw).await.expect("KEYS");
        for key in keys {
            redis::cmd("DEL").arg(key).exec_async(&mut self.raw).await.expect("DEL");
        }
    }

    /// Deletes one key.
    pub(crate) async fn flush_key(&mut self, name: &str) {
        redis::cmd("DEL").arg(self.key(name)).exec_async(&mut self.raw).await.expect("DEL");
    }
}

pub(crate) fn connect(url: &str) -> Queue {
    Queue::connect(url, LeaseSettings::renewed_by_thirds(LEASE).expect("a lease")).expect("a queue")
}

pub(crate) fn priority(number: i64) -> Priority {
    Priority::try_from(number).expect("a priority")
}

/// The place of a job of the default tenant.
pub(crate) fn rank(urgency: i64, created_at_ms: u64) -> Rank {
    Rank::new(Lane::of("default"), priority(urgency), created_at_ms)
}

/// A new job that may be claimed at once.
pub(crate) fn waiting(job: JobId, urgency: i64, created_at_ms: u64) -> Enqueue {
    Enqueue {
        job,
        rank: rank(urgency, created_at_ms),
        delay: Duration::ZERO,
        epoch: Epoch::NONE,
        leased: false,
    }
}

/// A Redis that only one test uses, and the folder that it needs as long.
pub(crate) async fn own_redis() -> (Redis, TempFolder) {
    let folder = TempFolder::new().expect("a folder");
    let redis = Redis::start(&Place::owned(folder.path())).await.expect("Redis");
    (redis, folder)
}

/// Starts a Redis with settings of the test's own and waits until it answers.
pub(crate) async fn start(server: &Server, port: u16) {
    let process = server.start().await.expect("start");
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}/")).expect("a URL");
    testkit::readiness::until(&process, Duration::from_secs(20), async || {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(())
    })
    .await
    .expect("ready");
}
