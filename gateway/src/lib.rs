//! The gateway takes submissions and requests for scores over HTTP and records them in Postgres; that alone is on a
//! request's path. Behind it, the [relay](mod@relay) turns recorded jobs into custom resources.
//!
//! It starts and serves without Kubernetes, and starts without Postgres too, answering 503 until that is there.

mod accept;
mod app;
mod authentication;
mod caller;
mod cluster;
mod extract;
mod knobs;
mod leaving;
mod metrics;
mod observe;
mod page;
mod pools;
mod problem;
mod relay;
mod repeat;
mod router;
mod routes;
mod run;
mod schema;
mod server;
mod settings;
mod traceparent;
mod ui;

pub use authentication::{AuthenticationContradiction, AuthenticationFlags, MintFlags};
pub use run::{Listeners, run};
pub use server::{ServerArgs, ServerContradiction};
pub use settings::{Contradiction, Settings};
