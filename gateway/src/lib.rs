//! The gateway takes submissions and requests for scores over HTTP and records them in Postgres; that alone is on a
//! request's path. Behind it, the [relay](mod@relay) turns recorded jobs into custom resources.
//!
//! It starts and serves without Kubernetes, and starts without Postgres too, answering 503 until that is there.

mod accept;
mod access;
mod answers;
mod app;
mod authentication;
mod caller;
mod check;
mod cluster;
mod compression;
mod conditions;
mod cross_origin;
mod events;
mod extract;
mod idempotency;
mod knobs;
mod leaving;
mod metrics;
mod observe;
pub mod openapi;
mod overload;
mod page;
mod pools;
mod prefer;
mod problem;
mod proxies;
mod quota;
mod rate_limit;
mod relay;
mod repeat;
mod request_limits;
mod router;
mod routes;
mod run;
mod schema;
mod security_headers;
mod server;
mod settings;
mod shares;
mod traceparent;
mod ui;
mod whole;

pub use authentication::{
    AuthenticationContradiction, AuthenticationFlags, JwksContradiction, MintFlags,
    ServiceAccountContradiction,
};
pub use check::CheckFlags;
pub use cross_origin::CrossOriginFlags;
pub use events::EventFlags;
pub use idempotency::IdempotencyFlags;
pub use overload::{OverloadContradiction, OverloadFlags};
pub use proxies::ProxyFlags;
pub use quota::QuotaFlags;
pub use rate_limit::RateLimitFlags;
pub use run::{Listeners, run};
pub use server::{ServerContradiction, ServerFlags, TlsFlags};
pub use settings::{Contradiction, Settings};
