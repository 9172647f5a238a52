//! Replacing every process, one after the other, under load.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::world::{self, PATIENCE};
use e2e::{Api, Balancer, sources};
use futures::future::try_join_all;
use uuid::Uuid;

/// How long any process may take to stop here.
const STOP: Duration = Duration::from_secs(30);

const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_every_process_under_load_loses_no_request_and_spends_no_attempt() -> Result<()> {
    let stack = world::stack()
        .gateways(2)
        .operators(2)
        .scorers(2)
        // Longer than the balancer takes to notice.
        .gateway_env("ASSAY_DRAIN_DELAY", "1s");
    world::alone_with(stack, async |world| {
        let ports = world.stack.gateways.iter().map(|gateway| {
            gateway.url().rsplit(':').next().and_then(|port| port.parse().ok()).context("a port")
        });
        let balancer = Balancer::before(ports.collect::<Result<_>>()?).await?;
        balancer.until_ready(2).await?;
        let replaced = AtomicBool::new(false);

        // A client that asks once: whatever is not answered, or not with yes, is lost.
        let client = async |number: usize| {
            let api = Api::new(balancer.url(), &world.stack.token)?;
            let mut jobs: Vec<Uuid> = Vec::new();
            while !replaced.load(Ordering::Relaxed) {
                let content = sources::python(number + CLIENTS * jobs.len());
                jobs.push(api.submit_and_score(&content, "default").await?);
            }
            anyhow::Ok(jobs)
        };
        let clients = try_join_all((0..CLIENTS).map(client));
        let replacing = async {
            for gateway in &world.stack.gateways {
                gateway.terminate(STOP).await?;
                gateway.start().await?;
                balancer.until_ready(2).await?;
            }
            for other in world.stack.operators.iter().chain(&world.stack.scorers) {
                other.terminate(STOP).await?;
                other.start().await?;
            }
            replaced.store(true, Ordering::Relaxed);
            anyhow::Ok(())
        };
        let (jobs, ()) = tokio::try_join!(clients, replacing)?;
        let jobs: Vec<Uuid> = jobs.into_iter().flatten().collect();
        ensure!(jobs.len() > 20 * CLIENTS, "only {} requests: that is no load", jobs.len());

        world.database.until_done(jobs.len(), PATIENCE).await?;
        world.no_attempt_was_spent_in_vain().await?;
        world.is_in_order(&jobs).await
    })
    .await
}
