//! What the chart lets each service do in the cluster, and what not. That what it lets them do is enough, the other tests
//! show.

use anyhow::{Context, Result, ensure};
use e2e::installation::NAMESPACE;
use e2e::world::PATIENCE;
use e2e::{Installation, sources};
use serde_json::{Value, json};

use crate::TURN;
use crate::release::install;

/// May this account do that? Namespace "" is the cluster; a resource may be GROUP/RESOURCE, and RESOURCE:NAME one of them.
/// Accounts are the release's, but for those with a namespace of their own.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str, &str, bool)] = &[
    // A gateway makes resources of jobs, asks whose a token is, and that is all.
    ("gateway", "create", "assay.dev/scoringjobs", "assay", true),
    ("gateway", "get", "assay.dev/scoringjobs", "assay", true),
    ("gateway", "create", "assay.dev/scoringbatches", "assay", true),
    ("gateway", "create", "authentication.k8s.io/tokenreviews", "", true),
    ("gateway", "create", "assay.dev/scoringjobs", "default", false),
    ("gateway", "list", "assay.dev/scoringjobs", "assay", false),
    ("gateway", "patch", "assay.dev/scoringjobs", "assay", false),
    ("gateway", "delete", "assay.dev/scoringjobs", "assay", false),
    ("gateway", "patch", "assay.dev/scoringjobs/status", "assay", false),
    ("gateway", "get", "secrets", "assay", false),
    ("gateway", "list", "pods", "assay", false),
    ("gateway", "create", "pods", "assay", false),
    ("gateway", "get", "configmaps", "assay", false),
    ("gateway", "get", "coordination.k8s.io/leases", "assay", false),
    ("gateway", "create", "authorization.k8s.io/subjectaccessreviews", "", false),
    ("gateway", "create", "serviceaccounts/token", "assay", false),
    ("gateway", "impersonate", "users", "", false),
    // An operator keeps resources and their status, but makes none.
    ("operator", "list", "assay.dev/scoringjobs", "assay", true),
    ("operator", "watch", "assay.dev/scoringbatches", "assay", true),
    ("operator", "patch", "assay.dev/scoringjobs", "assay", true),
    ("operator", "delete", "assay.dev/scoringjobs", "assay", true),
    ("operator", "patch", "assay.dev/scoringjobs/status", "assay", true),
    ("operator", "create", "assay.dev/scoringjobs", "assay", false),
    ("operator", "deletecollection", "assay.dev/scoringjobs", "assay", false),
    ("operator", "list", "assay.dev/scoringjobs", "default", false),
    ("operator", "list", "assay.dev/scoringjobs", "", false),
    ("operator", "create", "events.k8s.io/events", "assay", true),
    ("operator", "create", "events.k8s.io/events", "default", false),
    ("operator", "create", "events", "assay", false),
    ("operator", "get", "apiextensions.k8s.io/customresourcedefinitions:scoringjobs.assay.dev", "", true),
    ("operator", "update", "apiextensions.k8s.io/customresourcedefinitions:scoringjobs.assay.dev", "", false),
    ("operator", "list", "apiextensions.k8s.io/customresourcedefinitions", "", false),
    // It leads by one Lease.
    ("operator", "update", "coordination.k8s.io/leases:assay-operator", "assay", true),
    ("operator", "update", "coordination.k8s.io/leases:another", "assay", false),
    ("operator", "delete", "coordination.k8s.io/leases:assay-operator", "assay", false),
    ("operator", "update", "coordination.k8s.io/leases:kube-scheduler", "kube-system", false),
    // It says what Pods of its namespace cost, and neither makes nor ends nor enters any.
    ("operator", "patch", "pods", "assay", true),
    ("operator", "patch", "pods", "kube-system", false),
    ("operator", "create", "pods", "assay", false),
    ("operator", "delete", "pods", "assay", false),
    ("operator", "create", "pods/eviction", "assay", false),
    ("operator", "create", "pods/exec", "assay", false),
    ("operator", "get", "pods/log", "assay", false),
    ("operator", "patch", "apps/deployments", "assay", false),
    ("operator", "update", "apps/deployments/scale", "assay", false),
    // It keeps one Secret, and one field of one APIService.
    ("operator", "update", "secrets:assay-external-metrics-tls", "assay", true),
    ("operator", "get", "secrets:assay-postgres", "assay", false),
    ("operator", "list", "secrets", "assay", false),
    ("operator", "get", "secrets", "kube-system", false),
    ("operator", "delete", "secrets:assay-external-metrics-tls", "assay", false),
    ("operator", "patch", "apiregistration.k8s.io/apiservices:v1beta1.external.metrics.k8s.io", "", true),
    ("operator", "patch", "apiregistration.k8s.io/apiservices:v1.apps", "", false),
    ("operator", "create", "apiregistration.k8s.io/apiservices", "", false),
    ("operator", "create", "authorization.k8s.io/subjectaccessreviews", "", true),
    ("operator", "get", "configmaps:extension-apiserver-authentication", "kube-system", true),
    ("operator", "get", "configmaps:coredns", "kube-system", false),
    ("operator", "get", "configmaps", "assay", false),
    ("operator", "create", "authentication.k8s.io/tokenreviews", "", false),
    ("operator", "create", "rbac.authorization.k8s.io/clusterrolebindings", "", false),
    ("operator", "escalate", "rbac.authorization.k8s.io/roles", "assay", false),
    ("operator", "list", "nodes", "", false),
    ("operator", "list", "namespaces", "", false),
    ("operator", "impersonate", "serviceaccounts", "assay", false),
    // A scorer, which runs what others have written, may nothing.
    ("scorer", "get", "assay.dev/scoringjobs", "assay", false),
    ("scorer", "create", "assay.dev/scoringjobs", "assay", false),
    ("scorer", "patch", "assay.dev/scoringjobs/status", "assay", false),
    ("scorer", "get", "secrets", "assay", false),
    ("scorer", "get", "configmaps", "assay", false),
    ("scorer", "list", "pods", "assay", false),
    ("scorer", "create", "pods", "assay", false),
    ("scorer", "get", "coordination.k8s.io/leases", "assay", false),
    ("scorer", "create", "authentication.k8s.io/tokenreviews", "", false),
    ("scorer", "get", "external.metrics.k8s.io/scoring_backlog", "assay", false),
    // Of the others, the autoscaler may ask for metrics.
    ("kube-system:horizontal-pod-autoscaler", "list", "external.metrics.k8s.io/scoring_backlog", "assay", true),
    ("assay:default", "list", "external.metrics.k8s.io/scoring_backlog", "assay", false),
    ("assay:default", "get", "secrets", "assay", false),
];

