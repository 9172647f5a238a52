use anyhow::Result;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::ResourceExt;
use queue::ScorerLoad;
use serde_json::json;

use crate::external_metrics::scene::control_plane;
use crate::world::World;

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

#[tokio::test]
async fn a_scorers_pod_says_how_many_jobs_it_holds_and_one_that_is_not_selected_does_not() -> Result<()> {
    let world = World::on(&control_plane().await?.kubernetes()).await?;
    // Without it, no Pod may be made.
    world.until("default", "there", |account: Option<&ServiceAccount>| account.is_some()).await?;
    for (name, component) in [("busy", "scorer"), ("idle", "scorer"), ("other", "gateway")] {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "component": component } },
            "spec": { "containers": [{ "name": "main", "image": "localhost/assay/scorer" }] },
        }))?;
        world.create(&pod).await?;
    }
    let report = async |name: &str, held| {
        world.queue.report_scorer(&world.pool, name, ScorerLoad { slots: 5, held }).await
    };
    for (name, held) in [("busy", 3), ("idle", 0), ("other", 3)] {
        report(name, held).await?;
    }
    let operator = world.operator_with("a", &["--scorer-pods", "component=scorer"]).await?;
    let costs = |cost: &'static str| {
        move |pod: Option<&Pod>| {
            pod.is_some_and(|pod| pod.annotations().get(COST).is_some_and(|it| it == cost))
        }
    };
    world.until("busy", "as dear as three jobs", costs("3")).await?;
    report("busy", 0).await?;
    report("idle", 1).await?;
    world.until("busy", "free", costs("0")).await?;
    world.until("idle", "as dear as one job", costs("1")).await?;
    let other: Pod = world.api().get("other").await?;
    assert_eq!(other.annotations().get(COST), None);
    operator.stop().await
}
