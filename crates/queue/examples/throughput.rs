//! How many jobs a second one claimer takes through the queue: `cargo run -p queue --example throughput [REDIS_URL]`.

use std::time::{Duration, Instant};

use domain::{Epoch, Lane, LeaseSettings, Pool, Priority, Rank};
use queue::{Enqueue, Queue};
use uuid::Uuid;

const JOBS: u64 = 50_000;

#[tokio::main]
async fn main() {
    let url = match std::env::args().nth(1) {
        Some(url) => url,
        None => testkit::redis_url().await.expect("a Redis of our own"),
    };
    let lease = LeaseSettings::renewed_by_thirds(Duration::from_secs(30)).expect("a lease");
    let queue = Queue::connect(&url, lease).expect("a queue");
    let pool: Pool = format!("throughput-{}", Uuid::new_v4().simple()).parse().expect("a pool");
    let rebuild = queue.begin_rebuild(&pool).await.expect("Redis answers");
    assert!(queue.complete_rebuild(&pool, &rebuild).await.expect("Redis answers"));

    for batch in [1, 5, 50, 200] {
        let jobs: Vec<Enqueue> = (0..JOBS).map(job).collect();
        let begun = Instant::now();
        queue.enqueue(&pool, &jobs).await.expect("Redis answers");
        let enqueued = begun.elapsed();

        let (mut done, mut renewing) = (0, Duration::ZERO);
        let begun = Instant::now();
        while done < JOBS && begun.elapsed() < Duration::from_secs(5) {
            let claims = queue.claim(&pool, batch).await.expect("Redis answers").claims;
            let claimed = Instant::now();
            queue.renew(&pool, &claims).await.expect("Redis answers");
            renewing += claimed.elapsed();
            done += queue.finish(&pool, &claims).await.expect("Redis answers");
        }
        let per_second = |jobs: u64, time: Duration| (jobs as f64 / time.as_secs_f64()).round();
        println!(
            "by {batch}: {} jobs/s claimed and finished; renewed {}/s; enqueued {}/s by 1,000",
            per_second(done, begun.elapsed() - renewing),
            per_second(done, renewing),
            per_second(JOBS, enqueued),
        );
        let left: Vec<Uuid> = jobs.iter().map(|item| item.job).collect();
        queue.cancel(&pool, &left).await.expect("Redis answers");
    }
}

fn job(age_ms: u64) -> Enqueue {
    Enqueue {
        job: Uuid::now_v7(),
        rank: Rank::new(Lane::of("default"), Priority::default(), age_ms),
        delay: Duration::ZERO,
        epoch: Epoch::NONE,
        leased: false,
    }
}
