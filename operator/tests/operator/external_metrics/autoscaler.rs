use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::json;

use super::scene::Scene;

#[tokio::test]
async fn an_autoscaler_raises_the_replicas_of_a_deployment_as_jobs_wait() -> Result<()> {
    let scene = Scene::new().await?;
    let world = &scene.world;
    let operator = scene.operator(&[]).await?;
    scene.until_available().await?;
    let labels = json!({ "app": "scorer" });
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": { "name": "scorer" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "scorer", "image": "localhost/assay/scorer" }] },
            },
        },
    }))?;
    world.create(&deployment).await?;
    let autoscaler: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": { "name": "scorer" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "scorer" },
            "minReplicas": 1,
            "maxReplicas": 6,
            "metrics": [{
                "type": "External",
                "external": {
                    "metric": {
                        "name": "scoring_backlog",
                        "selector": { "matchLabels": { "pool": world.pool } },
                    },
                    "target": { "type": "AverageValue", "averageValue": "2" },
                },
            }],
        },
    }))?;
    world.create(&autoscaler).await?;
    for _ in 0..8 {
        world.accepted_job(world.submission().await?).await?;
    }
    world
        .until("scorer", "four Pods for eight jobs", |deployment: Option<&Deployment>| {
            deployment.is_some_and(|deployment| deployment.spec.replicas == Some(4))
        })
        .await?;
    operator.stop().await
}
