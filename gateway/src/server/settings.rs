//! How the door is to be kept.

use std::time::Duration;

use clap::Args;
use domain::duration;

use super::tls::TlsFlags;

/// How connections are taken and bounded.
#[derive(Args, Clone, Debug)]
pub struct ServerFlags {
    /// The most connections at a time. One more is closed at once.
    #[arg(long, env = "ASSAY_CONNECTIONS", default_value_t = 10_000)]
    pub connections: usize,
    /// The most connections at a time from one address (of IPv6: from one /64). It does not hold for trusted proxies.
    #[arg(long, env = "ASSAY_CONNECTIONS_PER_ADDRESS", default_value_t = 1_000)]
    pub connections_per_address: usize,
    /// How long the head of a request may take to arrive, once it has begun, and a TLS handshake.
    #[arg(long, env = "ASSAY_HEADER_TIMEOUT", default_value = "10s", value_parser = duration::parse)]
    pub header_timeout: Duration,
    /// How long a connection may be open without a request. Longer than a load balancer in front keeps its own.
    #[arg(long, env = "ASSAY_IDLE_TIMEOUT", default_value = "75s", value_parser = duration::parse)]
    pub idle_timeout: Duration,
    /// How long a client may take none of what it is sent.
    #[arg(long, env = "ASSAY_WRITE_TIMEOUT", default_value = "30s", value_parser = duration::parse)]
    pub write_timeout: Duration,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsFlags,
}

/// Settings of the door that cannot hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerContradiction {
    /// Nobody could connect.
    #[error("ASSAY_CONNECTIONS and ASSAY_CONNECTIONS_PER_ADDRESS must be at least 1")]
    NoConnections,
    /// Every connection would be cut off before it has asked for anything.
    #[error("{name} is {given:?}: at least 100ms are needed")]
    NoTime {
        /// The setting.
        name: &'static str,
        /// Its value.
        given: Duration,
    },
}

impl ServerFlags {
    /// Refuses settings that cannot hold together.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), ServerContradiction> {
        if self.connections == 0 || self.connections_per_address == 0 {
            return Err(ServerContradiction::NoConnections);
        }
        let times = [
            ("ASSAY_HEADER_TIMEOUT", self.header_timeout),
            ("ASSAY_IDLE_TIMEOUT", self.idle_timeout),
            ("ASSAY_WRITE_TIMEOUT", self.write_timeout),
        ];
        match times.into_iter().find(|(_, given)| *given < Duration::from_millis(100)) {
            Some((name, given)) => Err(ServerContradiction::NoTime { name, given }),
            None => Ok(()),
        }
    }
}
