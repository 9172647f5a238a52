//! What the gateway counts. Label values come from closed sets, so that no client can make up new ones.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use runtime::CommitMetrics;
use runtime::metrics::{Dependencies, Histograms, of_calls, of_sizes};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    kind: ResourceKind,
}

/// The kind of a custom resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum ResourceKind {
    ScoringJob,
    ScoringBatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decider {
    by: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waiting {
    state: &'static str,
}

/// Everything counted.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<Request, Counter>,
    durations: Histograms<Request>,
    /// Of the commits that accept single jobs.
    pub(crate) accepts: CommitMetrics,
    created: Family<Resource, Counter>,
    refused: Family<Resource, Counter>,
    backlog: Gauge,
    live: Gauge<u64, AtomicU64>,
    /// What it depends on.
    pub(crate) dependencies: Dependencies,
    connections: Gauge,
    connections_refused: Family<Reason, Counter>,
    connections_timed_out: Family<Waiting, Counter>,
    in_flight: Gauge,
    shed: Family<What, Counter>,
    rate_limited: Family<Limit, Counter>,
    rate_decided: Family<Decider, Counter>,
    tls_reloads: Family<Outcome, Counter>,
    /// Requests that wait for a job or a batch to change.
    pub(crate) watchers: Gauge,
}

