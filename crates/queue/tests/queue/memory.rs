//! What a queued job costs Redis.

use queue::Enqueue;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

use crate::fixture::{Fixture, own_redis, waiting};

#[tokio::test]
async fn a_queued_job_costs_at_most_200_bytes() {
    const JOBS: u64 = 20_000;
    let (redis, _folder) = own_redis().await;
    let mut test = Fixture::at(&redis.url()).await;
    test.enqueue_new(1).await;
    let before = used_bytes(&mut test.raw).await;
    let jobs: Vec<Enqueue> =
        (0..JOBS).map(|age| waiting(Uuid::now_v7(), 5, 1_763_955_000_000 + age)).collect();
    test.enqueue(&jobs).await;
    let bytes = (used_bytes(&mut test.raw).await - before) / JOBS;
    println!("{bytes} bytes a job");
    assert!(bytes <= 200, "{bytes} bytes a job");
}

async fn used_bytes(raw: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query_async(raw).await.expect("INFO");
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
    line.expect("the memory of the data").trim().parse().expect("a number")
}
