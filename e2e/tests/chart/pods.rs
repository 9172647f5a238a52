//! What Pods are made of.

use anyhow::{Context, Result, ensure};
use e2e::chart::rendered;
use serde_json::{Value, json};

fn pod<'r>(rendered: &'r e2e::chart::Rendered, deployment: &str) -> Result<&'r Value> {
    Ok(&rendered.object("Deployment", deployment)?["spec"]["template"]["spec"])
}

#[tokio::test]
async fn pods_are_given_the_time_that_their_services_take_to_stop() -> Result<()> {
    let set = "gateway.drain.delay=1500ms,gateway.drain.grace=2m,scorer.pools.graders.grace=1h";
    let rendered = rendered("assay", &["--set", set]).await?;
    for (deployment, seconds) in [
        ("assay-gateway", 2 + 120 + 10),
        ("assay-scorer-default", 90 + 15),
        ("assay-scorer-graders", 3600 + 15),
    ] {
        assert_eq!(
            pod(&rendered, deployment)?["terminationGracePeriodSeconds"],
            json!(seconds),
            "{deployment}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn only_what_speaks_to_kubernetes_has_a_token() -> Result<()> {
    let rendered = rendered("assay", &[]).await?;
    assert_eq!(pod(&rendered, "assay-scorer-default")?["automountServiceAccountToken"], json!(false));
    for set in rendered.of_kind("StatefulSet") {
        assert_eq!(set["spec"]["template"]["spec"]["automountServiceAccountToken"], json!(false));
    }
    let subjects: Vec<&Value> = ["RoleBinding", "ClusterRoleBinding"]
        .into_iter()
        .flat_map(|kind| rendered.of_kind(kind))
        .flat_map(|binding| binding["subjects"].as_array().into_iter().flatten())
        .collect();
    ensure!(subjects.len() > 3 && subjects.iter().all(|subject| subject["name"] != "assay-scorer"));
    Ok(())
}

#[tokio::test]
async fn a_probe_that_restarts_asks_nothing_of_postgres_or_redis() -> Result<()> {
    let rendered = rendered("assay", &[]).await?;
    for deployment in rendered.of_kind("Deployment") {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        for probe in ["livenessProbe", "startupProbe"] {
            assert_eq!(container[probe]["httpGet"]["path"], "/healthz");
        }
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
        // A rollout never takes away what serves before there is more.
        assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], json!(0));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_pool_sets_itself_stands_above_the_defaults() -> Result<()> {
    let set = "scorer.defaults.nodeSelector.disk=ssd,scorer.pools.gpu.nodeSelector.gpu=a100,\
               scorer.pools.gpu.resources.limits.memory=8Gi";
    let rendered = rendered("assay", &["--set", set]).await?;
    let gpu = pod(&rendered, "assay-scorer-gpu")?;
    assert_eq!(gpu["nodeSelector"], json!({"disk": "ssd", "gpu": "a100"}));
    let resources = &gpu["containers"][0]["resources"];
    assert_eq!(resources["limits"]["memory"], "8Gi");
    assert_eq!(resources["requests"]["memory"], "256Mi", "the rest is that of the defaults");
    let other = pod(&rendered, "assay-scorer-default")?;
    assert_eq!(other["nodeSelector"], json!({"disk": "ssd"}));
    let limits = other["containers"][0]["resources"]["limits"].as_object().context("limits")?;
    assert_eq!(limits["memory"], "2Gi");
    Ok(())
}

#[tokio::test]
async fn pods_are_of_the_user_that_is_chosen_or_of_the_platform_s() -> Result<()> {
    for (set, user) in [("runAsUser=1234", json!(1234)), ("runAsUser=null", Value::Null)] {
        let rendered = rendered("assay", &["--set", set]).await?;
        let check = &rendered.object("Pod", "assay-test")?["spec"];
        for deployment in ["assay-gateway", "assay-operator", "assay-scorer-default"] {
            for pod in [pod(&rendered, deployment)?, check] {
                assert_eq!(pod["securityContext"]["runAsUser"], user);
                assert_eq!(pod["securityContext"]["runAsNonRoot"], json!(true));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_service_account_may_have_an_identity_outside_of_the_cluster() -> Result<()> {
    let (given, services) = (json!({"iam.example.org/role": "grader"}), ["gateway", "operator", "scorer"]);
    let set = services
        .map(|service| format!("{service}.serviceAccountAnnotations.iam\\.example\\.org/role=grader"));
    let rendered = rendered("assay", &["--set", &set.join(",")]).await?;
    for service in services {
        let account = rendered.object("ServiceAccount", &format!("assay-{service}"))?;
        assert_eq!(account["metadata"]["annotations"], given);
    }
    Ok(())
}