impl Metrics {
    /// Registers everything under the names that `/metrics` shows.
    pub(crate) fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics {
            requests: Family::default(),
            durations: Family::new_with_constructor(of_calls),
            accepts: CommitMetrics { sizes: of_sizes(), waits: of_calls() },
            created: Family::default(),
            refused: Family::default(),
            backlog: Gauge::default(),
            live: Gauge::default(),
            dependencies: Dependencies::default(),
            connections: Gauge::default(),
            connections_refused: Family::default(),
            connections_timed_out: Family::default(),
            in_flight: Gauge::default(),
            shed: Family::default(),
            rate_limited: Family::default(),
            rate_decided: Family::default(),
            tls_reloads: Family::default(),
            watchers: Gauge::default(),
        };
        // All of them from the start, so that a rate is known from the first on.
        for kind in [ResourceKind::ScoringJob, ResourceKind::ScoringBatch] {
            metrics.created(kind, 0);
            metrics.refused.get_or_create(&Resource { kind }).inc_by(0);
        }
        for reason in ["full", "address"] {
            metrics.connections_refused.get_or_create(&Reason { reason }).inc_by(0);
        }
        for state in ["idle", "handshake", "header", "stalled"] {
            metrics.connections_timed_out.get_or_create(&Waiting { state }).inc_by(0);
        }
        for what in ["request", "body", "stream", "answer", "search"] {
            metrics.shed.get_or_create(&What { what }).inc_by(0);
        }
        for limit in ["address-reads", "address-writes", "subject-reads", "subject-writes"] {
            metrics.rate_limited.get_or_create(&Limit { limit }).inc_by(0);
        }
        for by in ["redis", "gateway"] {
            metrics.rate_decided.get_or_create(&Decider { by }).inc_by(0);
        }
        for outcome in ["used", "refused"] {
            metrics.tls_reloads.get_or_create(&Outcome { outcome }).inc_by(0);
        }
        let registry = registry.sub_registry_with_prefix("assay_gateway");
        registry.register(
            "requests",
            "Requests answered, by the route's template and the class of the status",
            metrics.requests.clone(),
        );
        registry.register(
            "request_duration_seconds",
            "How long requests took to be answered, by the route's template and the class of the status",
            metrics.durations.clone(),
        );
        registry.register("accept_batch_jobs", "Jobs in one commit", metrics.accepts.sizes.clone());
        registry.register(
            "accept_wait_seconds",
            "How long jobs waited for their commit to begin",
            metrics.accepts.waits.clone(),
        );
        registry.register("relay_created", "Custom resources created", metrics.created.clone());
        registry.register(
            "relay_refused",
            "Custom resources that the API server refused to create",
            metrics.refused.clone(),
        );
        registry.register(
            "relay_backlog_jobs",
            "Jobs that wait for a custom resource, counted to 100000, as last seen by this gateway's relay",
            metrics.backlog.clone(),
        );
        registry.register(
            "relay_live_jobs",
            "Jobs that have a ScoringJob, as last seen by this gateway's relay",
            metrics.live.clone(),
        );
        metrics.dependencies.register(registry);
        registry.register("connections", "Connections that are open", metrics.connections.clone());
        registry.register(
            "connections_refused",
            "Connections that were closed at once: the gateway has as many as it may, or their address does",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "connections_timed_out",
            "Connections that were ended: without a request, in a TLS handshake, in a head, or with an answer that nobody takes",
            metrics.connections_timed_out.clone(),
        );
        registry.register("in_flight_requests", "Requests that are worked on", metrics.in_flight.clone());
        registry.register(
            "shed",
            "Requests, bodies and streams that were refused since there was too much to do",
            metrics.shed.clone(),
        );
        registry.register(
            "rate_limited",
            "Requests that were refused by a rate limit",
            metrics.rate_limited.clone(),
        );
        registry.register(
            "rate_decisions",
            "Requests that were held against a rate limit, by whoever decided: Redis for all gateways, or this one alone",
            metrics.rate_decided.clone(),
        );
        registry.register(
            "tls_reloads",
            "Changes of the certificate's files, by what became of them",
            metrics.tls_reloads.clone(),
        );
        registry.register(
            "watchers",
            "Requests that wait for a job or a batch to change, be it with a stream of events",
            metrics.watchers.clone(),
        );
        metrics
    }

    /// So many requests are worked on.
    pub(crate) fn in_flight(&self, requests: usize) {
        self.in_flight.set(i64::try_from(requests).unwrap_or(i64::MAX));
    }

    /// Something was refused because there was too much to do: a `request`, a `body`, a
    /// `stream`, an `answer` or a `search`.
    pub(crate) fn shed(&self, what: &'static str) {
        self.shed.get_or_create(&What { what }).inc();
    }

    /// A request was refused by the limit of this name.
    pub(crate) fn rate_limited(&self, limit: &'static str) {
        self.rate_limited.get_or_create(&Limit { limit }).inc();
    }

    /// So many requests were held against a limit by `redis`, or by this `gateway` alone.
    pub(crate) fn rate_decided(&self, by: &'static str, requests: usize) {
        self.rate_decided.get_or_create(&Decider { by }).inc_by(u64::try_from(requests).unwrap_or(u64::MAX));
    }

    /// The files of the certificate changed: what they have now was `used` or `refused`.
    pub(crate) fn tls_reloaded(&self, outcome: &'static str) {
        self.tls_reloads.get_or_create(&Outcome { outcome }).inc();
    }

    /// So many connections are open.
    pub(crate) fn connections(&self, open: usize) {
        self.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A connection was not taken: the gateway is `full`, or its `address` has as many as it may.
    pub(crate) fn connection_refused(&self, reason: &'static str) {
        self.connections_refused.get_or_create(&Reason { reason }).inc();
    }

    /// A connection was too long in a state: `idle`, `handshake`, `header` or `stalled`.
    pub(crate) fn connection_timed_out(&self, state: &'static str) {
        self.connections_timed_out.get_or_create(&Waiting { state }).inc();
    }

    /// A request was answered, so long after it had come; `None`: as late as its client wished.
    pub(crate) fn answered(
        &self,
        method: &Method,
        route: &'static str,
        status: StatusCode,
        took: Option<Duration>,
    ) {
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            "DELETE" => "DELETE",
            _ => "other",
        };
        let status = match status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            5 => "5xx",
            _ => "other",
        };
        let request = Request { method, route, status };
        self.requests.get_or_create(&request).inc();
        if let Some(took) = took {
            self.durations.get_or_create(&request).observe(took.as_secs_f64());
        }
    }

    /// So many resources were created.
    pub(crate) fn created(&self, kind: ResourceKind, number: usize) {
        self.created.get_or_create(&Resource { kind }).inc_by(u64::try_from(number).unwrap_or(u64::MAX));
    }

    /// A resource was refused.
    pub(crate) fn refused(&self, kind: ResourceKind) {
        self.refused.get_or_create(&Resource { kind }).inc();
    }

    /// So many jobs wait for a resource, and so many have one of their own.
    pub(crate) fn relay(&self, waiting: u64, live: u64) {
        self.backlog.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.live.set(live);
    }
}
