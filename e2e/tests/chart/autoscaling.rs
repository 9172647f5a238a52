//! What autoscalers are told.

use anyhow::{Result, ensure};
use e2e::chart::rendered;
use serde_json::json;

const HPA: &str = "externalMetrics.enabled=true,scorer.defaults.autoscaling.kind=hpa";

#[tokio::test]
async fn a_scorer_is_asked_for_as_many_jobs_as_it_works_off_in_the_target_time() -> Result<()> {
    for (pool, jobs) in [
        // Five at a time, each 1 s, within 60 s.
        ("replicas=1", "300"),
        ("concurrency=8\\,autoscaling.expectedJobSeconds=0.5", "960"),
        ("autoscaling.targetDrainSeconds=120\\,autoscaling.expectedJobSeconds=7", "85"),
        // Never none: the backlog would be divided by it.
        ("concurrency=1\\,autoscaling.expectedJobSeconds=300", "1"),
    ] {
        let own = pool.split("\\,").map(|value| format!("scorer.pools.default.{value}")).collect::<Vec<_>>();
        let rendered = rendered("assay", &["--set", HPA, "--set-json", &own.join(",")]).await?;
        let scaler = rendered.object("HorizontalPodAutoscaler", "assay-scorer-default")?;
        let backlog = &scaler["spec"]["metrics"][0]["external"];
        assert_eq!(
            backlog["metric"],
            json!({"name": "scoring_backlog", "selector": {"matchLabels": {"pool": "default"}}})
        );
        assert_eq!(backlog["target"], json!({"type": "AverageValue", "averageValue": jobs}), "{pool}");
    }
    Ok(())
}

#[tokio::test]
async fn who_is_scaled_by_another_has_no_number_of_replicas() -> Result<()> {
    let keda = "keda.prometheusUrl=http://p,scorer.defaults.autoscaling.kind=keda,scorer.defaults.autoscaling.minReplicas=0";
    for (set, kind) in [(HPA, "HorizontalPodAutoscaler"), (keda, "ScaledObject")] {
        let set = format!("{set},scorer.pools.fixed.autoscaling.kind=none,gateway.autoscaling.enabled=true");
        let rendered = rendered("assay", &["--set", &set]).await?;
        let replicas =
            |name: &str| anyhow::Ok(rendered.object("Deployment", name)?["spec"]["replicas"].clone());
        ensure!(replicas("assay-scorer-default")?.is_null() && replicas("assay-gateway")?.is_null());
        assert_eq!(replicas("assay-scorer-fixed")?, json!(1));
        let target = &rendered.object(kind, "assay-scorer-default")?["spec"]["scaleTargetRef"]["name"];
        assert_eq!(target, "assay-scorer-default");
        ensure!(rendered.object(kind, "assay-scorer-fixed").is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_release_without_external_metrics_leaves_their_api_to_others() -> Result<()> {
    ensure!(rendered("assay", &[]).await?.of_kind("APIService").next().is_none());
    let rendered = rendered("assay", &["--set", HPA]).await?;
    let service = rendered.object("APIService", "v1beta1.external.metrics.k8s.io")?;
    ensure!(
        service["spec"].get("caBundle").is_none(),
        "an upgrade would take away what the operator has put there"
    );
    Ok(())
}
