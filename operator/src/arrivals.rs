//! How long a change of a resource waits for its reconciliation.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::Resource;

/// The resources of a kind whose change was seen and not yet taken up, by uid.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(Mutex<HashMap<String, Instant>>);

impl Arrivals {
    /// A change was seen. Changes that wait together are taken up together, so the first counts.
    pub(crate) fn seen<K: Resource>(&self, resource: &K) {
        if let Some(uid) = &resource.meta().uid {
            self.lock().entry(uid.clone()).or_insert_with(Instant::now);
        }
    }

    /// Its reconciliation begins. Says for how long the change has waited; nothing when it is for no change, but once
    /// more after an error.
    pub(crate) fn taken_up<K: Resource>(&self, resource: &K) -> Option<Duration> {
        let uid = resource.meta().uid.as_ref()?;
        Some(self.lock().remove(uid)?.elapsed())
    }

    /// There is nothing to reconcile any more.
    pub(crate) fn gone<K: Resource>(&self, resource: &K) {
        if let Some(uid) = &resource.meta().uid {
            self.lock().remove(uid);
        }
    }

    /// Forgets all: what was seen while this replica led before is not its concern any more.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    // The map is whole after each single operation, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::coordination::v1::Lease;

    use super::*;

    fn resource(uid: &str) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.uid = Some(uid.to_owned());
        lease
    }

    #[test]
    fn a_change_waits_from_when_it_was_first_seen_until_it_is_taken_up() {
        let (arrivals, one, other) = (Arrivals::default(), resource("1"), resource("2"));
        arrivals.seen(&one);
        std::thread::sleep(Duration::from_millis(5));
        arrivals.seen(&one);
        assert_eq!(arrivals.taken_up(&other), None);
        assert!(arrivals.taken_up(&one) >= Some(Duration::from_millis(5)));
        assert_eq!(arrivals.taken_up(&one), None);
        arrivals.seen(&other);
        arrivals.gone(&other);
        assert_eq!(arrivals.taken_up(&other), None);
    }
}