/// What the API server is asked about a row.
fn review(account: &str, verb: &str, resource: &str, namespace: &str) -> Value {
    let (home, name) = match account.split_once(':') {
        Some((home, name)) => (home, name.to_owned()),
        None => (NAMESPACE, format!("assay-{account}")),
    };
    let (resource, object) = resource.split_once(':').unwrap_or((resource, ""));
    // Only groups have dots in their names.
    let (group, resource) = match resource.split_once('/') {
        Some((group, resource)) if group.contains('.') || group == "apps" => (group, resource),
        _ => ("", resource),
    };
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": format!("system:serviceaccount:{home}:{name}"),
        "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{home}"), "system:authenticated"],
        "resourceAttributes": { "verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "name": object, "namespace": namespace },
    } })
}

#[tokio::test]
async fn each_service_may_do_what_it_needs_and_nothing_of_what_it_does_not() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let reviews: Vec<Value> = TABLE
        .iter()
        .map(|(account, verb, resource, namespace, _)| review(account, verb, resource, namespace))
        .collect();
    let reviews = json!({ "apiVersion": "v1", "kind": "List", "items": reviews });
    let answers = installation.create(&reviews, &["-o=jsonpath={.status.allowed}{'\\n'}"]).await?;

    let answers: Vec<bool> =
        answers.lines().map(str::parse).collect::<Result<_, _>>().context(answers.clone())?;
    ensure!(answers.len() == TABLE.len(), "{} answers to {} questions", answers.len(), TABLE.len());
    let wrong = TABLE.iter().zip(answers).filter(|((.., may), allowed)| may != allowed);
    let wrong: Vec<String> = wrong
        .map(|((account, verb, resource, namespace, _), allowed)| {
            format!(
                "{account} {} {verb} {resource} in {namespace:?}",
                if allowed { "may" } else { "may not" }
            )
        })
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn an_operator_that_would_delete_a_pod_is_refused() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let account = "--as=system:serviceaccount:assay:assay-operator";
    let refused =
        installation.kubectl(&["delete", "pod", "assay-postgres-0", "--dry-run=server", account]).await;
    let error = refused.err().context("it is not")?.to_string();
    ensure!(error.contains("(Forbidden)") && error.contains("cannot delete resource \"pods\""), "{error}");
    Ok(())
}

/// Where Kubernetes mounts a token, in the Pods of a component.
async fn tokens(installation: &Installation, component: &str) -> Result<Vec<String>> {
    let selector = format!("--selector=app.kubernetes.io/component={component}");
    let mounts = "-o=jsonpath={range .items[*]}{.metadata.name} {.spec.containers[*].volumeMounts[*].mountPath}{'\\n'}{end}";
    let pods = installation.kubectl(&["get", "pods", &selector, mounts]).await?;
    ensure!(!pods.trim().is_empty(), "there is no {component}");
    Ok(pods.lines().filter(|pod| pod.contains("/var/run/secrets/kubernetes.io")).map(str::to_owned).collect())
}

#[tokio::test]
async fn who_does_not_speak_to_the_api_server_has_no_token_for_it() -> Result<()> {
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    for component in ["scorer", "postgres", "redis"] {
        assert_eq!(tokens(&installation, component).await?, Vec::<String>::new());
    }
    // The same look finds those that are there.
    ensure!(!tokens(&installation, "operator").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_operator_of_all_namespaces_takes_up_what_is_asked_for_in_any() -> Result<()> {
    const ELSEWHERE: &str = "elsewhere";
    let _turn = TURN.lock().await;
    let installation = Installation::from_env()?;
    let elsewhere = installation.beside(ELSEWHERE);
    installation.kubectl(&["create", "namespace", ELSEWHERE]).await?;
    let scored = async {
        install(&["--set=operator.allNamespaces=true"]).await?;
        let submission = installation.reach().await?.api.submit(&sources::python(1)).await?;
        let job = json!({ "apiVersion": "assay.dev/v1alpha1", "kind": "ScoringJob", "metadata": { "name": "by-hand" },
            "spec": { "submissionId": submission } });
        elsewhere.create(&job, &[]).await?;
        let complete = ["--for=condition=Complete", &format!("--timeout={}s", PATIENCE.as_secs())];
        elsewhere.kubectl(&[&["wait", "scoringjob/by-hand"], &complete[..]].concat()).await
    }
    .await;
    // Deleted while somebody looks after it, as a person would.
    elsewhere.kubectl(&["delete", "scoringjobs", "--all", "--timeout=30s"]).await?;
    installation.kubectl(&["delete", "namespace", ELSEWHERE, "--timeout=60s"]).await?;
    install(&[]).await?;
    scored.map(drop)
}
