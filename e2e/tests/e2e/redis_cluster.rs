//! Redis Cluster, one of whose primaries is killed.

use anyhow::Result;
use e2e::sources;
use e2e::world::{self, PATIENCE};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use testkit::{RedisCluster, Service};

const JOBS: usize = 400;

/// A key of the default pool, which says where it is.
const KEY: &str = "{assay:default}:ready";

#[tokio::test]
async fn killing_the_primary_that_has_the_queue_under_load_loses_nothing_and_spends_no_attempt() -> Result<()>
{
    let cluster = RedisCluster::start().await?;
    let stack = world::stack().redis_url(Some(cluster.url())).scorers(2);
    world::with(stack, async |world| {
        let primary = cluster.primary_of(KEY).await?;
        let posted = stream::iter(0..JOBS)
            .map(
                |number| async move { world.api.submit_and_score(&sources::python(number), "default").await },
            )
            .buffered(16)
            .try_collect::<Vec<_>>();
        let kill = async {
            world.database.until_done(JOBS / 10, PATIENCE).await?;
            primary.kill9().await?;
            let on_redis = world.stack.scorers.iter().chain(&world.stack.operators);
            try_join_all(on_redis.map(Service::until_unready)).await?;
            cluster.until_replaced(primary, KEY).await?;
            anyhow::Ok(())
        };
        let (jobs, ()) = tokio::try_join!(posted, kill)?;
        world.database.until_done(JOBS, PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        try_join_all(world.stack.services().map(Service::ready)).await?;
        // It comes back as a replica of its successor, and nobody minds.
        primary.start_again().await?;
        cluster.until_whole().await?;
        let next = world.api.submit_and_score(&sources::python(JOBS), "quick").await?;
        world.database.until_job_is(next, "DONE", PATIENCE).await?;
        world.is_in_order(&jobs).await
    })
    .await
}
