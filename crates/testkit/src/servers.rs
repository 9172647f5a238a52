//! The three servers that Assay needs, each either given or started here.

use anyhow::Result;

use crate::control_plane::{ControlPlane, ControlPlaneOptions};
use crate::kubernetes::Kubernetes;
use crate::place::Place;
use crate::postgres::{Postgres, PostgresOptions};
use crate::redis::Redis;

/// Servers that are there already.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// URL of a database.
    pub database_url: Option<String>,
    /// URL of a Redis.
    pub redis_url: Option<String>,
    /// A cluster.
    pub kubernetes: Option<Kubernetes>,
}

/// Postgres, Redis and a cluster. Dropping this ends those of them that are its own.
#[derive(Debug)]
pub struct Servers {
    /// Postgres, where it is our own.
    pub postgres: Option<Postgres>,
    /// Redis, where it is our own.
    pub redis: Option<Redis>,
    /// The control plane, where it is our own.
    pub control_plane: Option<ControlPlane>,
    /// URL of the database.
    pub database_url: String,
    /// URL of Redis.
    pub redis_url: String,
    /// The cluster.
    pub kubernetes: Kubernetes,
}

impl Servers {
    /// Starts what is not given, all at the same time.
    pub async fn start(
        place: &Place,
        given: Given,
        postgres: &PostgresOptions,
        control_plane: &ControlPlaneOptions,
    ) -> Result<Servers> {
        let ((postgres, database_url), (redis, redis_url), (control_plane, kubernetes)) = tokio::try_join!(
            async {
                if let Some(url) = given.database_url {
                    return anyhow::Ok((None, url));
                }
                let postgres = Postgres::start(place, postgres).await?;
                let url = postgres.url();
                Ok((Some(postgres), url))
            },
            async {
                if let Some(url) = given.redis_url {
                    return anyhow::Ok((None, url));
                }
                let redis = Redis::start(place).await?;
                let url = redis.url();
                Ok((Some(redis), url))
            },
            async {
                if let Some(kubernetes) = given.kubernetes {
                    return anyhow::Ok((None, kubernetes));
                }
                let control_plane = ControlPlane::start(place, control_plane).await?;
                let kubernetes = control_plane.kubernetes();
                Ok((Some(control_plane), kubernetes))
            }
        )?;
        Ok(Servers { postgres, redis, control_plane, database_url, redis_url, kubernetes })
    }
}
