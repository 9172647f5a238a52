//! Requests: who asks, whether they may, and the answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use domain::Pool;
use kube::Client;
use runtime::in_full;
use rustls::pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::access::{Access, Wanted};
use super::caller::identify;
use super::discovery::{self, GROUP, Metric, VERSION};
use super::quantity::canonical;
use super::readings::{Reading, Readings};
use super::refusal::Refusal;
use super::selector::Selector;
use super::server::Shown;
use super::trust::Trust;
use crate::metrics::Metrics;

/// What answering takes.
pub(super) struct Answering {
    pub(super) client: Client,
    pub(super) readings: Readings,
    /// The pools that are known.
    pub(super) pools: watch::Receiver<Vec<Pool>>,
    /// Whose namespaces they are. In others, there are no values: they may have an Assay of their own.
    pub(super) namespaces: Vec<String>,
    /// Whom to believe; `None` until the API server has said it.
    pub(super) trust: watch::Receiver<Option<Arc<Trust>>>,
    pub(super) access: Access,
    pub(super) metrics: Metrics,
}

/// Everything that is answered.
pub(super) fn router(answering: Answering) -> Router {
    let state = Arc::new(answering);
    let group = format!("/apis/{GROUP}");
    let version = format!("{group}/{VERSION}");
    Router::new()
        .route("/apis", get(|| async { Json(discovery::groups()) }))
        .route(&group, get(|| async { Json(discovery::group()) }))
        .route(&version, get(|| async { Json(discovery::resources()) }))
        .route(&format!("{version}/namespaces/{{namespace}}/{{metric}}"), get(values))
        .route("/openapi/v2", get(|| async { Json(discovery::openapi_v2()) }))
        .route("/openapi/v3", get(|| async { Json(discovery::openapi_v3()) }))
        .route(&format!("/openapi/v3{version}"), get(|| async { Json(discovery::openapi_v3_document()) }))
        .fallback(|uri: Uri| async move { Refusal::not_found(format!("there is nothing at {}", uri.path())) })
        .method_not_allowed_fallback(|method: Method| async move {
            Refusal::method_not_allowed(format!("metrics can be read, and {method} does something else"))
        })
        .layer(from_fn_with_state(state.clone(), let_in))
        // For whoever probes: as with the API server itself, nobody needs to say who they are, and learns nothing else.
        .route("/healthz", get(healthy))
        .route("/livez", get(healthy))
        .route("/readyz", get(healthy))
        .with_state(state)
}

/// Who gets an answer has been accepted over TLS, so there is a certificate.
async fn healthy() -> &'static str {
    "ok"
}

/// Lets in who has proved to be somebody, and may.
async fn let_in(
    State(answering): State<Arc<Answering>>,
    Extension(Shown(chain)): Extension<Shown>,
    request: Request,
    next: Next,
) -> Response {
    let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
    let answer = match answering.admit(&chain, &headers, &path).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    answering.metrics.external_request(answer.status().as_u16());
    answer
}

impl Answering {
    async fn admit(
        &self,
        chain: &[CertificateDer<'static>],
        headers: &HeaderMap,
        path: &str,
    ) -> Result<(), Refusal> {
        if chain.is_empty() {
            return Err(Refusal::unauthorized());
        }
        let trust = self.trust.borrow().clone();
        let trust =
            trust.ok_or_else(|| Refusal::unavailable("it is not known yet whose callers to believe"))?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since_1970);
        let caller = identify(&trust, chain, headers, now).ok_or_else(Refusal::unauthorized)?;
        // No name here needs one, and a right to what is written otherwise must not be one to what is meant.
        if path.contains('%') {
            return Err(Refusal::not_found("there is nothing at a path with '%'"));
        }
        let wanted = wanted(path);
        match self.access.may(&self.client, &caller, &wanted).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::forbidden(denial(&caller.user, &wanted))),
            Err(error) => Err(Refusal::unavailable(format!(
                "whether {:?} may is not known: {}",
                caller.user,
                in_full(&error)
            ))),
        }
    }

    /// The values of a metric of all pools that are selected.
    async fn values(
        &self,
        namespace: &str,
        metric: Metric,
        selector: &Selector,
    ) -> Result<Vec<Value>, Refusal> {
        let mut values = Vec::new();
        if !self.namespaces.iter().any(|ours| ours == namespace) {
            return Ok(values);
        }
        let pools = self.pools.borrow().clone();
        for pool in pools {
            if !selector.matches(|key| (key == "pool").then_some(pool.as_str())) {
                continue;
            }
            let reading = self.readings.of(&pool).await;
            let reading = reading.map_err(|unknown| Refusal::unavailable(in_full(&unknown)))?;
            values.push(item(metric, &pool, &reading)?);
        }
        Ok(values)
    }
}

async fn values(
    State(answering): State<Arc<Answering>>,
    Path((namespace, metric)): Path<(String, String)>,
    parameters: Result<Query<HashMap<String, String>>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(parameters) = parameters.map_err(|error| Refusal::bad_request(error.body_text()))?;
    let metric = Metric::ALL
        .into_iter()
        .find(|known| known.name() == metric)
        .ok_or_else(|| Refusal::not_found(format!("there is no metric {metric:?}; {}", there_are())))?;
    if parameters.get("watch").is_some_and(|watch| watch != "false" && watch != "0") {
        return Err(Refusal::method_not_allowed("metrics can be read and not watched"));
    }
    let selector = parameters.get("labelSelector").map_or("", String::as_str);
    let selector = Selector::parse(selector).map_err(|error| Refusal::bad_request(error.to_string()))?;
    let items = answering.values(&namespace, metric, &selector).await?;
    Ok(Json(json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "metadata": {},
        "items": items,
    })))
}

fn item(metric: Metric, pool: &Pool, reading: &Reading) -> Result<Value, Refusal> {
    let thousandths = match metric {
        Metric::Backlog => u128::from(reading.backlog) * 1000,
        Metric::OldestJobAge => reading.oldest_age.as_millis(),
        Metric::BusyRatio => reading.busy_thousandths.map(u128::from).ok_or_else(|| {
            Refusal::unavailable(format!("no scorer of the pool {pool} has been heard of lately"))
        })?,
    };
    Ok(json!({
        "metricName": metric.name(),
        "metricLabels": { "pool": pool },
        // To the second, as Kubernetes writes times.
        "timestamp": reading.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "value": canonical(thousandths),
    }))
}

fn there_are() -> String {
    format!("there are {}", Metric::ALL.map(Metric::name).join(", "))
}

/// What a path stands for in the eyes of who decides about rights.
fn wanted(path: &str) -> Wanted {
    let inside = path.strip_prefix(&format!("/apis/{GROUP}/{VERSION}/namespaces/"));
    match inside.and_then(|rest| rest.split_once('/')) {
        Some((namespace, metric)) => {
            Wanted::Metric { namespace: namespace.to_owned(), metric: metric.to_owned() }
        }
        None => Wanted::Path(path.to_owned()),
    }
}

fn denial(user: &str, wanted: &Wanted) -> String {
    match wanted {
        Wanted::Metric { namespace, metric } => format!(
            "User {user:?} cannot list resource {metric:?} in API group {GROUP:?} in the namespace {namespace:?}"
        ),
        Wanted::Path(path) => format!("User {user:?} cannot get path {path:?}"),
    }
}
