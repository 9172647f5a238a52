//! What there is to ask for.

use serde_json::{Value, json};

/// The group of the API.
pub(super) const GROUP: &str = "external.metrics.k8s.io";

/// The version of the API.
pub(super) const VERSION: &str = "v1beta1";

/// A metric by pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// Jobs that are left to do now.
    Backlog,
    /// For how long the oldest job has waited that could be worked on.
    OldestJobAge,
    /// Which part of the scorers' slots is occupied.
    BusyRatio,
}

impl Metric {
    /// All there are.
    pub(super) const ALL: [Metric; 3] = [Metric::Backlog, Metric::OldestJobAge, Metric::BusyRatio];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Metric::Backlog => "scoring_backlog",
            Metric::OldestJobAge => "scoring_oldest_job_age_seconds",
            Metric::BusyRatio => "scoring_busy_ratio",
        }
    }
}

/// `/apis`
pub(super) fn groups() -> Value {
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [named_group()] })
}

/// `/apis/external.metrics.k8s.io`
pub(super) fn group() -> Value {
    let mut group = named_group();
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    group
}

fn named_group() -> Value {
    let version = json!({ "groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION });
    json!({ "name": GROUP, "versions": [version], "preferredVersion": version })
}

/// `/apis/external.metrics.k8s.io/v1beta1`
pub(super) fn resources() -> Value {
    let resources: Vec<Value> = Metric::ALL
        .iter()
        .map(|metric| {
            json!({
                "name": metric.name(),
                "singularName": "",
                "namespaced": true,
                "kind": "ExternalMetricValueList",
                "verbs": ["get"],
            })
        })
        .collect();
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": resources,
    })
}

/// `/openapi/v2`: what the API server merges into its own. It describes nothing, since nobody creates anything here.
pub(super) fn openapi_v2() -> Value {
    json!({ "swagger": "2.0", "info": info(), "paths": {} })
}

/// `/openapi/v3`
pub(super) fn openapi_v3() -> Value {
    let path = format!("apis/{GROUP}/{VERSION}");
    let document = json!({ "serverRelativeURL": format!("/openapi/v3/{path}") });
    json!({ "paths": { path: document } })
}

/// `/openapi/v3/apis/external.metrics.k8s.io/v1beta1`
pub(super) fn openapi_v3_document() -> Value {
    json!({ "openapi": "3.0.0", "info": info(), "paths": {} })
}

fn info() -> Value {
    json!({ "title": "Assay: external metrics", "version": VERSION })
}
