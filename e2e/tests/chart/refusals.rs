//! Wrong values are refused, with words that name the mistake.

use anyhow::{Result, ensure};
use e2e::chart::rendered;

async fn refused(set: &str, because: &[&str]) -> Result<()> {
    let arguments: Vec<&str> = set.split(' ').flat_map(|value| ["--set", value]).collect();
    let error = match rendered("assay", &arguments).await {
        Ok(_) => anyhow::bail!("{set} is taken"),
        Err(error) => error.to_string(),
    };
    for words in because {
        ensure!(error.contains(words), "{set} is refused without {words:?}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_value_or_of_the_wrong_form_is_refused_by_the_schema() -> Result<()> {
    for (set, because) in [
        ("gateway.replica=3", &["/gateway", "'replica' not allowed"] as &[&str]),
        ("gateway.replicas=three", &["/gateway/replicas", "want integer"]),
        ("gateway.replicas=0", &["/gateway/replicas", "got 0, want 1"]),
        ("gateway.drain.delay=5", &["/gateway/drain/delay", "got number, want string"]),
        ("gateway.drain.delay=5sec", &["/gateway/drain/delay", "'5sec' does not match pattern"]),
        ("scorer.pools.Fast.replicas=1", &["invalid propertyName 'Fast'"]),
        ("scorer.pools.fast.concurrency=501", &["/scorer/pools/fast/concurrency", "501"]),
        ("ingress.path=/a#b", &["/ingress/path", "'/a#b'"]),
        ("scorer.pools.fast.concurency=9", &["/scorer/pools/fast", "'concurency' not allowed"]),
        ("scorer.pools.default=null", &["/scorer/pools", "minProperties"]),
        ("gateway.rateLimits.addressReads=fast", &["/gateway/rateLimits/addressReads", "'fast'"]),
        (
            "gateway.auth.tokenReview.role=boss",
            &["/gateway/auth/tokenReview/role", "'learner', 'instructor', 'admin'"],
        ),
        ("image.pullPolicy=Sometimes", &["/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"]),
        ("gateway.service.port=70000", &["/gateway/service/port", "65,535"]),
        (
            "scorer.defaults.autoscaling.kind=vpa",
            &["/scorer/defaults/autoscaling/kind", "'none', 'hpa', 'keda'"],
        ),
        ("scorer.defaults.extraEnv[0].value=x", &["/scorer/defaults/extraEnv/0", "missing property 'name'"]),
    ] {
        refused(set, because).await?;
    }
    Ok(())
}

#[tokio::test]
async fn values_that_contradict_each_other_are_refused() -> Result<()> {
    for (set, because) in [
        ("postgres.existingSecret=db postgres.pooled=true", "postgres.pooled needs postgres.migrationUrlKey"),
        ("postgres.replicaUrlKey=replica", "give postgres.existingSecret"),
        ("redis.ca.secretName=ca", "give redis.existingSecret"),
        ("gateway.auth.jwks.url=https://issuer/keys", "needs gateway.auth.issuer and gateway.auth.audiences"),
        ("rbac.clusterScoped=false", "needs operator.allNamespaces=false"),
        (
            "rbac.clusterScoped=false operator.allNamespaces=false externalMetrics.enabled=true",
            "externalMetrics.enabled needs rbac.clusterScoped",
        ),
        (
            "scorer.pools.default.autoscaling.kind=hpa",
            "scorer.pools.default.autoscaling.kind=hpa needs externalMetrics.enabled",
        ),
        (
            "externalMetrics.enabled=true scorer.defaults.autoscaling.kind=hpa scorer.defaults.autoscaling.minReplicas=0",
            "scorer.pools.default.autoscaling.minReplicas=0 needs kind=keda",
        ),
        (
            "externalMetrics.enabled=true scorer.defaults.autoscaling.kind=hpa scorer.defaults.autoscaling.minReplicas=11",
            "minReplicas 11 is more than maxReplicas 10",
        ),
        ("scorer.defaults.autoscaling.kind=keda", "needs keda.prometheusUrl"),
        (
            "scorer.defaults.autoscaling.kind=keda keda.prometheusUrl=http://p externalMetrics.enabled=true",
            "exclude each other",
        ),
        ("httpRoute.enabled=true", "httpRoute.enabled needs httpRoute.parentRefs"),
        ("ingress.enabled=true ingress.tlsSecretName=tls", "ingress.tlsSecretName needs ingress.host"),
        ("ingress.enabled=true", "ingress.enabled would let everybody do everything"),
        ("httpRoute.enabled=true", "httpRoute.enabled would let everybody do everything"),
        (
            "gateway.service.type=LoadBalancer",
            "gateway.service.type=LoadBalancer would let everybody do everything",
        ),
        (
            "scorer.pools.default.grace=59s",
            "scorer.pools.default.grace 59s is shorter than its maxTimeout 60s",
        ),
        (
            "operator.retention.jobs=90d operator.retention.history=90d",
            "operator.retention.history has to be longer than operator.retention.jobs",
        ),
        (
            "operator.retention.submissions=90d",
            "operator.retention.submissions needs operator.retention.jobs",
        ),
        (
            "operator.retention.jobs=90d operator.retention.history=180d operator.retention.submissions=365d",
            "operator.retention.submissions is longer than operator.retention.history",
        ),
        (
            "gateway.extraEnv[0].name=ASSAY_POOLS gateway.extraEnv[0].value=x",
            "gateway.extraEnv sets ASSAY_POOLS, which the chart sets",
        ),
    ] {
        refused(set, &[because]).await?;
    }
    Ok(())
}
