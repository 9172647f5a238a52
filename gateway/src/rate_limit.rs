//! How much one client may ask, and one caller.
//!
//! Clients are told apart by their address, before anybody has asked who they are: guessing tokens is limited, too.
//! Callers are told apart by tenant and subject, once authentication has said who they are. A limit holds for all
//! gateways together, since Redis keeps it; while Redis is away or slow, each gateway keeps it alone.

mod advance;
mod fields;
mod limiter;
mod settings;
mod shared;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use queue::QueueError;
use tracing::warn;

use crate::app::App;
use crate::caller::Caller;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::proxies;
use crate::server::{Client, Peer};

use limiter::{Limiter, Verdict};
use shared::Shared;

pub use settings::RateLimitFlags;

/// All limits of a gateway.
pub(crate) struct RateLimits {
    address: Kind,
    subject: Kind,
    trusted_proxies: Vec<IpNet>,
    metrics: Metrics,
}

/// The limits of those who are told apart in one way.
struct Kind {
    name: &'static str,
    reads: Limiter,
    writes: Limiter,
}

impl RateLimits {
    /// As the settings have it, kept by this Redis.
    ///
    /// # Errors
    /// When the URL names none.
    pub(crate) fn start(
        settings: &RateLimitFlags,
        trusted_proxies: Vec<IpNet>,
        redis_url: Option<&str>,
        metrics: Metrics,
    ) -> Result<RateLimits, QueueError> {
        let shared = match redis_url {
            Some(url) => Some(Arc::new(Shared::start(url, &metrics)?)),
            None => {
                warn!("ASSAY_REDIS_URL is not set: rate limits hold for each gateway alone");
                None
            }
        };
        let limiter = |name, rate| Limiter::new(name, rate, shared.clone(), metrics.clone());
        Ok(RateLimits {
            address: Kind {
                name: "address",
                reads: limiter("address-reads", settings.rate_address_reads),
                writes: limiter("address-writes", settings.rate_address_writes),
            },
            subject: Kind {
                name: "subject",
                reads: limiter("subject-reads", settings.rate_subject_reads),
                writes: limiter("subject-writes", settings.rate_subject_writes),
            },
            trusted_proxies,
            metrics,
        })
    }
}

impl Kind {
    fn limiter(&self, method: &Method) -> &Limiter {
        if method.is_safe() { &self.reads } else { &self.writes }
    }
}

/// Notes whose request it is, by where it comes from.
pub(crate) fn identify(app: &App, mut request: Request) -> Request {
    if let Some(peer) = request.extensions().get::<Peer>().copied() {
        let address = proxies::client(peer.address, request.headers(), &app.rate_limits.trusted_proxies);
        request.extensions_mut().insert(Client::of(address));
    }
    request
}

/// Lets a request through if its client has not asked too much.
pub(crate) async fn by_address<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let limits = &app.rate_limits;
    let Some(client) = request.extensions().get::<Client>().copied() else {
        return next(request).await;
    };
    hold(limits, &limits.address, &client.to_string(), request, next).await
}

/// Lets a request through if its caller has not asked too much. While nobody is told apart, their addresses are all that
/// there is to go by.
pub(crate) async fn by_subject<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let caller = request.extensions().get::<Caller>().filter(|_| app.authentication.is_some());
    let Some(name) = caller.map(Caller::key) else {
        return next(request).await;
    };
    let limits = &app.rate_limits;
    hold(limits, &limits.subject, &name, request, next).await
}

async fn hold<F: Future<Output = Response>>(
    limits: &RateLimits,
    kind: &Kind,
    name: &str,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let limiter = kind.limiter(request.method());
    let verdict = limiter.ask(name).await;
    let mut response = if verdict.allowed {
        next(request).await
    } else {
        limits.metrics.rate_limited(limiter.name());
        refused(kind, limiter, verdict)
    };
    fields::tell(response.headers_mut(), limiter, verdict);
    response
}

fn refused(kind: &Kind, limiter: &Limiter, verdict: Verdict) -> Response {
    let seconds = whole_seconds(limiter.rate().until_next(verdict.ahead_us)).max(1);
    let detail = format!("Too many requests of this {}. Ask again in {seconds} s.", kind.name);
    let mut response = Problem::new(Code::RateLimited, detail).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Rounded up: whoever waits as long as they are told does not wait in vain.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Role;

    #[test]
    fn no_two_callers_share_a_limit() {
        let of = |tenant: &str, name: &str| {
            Caller { tenant: tenant.to_owned(), subject: name.to_owned(), role: Role::Learner }.key()
        };
        assert_ne!(of("a", "b:c"), of("a:b", "c"));
        assert_eq!(of("a", "b"), of("a", "b"));
    }

    #[test]
    fn seconds_to_wait_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
    }
}
