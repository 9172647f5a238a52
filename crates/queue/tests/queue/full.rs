//! Redis out of memory.

use std::time::Duration;

use queue::{Depth, Release, Renewal};
use uuid::Uuid;

use crate::fixture::{Fixture, own_redis, waiting};

#[tokio::test]
async fn a_full_redis_takes_no_more_jobs_but_drains() {
    let (redis, _folder) = own_redis().await;
    let mut test = Fixture::at(&redis.url()).await;
    test.enqueue_new(3).await;
    limit_memory(&mut test, "1").await;

    let error = test.queue.enqueue(&test.pool, &[waiting(Uuid::now_v7(), 5, 0)]).await;
    let error = error.expect_err("there is no memory left");
    assert!(error.is_unavailable(), "{error}");

    let claims = test.claim(3).await;
    let (queue, pool) = (&test.queue, &test.pool);
    assert_eq!(queue.renew(pool, &claims).await.expect("renew"), [Renewal::Renewed; 3]);
    let release = Release { claim: claims[0], delay: Duration::ZERO, floor: claims[0].epoch };
    assert_eq!(queue.release(pool, &[release]).await.expect("release"), 1);
    assert_eq!(queue.cancel(pool, &[claims[0].job]).await.expect("cancel"), 1);
    assert_eq!(queue.finish(pool, &claims).await.expect("finish"), 2);
    assert_eq!(queue.depth(pool).await.expect("depth"), Depth::default());

    limit_memory(&mut test, "0").await;
    test.enqueue_new(1).await;
}

async fn limit_memory(test: &mut Fixture, bytes: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut test.raw).await.expect("CONFIG SET");
}
