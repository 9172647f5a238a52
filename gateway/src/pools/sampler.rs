//! Looking once a second while anybody watches.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Pool;
use queue::Queue;
use runtime::Shutdown;
use store::Store;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::sample::{Looker, Sample};
use super::{Scope, Snapshot};

/// How often is looked while anybody watches.
const EVERY: Duration = Duration::from_secs(1);

/// How long a watcher waits for the first look, which is then made at once.
const FIRST_LOOK: Duration = Duration::from_secs(6);

/// The most who may watch at once.
const WATCHERS: usize = 500;

/// What watchers and the sampler share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pools {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    named: Vec<Pool>,
    /// How many watch, by whose jobs they see.
    watchers: Mutex<HashMap<Scope, usize>>,
    came: Notify,
    /// Nothing while nobody watches, so that nobody is shown what is out of date.
    latest: watch::Sender<Option<Arc<Sample>>>,
    shutdown: Shutdown,
}

/// Somebody who watches. The sampler looks until the last one is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    shared: Arc<Shared>,
    scope: Scope,
    samples: watch::Receiver<Option<Arc<Sample>>>,
}

impl Pools {
    /// Nobody watches yet. These pools are shown also when nothing happens in them.
    pub(crate) fn new(named: Vec<Pool>, shutdown: Shutdown) -> Pools {
        let latest = watch::Sender::new(None);
        let (watchers, came) = (Mutex::default(), Notify::new());
        Pools { shared: Arc::new(Shared { named, watchers, came, latest, shutdown }) }
    }

    /// Begins to watch; nothing when too many do.
    pub(crate) fn watch(&self, scope: Scope) -> Option<Watching> {
        let mut watchers = self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if watchers.values().sum::<usize>() >= WATCHERS {
            return None;
        }
        // A newcomer is shown the next look that counts its tenant apart.
        let known = watchers.contains_key(&scope);
        *watchers.entry(scope.clone()).or_default() += 1;
        let mut samples = self.shared.latest.subscribe();
        if known {
            samples.mark_changed();
        } else {
            samples.mark_unchanged();
            self.shared.came.notify_one();
        }
        Some(Watching { shared: self.shared.clone(), scope, samples })
    }

    /// Looks while anybody watches.
    pub(crate) async fn sample(self, store: Store, queue: Option<Queue>) {
        let shared = &self.shared;
        let mut looker = Looker::new(store, queue, shared.named.clone());
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Some(tenants) = shared.tenants() else {
                shared.latest.send_replace(None);
                looker.forget();
                shared.came.notified().await;
                ticks.reset_immediately();
                continue;
            };
            tokio::select! {
                _ = ticks.tick() => {}
                // Somebody whose jobs are to be counted apart does not wait for the next second.
                () = shared.came.notified() => ticks.reset(),
            }
            if let Some(tenants) = shared.tenants().or(Some(tenants)) {
                let sample = looker.look(tenants).await;
                shared.latest.send_replace(Some(Arc::new(sample)));
            }
        }
    }
}

impl Shared {
    /// The tenants whose jobs are watched apart; nothing when nobody watches.
    fn tenants(&self) -> Option<BTreeSet<String>> {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let tenants = watchers.keys().filter_map(|scope| match scope {
            Scope::Tenant(tenant) => Some(tenant.clone()),
            Scope::All => None,
        });
        (!watchers.is_empty()).then(|| tenants.collect())
    }
}

impl Watching {
    /// The next look; nothing when the gateway stops, or nothing was seen in time.
    pub(crate) async fn next(&mut self) -> Option<Snapshot> {
        let next = async {
            loop {
                self.samples.changed().await.ok()?;
                if let Some(sample) = self.samples.borrow_and_update().as_deref() {
                    return Some(Snapshot::of(sample, &self.scope, &self.shared.named));
                }
            }
        };
        self.shared.shutdown.unless_requested(timeout(FIRST_LOOK, next)).await?.ok()?
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watchers = self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = watchers.get_mut(&self.scope) {
            *count -= 1;
            if *count == 0 {
                watchers.remove(&self.scope);
            }
        }
    }
}
