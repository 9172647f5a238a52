//! Real servers for tests and for the `dev` tool: Postgres, Redis, a Kubernetes control plane, and whole Assay stacks.
//!
//! Nothing here is a mock, and nothing touches a server that a person already runs: every server listens on a
//! free loopback port, keeps its data in a folder of its own, and is signalled only by its own pid. Servers
//! started for tests end when the test process does, in whatever way that happens.
//!
//! Linux only: a process is told apart from a later one with the same pid by its start time in `/proc`.

mod account;
mod control_plane;
mod credentials;
mod folder;
mod front_proxy;
mod kubernetes;
mod launch;
mod link;
mod place;
mod ports;
mod postgres;
mod process;
pub mod readiness;
mod redis;
mod redis_cluster;
mod sentinels;
mod server;
mod servers;
mod service;
mod shared;
mod stack;
mod stack_builder;
mod wait;

pub use account::Account;
pub use control_plane::{ControlPlane, ControlPlaneOptions, control_plane_binaries, kubectl_path};
pub use credentials::Credentials;
pub use folder::{TempFolder, cache_folder};
pub use front_proxy::FrontProxy;
pub use kubernetes::Kubernetes;
pub use launch::{Launch, Lifetime};
pub use link::{Link, Links, Weather};
pub use place::Place;
pub use ports::free_port;
pub use postgres::{Postgres, PostgresOptions, StopMode};
pub use process::{Process, Signal};
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use sentinels::Sentinels;
pub use server::Server;
pub use servers::{Given, Servers};
pub use service::{Service, program_folder};
pub use shared::{
    fresh_database, fresh_database_on, fresh_namespace, kubeconfig, kubectl, kubernetes, postgres_url,
    redis_url,
};
pub use stack::Stack;
pub use stack_builder::StackBuilder;
pub use wait::{Seen, until};
