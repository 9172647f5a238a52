//! What the scorer is told at start.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use domain::{LeaseSettings, Pool, duration};
use runtime::Telemetry;
use store::DatabaseFlags;

/// Each may be a process and its pipes.
const MOST_CONCURRENCY: usize = 500;

/// The program alone takes 20, and leaves as much again at the least.
const LEAST_CHILD_MEMORY_MIB: u64 = 64;

/// Flags and environment of the scorer.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Where Postgres is.
    #[command(flatten)]
    pub database: DatabaseFlags,
    /// Where Redis is: `redis://host:6379/`, `redis+cluster://host:6379,host:6379/` with some nodes of a cluster, or
    /// `redis+sentinel://host:26379,host:26379/PRIMARY` with sentinels and their name for the primary. `rediss` is
    /// `redis` over TLS; `?ca_file=` names a file of authorities to trust instead of those of the system.
    #[arg(long, env = "ASSAY_REDIS_URL", hide_env_values = true)]
    pub redis_url: String,
    /// The pool whose jobs it takes.
    #[arg(long, env = "ASSAY_POOL", default_value_t = Pool::default())]
    pub pool: Pool,
    /// How many jobs it scores at once.
    #[arg(long, env = "ASSAY_CONCURRENCY", default_value_t = 5)]
    pub concurrency: usize,
    /// How long it may go unheard before its jobs are given to another.
    #[arg(long, env = "ASSAY_LEASE", default_value = "30s", value_parser = duration::parse)]
    pub lease: Duration,
    /// How often it renews its leases; a third of the lease unless given.
    #[arg(long, env = "ASSAY_RENEW_EVERY", value_parser = duration::parse)]
    pub renew_every: Option<Duration>,
    /// How long running jobs may finish after SIGTERM. What is left then is handed back and spends no attempt.
    #[arg(long, env = "ASSAY_GRACE", default_value = "90s", value_parser = duration::parse)]
    pub grace: Duration,
    /// The longest that one attempt may take here, also for a job that asks for more.
    #[arg(long, env = "ASSAY_MAX_TIMEOUT", default_value = "60s", value_parser = duration::parse)]
    pub max_timeout: Duration,
    /// How much memory each process may use that scores a submission, in MiB of address space. What needs more fails its
    /// attempt.
    #[arg(long, env = "ASSAY_CHILD_MEMORY_MIB", default_value_t = 1024)]
    pub child_memory_mib: u64,
    /// Its name in the record of attempts.
    #[arg(long, env = "ASSAY_SCORER_NAME", default_value_t = default_name())]
    pub name: String,
    /// Where health and metrics are served.
    #[arg(long, env = "ASSAY_METRICS_ADDR", default_value = "0.0.0.0:9090")]
    pub metrics_addr: SocketAddr,
    /// Logs.
    #[command(flatten)]
    pub telemetry: Telemetry,
}

/// The host name is a pod's name in Kubernetes; the process id tells scorers on one machine apart.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

impl Settings {
    /// Refuses contradictions, and gives the lease.
    ///
    /// # Errors
    /// When two settings contradict each other; the message names them.
    pub fn validate(&self) -> anyhow::Result<LeaseSettings> {
        ensure!(
            (1..=MOST_CONCURRENCY).contains(&self.concurrency),
            "--concurrency {} is not between 1 and {MOST_CONCURRENCY}",
            self.concurrency
        );
        ensure!(
            self.child_memory_mib >= LEAST_CHILD_MEMORY_MIB,
            "--child-memory-mib {} leaves too little for a submission; the least is {LEAST_CHILD_MEMORY_MIB}",
            self.child_memory_mib
        );
        ensure!(!self.max_timeout.is_zero(), "--max-timeout 0s leaves no time to score anything");
        ensure!(
            self.grace >= self.max_timeout,
            "--grace {:?} is shorter than --max-timeout {:?}: a stop would cut off jobs that are within their time",
            self.grace,
            self.max_timeout
        );
        match self.renew_every {
            Some(renew_every) => {
                LeaseSettings::new(self.lease, renew_every).context("--lease, --renew-every")
            }
            None => LeaseSettings::renewed_by_thirds(self.lease).context("--lease"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        settings: Settings,
    }

    fn refusal(flags: &[&str]) -> Option<String> {
        let urls = ["scorer", "--database-url=postgres://db", "--redis-url=redis://redis"];
        let arguments = Arguments::try_parse_from(urls.iter().chain(flags)).expect("known flags");
        arguments.settings.validate().err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn the_defaults_do_not_contradict_each_other() {
        assert_eq!(refusal(&[]), None);
    }

    #[test]
    fn contradictions_are_refused_by_the_names_of_their_flags() {
        for (flags, named) in [
            (&["--concurrency=0"] as &[&str], "--concurrency 0"),
            (&["--lease=30s", "--renew-every=11s"], "--lease, --renew-every: a lease of 30s"),
            (&["--lease=100ms"], "--lease: a lease of 100ms"),
            (&["--grace=59s"], "--grace 59s is shorter than --max-timeout 60s"),
            (&["--max-timeout=0s"], "--max-timeout 0s"),
            (&["--child-memory-mib=63"], "--child-memory-mib 63"),
        ] {
            let refusal = refusal(flags).unwrap_or_default();
            assert!(refusal.contains(named), "{flags:?}: {refusal:?}");
        }
    }
}
