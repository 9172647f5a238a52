use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use operator::LEASE_NAME;

use crate::world::World;

/// How long the holder of the Lease could go unheard: longer than any test waits.
const LONG: &str = "60s";

fn held_by(name: &'static str) -> impl Fn(Option<&Lease>) -> bool {
    move |lease: Option<&Lease>| holder(lease) == Some(name)
}

/// The name of the operator that holds the Lease; after it stands what tells it from others of that name.
fn holder(lease: Option<&Lease>) -> Option<&str> {
    Some(identity(lease)?.rsplit_once('_')?.0)
}

fn identity(lease: Option<&Lease>) -> Option<&str> {
    lease?.spec.as_ref()?.holder_identity.as_deref()
}

#[tokio::test]
async fn a_leader_that_stops_hands_the_lease_to_the_standby() -> Result<()> {
    let world = World::new().await?;
    let first = world.operator_that_leads("first", LONG).await?;
    world.until(LEASE_NAME, "held by the first", held_by("first")).await?;
    let second = world.operator_that_leads("second", LONG).await?;
    first.stop().await?;
    world.until(LEASE_NAME, "held by the second", held_by("second")).await?;
    second.stop().await
}

#[tokio::test]
async fn operators_of_one_name_take_turns_like_any_others() -> Result<()> {
    let world = World::new().await?;
    let first = world.operator_that_leads("same", LONG).await?;
    let lease = world.until(LEASE_NAME, "held by the first", held_by("same")).await?;
    let before = identity(lease.as_ref()).context("a holder")?.to_owned();
    let second = world.operator_that_leads("same", LONG).await?;
    first.stop().await?;
    let by_another = move |lease: Option<&Lease>| {
        holder(lease) == Some("same") && identity(lease) != Some(before.as_str())
    };
    let lease = world.until(LEASE_NAME, "held by the second", by_another).await?.context("the Lease")?;
    assert_eq!(lease.spec.context("a spec")?.lease_transitions, Some(2));
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
