//! Says of each scorer's Pod how many jobs it holds, so that when there are to be fewer, those go first that are idle.
//!
//! It is a hint, and may be some seconds old: a Pod that is stopped while it works finishes its jobs all the same.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt};
use queue::{Queue, REPORT_EVERY};
use runtime::Outage;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cluster::{ClusterError, WATCH_SECONDS, within_deadline};

/// The annotation that Kubernetes reads. Without it, a Pod costs 0.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The most Pods that are annotated in one round: the API server has other things to do.
const MOST_AT_ONCE: usize = 20;

/// What it takes to say so.
pub(crate) struct DeletionCost {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    /// The label selector of the scorers' Pods.
    pub(crate) pods: String,
    pub(crate) queue: Queue,
    pub(crate) pools: watch::Receiver<Vec<domain::Pool>>,
}

/// Why nobody knows what Pods cost.
#[derive(Debug, thiserror::Error)]
enum CostError {
    #[error("cannot read what scorers hold")]
    Queue(#[from] queue::QueueError),
    #[error("cannot annotate the Pod {0}")]
    Annotate(String, #[source] ClusterError),
}

/// What is known of a Pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    /// As annotated.
    cost: u64,
}

impl DeletionCost {
    /// Says so until leadership ends.
    pub(crate) async fn lead(self: Arc<Self>, stop: CancellationToken) {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let metadata: Api<PartialObjectMeta<Pod>> = Api::namespaced(self.client.clone(), &self.namespace);
        let (store, writer) = reflector::store::<PartialObjectMeta<Pod>>();
        let config = watcher::Config::default().labels(&self.pods).timeout(WATCH_SECONDS);
        let mut seen = Box::pin(watcher(metadata, config).default_backoff().reflect(writer));
        let mut rounds = interval(REPORT_EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watching = Outage::of("watching the Pods of scorers");
        let annotating = Outage::of("saying which Pods of scorers are idle");
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(event) = seen.next() => watching.note(&event),
                _ = rounds.tick() => annotating.note(&self.annotate(&api, &store).await),
            }
        }
    }

    async fn annotate(&self, api: &Api<Pod>, pods: &Store<PartialObjectMeta<Pod>>) -> Result<(), CostError> {
        let pools = self.pools.borrow().clone();
        let mut held = HashMap::new();
        for pool in &pools {
            let scorers = self.queue.scorers(pool).await?;
            held.extend(scorers.into_iter().map(|(name, load)| (name, load.held)));
        }
        let known = pods.state().into_iter().filter_map(|pod| known(&pod)).collect();
        for (name, cost) in changes(known, &held) {
            let patch = Patch::Merge(json!({ "metadata": { "annotations": { COST: cost.to_string() } } }));
            match within_deadline(api.patch_metadata(&name, &PatchParams::default(), &patch)).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(CostError::Annotate(name, error)),
            }
        }
        Ok(())
    }
}

/// None for a Pod that is going anyway.
fn known(pod: &PartialObjectMeta<Pod>) -> Option<Known> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let cost = pod.annotations().get(COST).and_then(|cost| cost.parse().ok()).unwrap_or(0);
    Some(Known { name: pod.name_any(), cost })
}

/// What is to be said of which Pods: of those first that became idle or busy. Of a Pod whose scorer was not heard of,
/// nothing is.
fn changes(pods: Vec<Known>, held: &HashMap<String, u64>) -> Vec<(String, u64)> {
    let mut changes: Vec<(Known, u64)> = pods
        .into_iter()
        .filter_map(|pod| {
            let cost = *held.get(&pod.name)?;
            (cost != pod.cost).then_some((pod, cost))
        })
        .collect();
    changes.sort_by_key(|(pod, cost)| {
        let turned = (*cost == 0) != (pod.cost == 0);
        (!turned, std::cmp::Reverse(cost.abs_diff(pod.cost)))
    });
    changes.truncate(MOST_AT_ONCE);
    changes.into_iter().map(|(pod, cost)| (pod.name, cost)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, cost: u64) -> Known {
        Known { name: name.to_owned(), cost }
    }

    #[test]
    fn pods_are_annotated_when_what_they_hold_has_changed_idle_ones_first() {
        let held = [("same", 2), ("more", 5), ("idle", 0), ("little", 3)];
        let held: HashMap<_, _> = held.map(|(name, held)| (name.to_owned(), held)).into();
        let pods = vec![pod("same", 2), pod("little", 2), pod("more", 1), pod("idle", 1), pod("silent", 4)];
        let expected = [("idle", 0), ("more", 5), ("little", 3)].map(|(name, cost)| (name.to_owned(), cost));
        assert_eq!(changes(pods, &held), expected);
    }

    #[test]
    fn a_round_annotates_only_so_many() {
        let names: Vec<String> = (0..3 * MOST_AT_ONCE).map(|number| number.to_string()).collect();
        let held = names.iter().map(|name| (name.clone(), 1)).collect();
        let changed = changes(names.iter().map(|name| pod(name, 0)).collect(), &held);
        assert_eq!(changed.len(), MOST_AT_ONCE);
    }
}
