//! What must hold after every outage, whatever it was: nobody is silently dead.

use std::time::Duration;

use domain::{Claim, Pool};
use queue::{Enqueue, Queue, Renewal, Waiter};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::fixture::waiting;

/// Longer than anything here may take. What wakes a waiter before that is a marker.
const LONG: Duration = Duration::from_secs(20);

/// How long a queue may be out of reach when its server is there again, or somebody in its stead.
pub(crate) const RECOVERED_WITHIN: Duration = Duration::from_secs(20);

/// A pool in use: a scorer holds a job, and waits for more on a connection of its own.
pub(crate) struct Running {
    pub(crate) queue: Queue,
    pub(crate) pool: Pool,
    held: Claim,
    waiter: Waiter,
}

impl Running {
    pub(crate) async fn on(queue: Queue) -> Running {
        let pool: Pool = format!("t-{}", Uuid::new_v4().simple()).parse().expect("a pool");
        let rebuild = queue.begin_rebuild(&pool).await.expect("begin");
        assert!(queue.complete_rebuild(&pool, &rebuild).await.expect("complete"));
        enqueue(&queue, &pool, &[waiting(Uuid::now_v7(), 5, 0)]).await;
        let held = claim_one(&queue, &pool).await;
        let mut waiter = queue.waiter(&pool);
        // Its connection is there when the outage begins.
        while waiter.wait(Duration::from_millis(20)).await {}
        Running { queue, pool, held, waiter }
    }

    /// A key of the pool, which says where in a cluster it is.
    pub(crate) fn key(&self) -> String {
        format!("{{assay:{}}}:ready", self.pool)
    }

    /// Asks for work over and over, as scorers do, until the queue answers again, and how long that took. Each call must
    /// end in time, and each failure be one that passes.
    pub(crate) async fn until_reached(&mut self) -> Duration {
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let answer = self.queue.claim(&self.pool, 0).await;
            assert!(asked.elapsed() < Duration::from_secs(6), "one call took {:?}", asked.elapsed());
            match answer {
                Ok(_) => return begun.elapsed(),
                Err(error) => assert!(error.is_unavailable(), "{error}"),
            }
            assert!(begun.elapsed() < RECOVERED_WITHIN, "not reached after {:?}", begun.elapsed());
            self.waiter.wait(Duration::from_millis(100)).await;
        }
    }

    /// After data may have been lost: what operators see, and do.
    pub(crate) async fn rebuild(&self) {
        let Running { queue, pool, held, .. } = self;
        assert!(!queue.is_current(pool).await.expect("is_current"), "a loss that goes unnoticed");
        let rebuild = queue.begin_rebuild(pool).await.expect("begin");
        let leased = Enqueue { epoch: held.epoch, leased: true, ..waiting(held.job, 5, 0) };
        enqueue(queue, pool, &[leased]).await;
        assert!(queue.complete_rebuild(pool, &rebuild).await.expect("complete"));
    }

    /// Leases are renewed, a claimer that waits is woken by a new job, and its epoch is above the older one's.
    pub(crate) async fn serves(self) {
        let Running { queue, pool, held, mut waiter } = self;
        let (queue, pool, held) = (&queue, &pool, &held);
        assert!(queue.is_current(pool).await.expect("is_current"));
        assert_eq!(queue.renew(pool, &[*held]).await.expect("renew"), [Renewal::Renewed]);

        // What was left before the outage wakes nobody by mistake.
        while waiter.wait(Duration::from_millis(50)).await {}
        let mut waited = tokio::spawn(async move { waiter.wait(LONG).await });
        timeout(Duration::from_millis(200), &mut waited).await.expect_err("there is nothing to claim yet");
        let job = waiting(Uuid::now_v7(), 5, 1);
        enqueue(queue, pool, &[job]).await;
        let begun = Instant::now();
        assert!(waited.await.expect("a task"), "no marker");
        assert!(begun.elapsed() < Duration::from_secs(2), "woken after {:?}", begun.elapsed());
        let claim = claim_one(queue, pool).await;
        assert_eq!(claim.job, job.job);
        assert!(claim.epoch > held.epoch, "{claim:?} after {held:?}");
        assert_eq!(queue.finish(pool, &[claim, *held]).await.expect("finish"), 2);
    }

    /// What `/readyz` asks. Notes that it fails, and never hangs, until the outage is over.
    pub(crate) async fn is_reached(&self) -> bool {
        self.queue.is_current(&self.pool).await.is_ok()
    }

    /// Waits until the outage shows.
    pub(crate) async fn until_away(&self) {
        let begun = Instant::now();
        while self.is_reached().await {
            assert!(begun.elapsed() < RECOVERED_WITHIN, "an outage that nobody notices");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn enqueue(queue: &Queue, pool: &Pool, jobs: &[Enqueue]) {
    assert_eq!(queue.enqueue(pool, jobs).await.expect("enqueue"), jobs.len() as u64);
}

async fn claim_one(queue: &Queue, pool: &Pool) -> Claim {
    let claims = queue.claim(pool, 1).await.expect("claim").claims;
    assert_eq!(claims.len(), 1, "nothing was ready");
    claims[0]
}
