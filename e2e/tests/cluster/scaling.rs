//! Scorers follow the work.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::Installation;
use testkit::{Seen, until};

use crate::TURN;
use crate::record::{Attempts, Heap};

/// As hack/cluster/values.yaml has it.
const MOST: usize = 4;

const BURST: usize = 5_000;

const PATIENCE: Duration = Duration::from_secs(300);

/// How many scorers are wanted, and how many are ready.
async fn scorers(installation: &Installation) -> Result<(usize, usize)> {
    let path = "-o=jsonpath={.spec.replicas} {.status.readyReplicas}";
    let said = installation.kubectl(&["get", "deployment", "assay-scorer-default", path]).await?;
    let mut numbers = said.split_whitespace().map(str::parse::<usize>);
    let wanted = numbers.next().context("the number of scorers")??;
    Ok((wanted, numbers.next().transpose()?.unwrap_or(0)))
}

#[tokio::test]
async fn a_burst_raises_scorers_to_the_maximum_and_back_and_spends_no_attempt() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reached = installation.reach().await?;
    until("one scorer is left of a test before", PATIENCE, async || {
        let (wanted, ready) = scorers(&installation).await?;
        Ok(Seen::when((wanted, ready) == (1, 1), || format!("{wanted} are wanted, {ready} ready")))
    })
    .await?;
    let heap = Heap::post(&installation, &reached, BURST).await?;
    let (begun, mut most, mut seen) = (Instant::now(), 0, None);
    until("all is done and one scorer is left", PATIENCE, async || {
        let (wanted, ready) = scorers(&installation).await?;
        let active = heap.active().await?;
        if seen != Some((wanted, ready)) {
            println!(
                "{:>5.1} s: {wanted} scorers wanted, {ready} ready, {active} jobs left",
                begun.elapsed().as_secs_f64()
            );
            seen = Some((wanted, ready));
        }
        most = most.max(ready);
        Ok(Seen::when(active == 0 && (wanted, ready) == (1, 1), || {
            format!("{wanted} scorers are wanted, {ready} ready, {active} jobs left")
        }))
    })
    .await?;
    assert_eq!(most, MOST);
    let attempts = heap.was_scored_once().await?;
    assert_eq!(attempts, Attempts { done: BURST, lease_lost: 0, others: 0 });
    Ok(())
}
