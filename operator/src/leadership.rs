//! Which replica may write to Kubernetes.
//!
//! The leader holds a `coordination.k8s.io` Lease. It stops its work, before the Lease can have run out, as soon as
//! it cannot renew; what it had sent by then is bounded by the request timeout. Everything that needs no Kubernetes
//! goes on without leadership.

mod decision;

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::{Api, PostParams};
use runtime::metrics::Dependency;
use runtime::{Outage, Shutdown, in_full};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use self::decision::{Observation, Turn, turn};
use crate::cluster::{ClusterError, within_deadline};
use crate::metrics::Metrics;

/// The name of the Lease, one for each namespace that an Assay is installed in.
pub const LEASE_NAME: &str = "assay-operator";

/// How long a standby waits between two looks at the Lease.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Takes part in the election until the process stops.
pub(crate) struct Candidate {
    leases: Api<Lease>,
    /// What the Lease says of its holder. Unlike the replica's name it is never that of another.
    identity: String,
    duration: Duration,
    metrics: Metrics,
    kubernetes: Outage,
}

impl Candidate {
    /// A candidate of this name. `duration` is how long a leader may go unheard.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        name: &str,
        duration: Duration,
        metrics: Metrics,
    ) -> Self {
        // Replicas on one node's network have the same host name and, each in its container, the same process id.
        let identity = format!("{name}_{}", Uuid::new_v4());
        let kubernetes = Outage::shown_by(
            "looking at the operators' Lease",
            metrics.dependencies.away(Dependency::KUBERNETES),
        );
        Candidate { leases: Api::namespaced(client, namespace), identity, duration, metrics, kubernetes }
    }

    /// Runs `work` whenever this replica leads. Its token is cancelled, and the work awaited, before leadership ends.
    ///
    /// # Errors
    /// The work's own. Leadership is handed back then.
    pub(crate) async fn lead_until_stopped<F>(
        &self,
        shutdown: &Shutdown,
        work: impl Fn(CancellationToken) -> F,
    ) -> anyhow::Result<()>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        while let Some(held) = self.await_turn(shutdown).await {
            info!(holder = self.identity, "leading");
            self.metrics.leading.set(1);
            let stop = CancellationToken::new();
            let mut work = std::pin::pin!(work(stop.clone()));
            let (last, ended) = tokio::select! {
                last = self.renew_until_lost(held, shutdown) => {
                    stop.cancel();
                    (last, work.await)
                }
                ended = &mut work => (self.still_mine().await, ended),
            };
            self.metrics.leading.set(0);
            match last {
                Some(lease) => self.release(lease).await,
                None => warn!(holder = self.identity, "no longer leading"),
            }
            ended?;
        }
        Ok(())
    }

    /// Waits for leadership. `None` when the stop was asked for meanwhile; it does not interrupt a request, whose effect
    /// would be a Lease that nobody hands back.
    async fn await_turn(&self, shutdown: &Shutdown) -> Option<Lease> {
        let mut seen = Observation::default();
        while !shutdown.is_requested() {
            match self.try_take(&mut seen).await {
                Ok(taken) => {
                    self.kubernetes.end();
                    if taken.is_some() {
                        return taken;
                    }
                }
                // Another was quicker.
                Err(error) if error.is_conflict() => self.kubernetes.end(),
                Err(error) => self.kubernetes.begin(&in_full(&error)),
            }
            shutdown.unless_requested(tokio::time::sleep(LOOK_EVERY)).await;
        }
        None
    }

    async fn try_take(&self, seen: &mut Observation) -> Result<Option<Lease>, ClusterError> {
        let found = within_deadline(self.leases.get_opt(LEASE_NAME)).await?;
        Ok(match turn(found.as_ref(), &self.identity, seen, Instant::now()) {
            Turn::Wait => None,
            Turn::Create => {
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(LEASE_NAME.to_owned()), ..ObjectMeta::default() },
                    spec: Some(self.spec(LeaseSpec::default(), true)),
                };
                Some(within_deadline(self.leases.create(&PostParams::default(), &lease)).await?)
            }
            Turn::Take => {
                let mut lease = found.unwrap_or_default();
                lease.spec = Some(self.spec(lease.spec.unwrap_or_default(), true));
                Some(self.replace(&lease).await?)
            }
        })
    }

    /// Renews until that fails for too long (`None`) or the process is to stop (the Lease as it was last seen).
    async fn renew_until_lost(&self, mut lease: Lease, shutdown: &Shutdown) -> Option<Lease> {
        let mut renewed = Instant::now();
        loop {
            if shutdown.unless_requested(tokio::time::sleep(self.duration / 6)).await.is_none() {
                return Some(lease);
            }
            // Counted from before the request: the Lease is held at least that long.
            let asked = Instant::now();
            lease.spec = Some(self.spec(lease.spec.take().unwrap_or_default(), false));
            let remaining = (self.duration * 2 / 3).saturating_sub(renewed.elapsed());
            match tokio::time::timeout(remaining, self.replace(&lease)).await {
                Ok(Ok(current)) => {
                    self.kubernetes.end();
                    lease = current;
                    renewed = asked;
                }
                Ok(Err(error)) if error.is_conflict() => match self.still_mine().await {
                    Some(current) => lease = current,
                    None => return None,
                },
                Ok(Err(error)) => {
                    self.kubernetes.begin(&in_full(&error));
                    if renewed.elapsed() >= self.duration * 2 / 3 {
                        return None;
                    }
                }
                Err(_) => {
                    self.kubernetes.begin(&"no answer before the Lease had to be given up");
                    return None;
                }
            }
        }
    }

    /// After a conflict: an own renewal whose answer was lost, or another's taking over.
    async fn still_mine(&self) -> Option<Lease> {
        let lease = within_deadline(self.leases.get(LEASE_NAME)).await.ok()?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        (holder == Some(self.identity.as_str())).then_some(lease)
    }

    /// Lets the next one in at once. Asked again once, since a standby would otherwise wait for the Lease to run out.
    async fn release(&self, lease: Lease) {
        let mut given_up = self.give_up(lease).await;
        if given_up.is_err()
            && let Some(lease) = self.still_mine().await
        {
            given_up = self.give_up(lease).await;
        }
        match given_up {
            Ok(()) => info!(holder = self.identity, "handed leadership back"),
            Err(error) => warn!(error = in_full(&error), "cannot hand leadership back: it will run out"),
        }
    }

    async fn give_up(&self, mut lease: Lease) -> Result<(), ClusterError> {
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        self.replace(&lease).await.map(drop)
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, ClusterError> {
        within_deadline(self.leases.replace(LEASE_NAME, &PostParams::default(), lease)).await
    }

    fn spec(&self, before: LeaseSpec, taking: bool) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        let transitions = before.lease_transitions.unwrap_or(0) + i32::from(taking);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            acquire_time: if taking { Some(now.clone()) } else { before.acquire_time },
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..before
        }
    }
}
