//! `/healthz`, `/readyz` and `/metrics`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::Shutdown;

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// A check that takes longer counts as failed, so that a probe is always answered: within the second that a kubelet waits
/// by default, or it would report a timeout instead of the reason.
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);

/// What a service answers about itself. Checks run when they are asked for, so that the answer is the truth of that
/// moment.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
    metrics: Arc<Registry>,
    shutdown: Shutdown,
}

impl Health {
    /// Not ready once `shutdown` is requested; `metrics` are what `/metrics` shows.
    pub fn new(shutdown: Shutdown, metrics: Registry) -> Self {
        Health { checks: Vec::new(), metrics: Arc::new(metrics), shutdown }
    }

    /// Adds a condition of readiness; its error says in words what is missing.
    #[must_use]
    pub fn ready_when<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// `/healthz` and `/readyz`.
    pub fn probes(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .with_state(self)
    }

    /// `/metrics`.
    pub fn metrics(self) -> Router {
        Router::new().route("/metrics", get(metrics)).with_state(self)
    }
}

async fn readyz(State(health): State<Health>) -> Response {
    if health.shutdown.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let reports = join_all(health.checks.iter().map(|(name, check)| async move {
        let outcome = tokio::time::timeout(CHECK_TIMEOUT, check())
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {CHECK_TIMEOUT:?}")));
        (*name, outcome)
    }))
    .await;
    let ready = reports.iter().all(|(_, outcome)| outcome.is_ok());
    let body: String = reports
        .into_iter()
        .map(|(name, outcome)| match outcome {
            Ok(()) => format!("{name}: ok\n"),
            Err(reason) => format!("{name}: {reason}\n"),
        })
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, body).into_response()
}

async fn metrics(State(health): State<Health>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &health.metrics) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Serves `/healthz`, `/readyz` and `/metrics` on a port of their own until the process ends, also while it drains.
pub async fn serve_health(listener: TcpListener, health: Health) {
    if let Err(error) = axum::serve(listener, health.clone().probes().merge(health.metrics())).await {
        tracing::error!(%error, "health and metrics are no longer served");
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_check_that_hangs_is_answered_within_the_second_that_a_kubelet_waits() {
        let health = Health::new(Shutdown::default(), Registry::default())
            .ready_when("good", || async { Ok(()) })
            .ready_when("silent", pending);
        let begun = Instant::now();
        let answer = readyz(State(health)).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(answer.into_body(), 1000).await.expect("a body");
        assert_eq!(body, "good: ok\nsilent: no answer within 800ms\n");
    }
}
