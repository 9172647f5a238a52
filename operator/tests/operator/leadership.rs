use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use operator::leadership::LEASE_NAME;

use crate::world::World;

fn held_by(name: &'static str) -> impl Fn(Option<&Lease>) -> bool {
    move |lease: Option<&Lease>| holder(lease) == Some(name)
}

fn holder(lease: Option<&Lease>) -> Option<&str> {
    lease?.spec.as_ref()?.holder_identity.as_deref()
}

#[tokio::test]
async fn a_leader_that_stops_hands_the_lease_to_the_standby() -> Result<()> {
    let world = World::new().await?;
    let first = world.operator("first").await?;
    world.until(LEASE_NAME, "held by the first", held_by("first")).await?;
    let second = world.operator("second").await?;
    first.stop().await?;
    world.until(LEASE_NAME, "held by the second", held_by("second")).await?;
    second.stop().await
}

#[tokio::test]
async fn the_last_leader_leaves_the_lease_free() -> Result<()> {
    let world = World::new().await?;
    let only = world.operator("only").await?;
    world.until(LEASE_NAME, "held", held_by("only")).await?;
    only.stop().await?;
    let lease = world.api::<Lease>().get(LEASE_NAME).await?;
    assert_eq!(holder(Some(&lease)), None);
    let transitions = lease.spec.context("a spec")?.lease_transitions;
    assert_eq!(transitions, Some(1));
    Ok(())
}
