//! Who waits for what.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{JobId, Pool};
use prometheus_client::metrics::gauge::Gauge;
use queue::{Announcer, Change};
use store::{BatchDetail, JobDetail, Version};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::caller::Caller;
use crate::problem::{Code, Problem};
use crate::shares::{Share, Shares};

/// Who waits for what. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    room: Shares,
    jobs: Watched<JobDetail>,
    batches: Watched<BatchDetail>,
    announcer: Option<Announcer>,
    watchers: Gauge,
}

/// What can be waited for.
pub(crate) trait Versioned {
    /// Which state this is.
    fn version(&self) -> Version;
}

impl Versioned for JobDetail {
    fn version(&self) -> Version {
        JobDetail::version(self)
    }
}

impl Versioned for BatchDetail {
    fn version(&self) -> Version {
        BatchDetail::version(self)
    }
}

/// The newest state that was seen of each that somebody waits for, and what is to be looked at.
pub(crate) struct Watched<T> {
    entries: Mutex<HashMap<Uuid, watch::Sender<Option<Arc<T>>>>>,
    /// Jobs that are said to have changed.
    changed: Mutex<HashSet<JobId>>,
    /// Tells that there are some, or that all is to be looked at.
    look: Notify,
}

impl Hub {
    /// For so many at once. With an announcer, other gateways are told what changes here.
    pub(crate) fn new(most: usize, announcer: Option<Announcer>, watchers: Gauge) -> Hub {
        let shared = Shared {
            room: Shares::among_callers(most),
            jobs: Watched::new(),
            batches: Watched::new(),
            announcer,
            watchers,
        };
        Hub { shared: Arc::new(shared) }
    }

    /// Begins to wait for a job. To be called before the job is read, so that no change falls in between.
    ///
    /// # Errors
    /// When too many wait.
    pub(crate) fn watch_job(&self, id: JobId, by: &Caller) -> Result<Watch<JobDetail>, Problem> {
        Ok(Watch::new(self.clone(), |hub| &hub.shared.jobs, id, self.room(by)?))
    }

    /// Begins to wait for a batch. To be called before the batch is read.
    ///
    /// # Errors
    /// When too many wait.
    pub(crate) fn watch_batch(&self, id: Uuid, by: &Caller) -> Result<Watch<BatchDetail>, Problem> {
        Ok(Watch::new(self.clone(), |hub| &hub.shared.batches, id, self.room(by)?))
    }

    fn room(&self, by: &Caller) -> Result<Share, Problem> {
        self.shared.room.take(by.shared_as(), 1).ok_or_else(|| {
            Problem::new(
                Code::TooManyWatchers,
                "Too many requests wait for something to happen. Ask without waiting.",
            )
        })
    }

    /// This gateway has committed a change of a job: to be told here, and to all the others.
    pub(crate) fn changed_here(&self, pool: &Pool, job: JobId) {
        self.changed(&Change { pool: pool.clone(), jobs: vec![job] });
        if let Some(announcer) = &self.shared.announcer {
            announcer.announce(pool, job);
        }
    }

    /// Jobs are said to have changed.
    pub(crate) fn changed(&self, change: &Change) {
        let Shared { jobs, batches, .. } = &*self.shared;
        let watched: Vec<JobId> = {
            let entries = jobs.entries();
            change.jobs.iter().copied().filter(|job| entries.contains_key(job)).collect()
        };
        jobs.note(watched);
        if !batches.entries().is_empty() {
            batches.note(change.jobs.iter().copied());
        }
    }

    /// Something may have been missed: all that is waited for is to be looked at.
    pub(crate) fn look_at_all(&self) {
        self.shared.jobs.look.notify_one();
        self.shared.batches.look.notify_one();
    }

    pub(super) fn jobs(&self) -> &Watched<JobDetail> {
        &self.shared.jobs
    }

    pub(super) fn batches(&self) -> &Watched<BatchDetail> {
        &self.shared.batches
    }
}

/// The most jobs that wait to be looked at for the sake of batches; what is beyond that is found by looking at all.
const MOST_CHANGED: usize = 10_000;

impl<T: Versioned> Watched<T> {
    fn new() -> Watched<T> {
        Watched { entries: Mutex::default(), changed: Mutex::default(), look: Notify::new() }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Option<Arc<T>>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, jobs: impl IntoIterator<Item = JobId>) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        for job in jobs {
            if changed.len() < MOST_CHANGED {
                changed.insert(job);
            }
        }
        if !changed.is_empty() {
            self.look.notify_one();
        }
    }

    /// Returns once there is something to look at.
    pub(super) async fn to_look(&self) {
        self.look.notified().await;
    }

    /// The jobs that are said to have changed since this was last asked.
    pub(super) fn take_changed(&self) -> Vec<JobId> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    /// Everything that is waited for, with the newest version that was seen of it.
    pub(super) fn seen(&self) -> Vec<(Uuid, Option<Version>)> {
        let seen = |sender: &watch::Sender<Option<Arc<T>>>| sender.borrow().as_ref().map(|it| it.version());
        self.entries().iter().map(|(id, sender)| (*id, seen(sender))).collect()
    }

    /// Hands a state to everyone who waits for it, unless they have a newer one.
    pub(super) fn show(&self, id: Uuid, state: Arc<T>) {
        if let Some(sender) = self.entries().get(&id) {
            sender.send_if_modified(|shown| {
                let newer = shown.as_ref().is_none_or(|shown| differs(state.version(), shown.version()));
                if newer {
                    *shown = Some(state);
                }
                newer
            });
        }
    }
}

/// Whether the one state is another and not an older one.
fn differs(state: Version, known: Version) -> bool {
    state.number >= known.number && state != known
}

/// Somebody waits for something. Dropped, nobody does.
pub(crate) struct Watch<T: Versioned> {
    hub: Hub,
    of: fn(&Hub) -> &Watched<T>,
    id: Uuid,
    shown: watch::Receiver<Option<Arc<T>>>,
    _room: Share,
}

impl<T: Versioned> Watch<T> {
    fn new(hub: Hub, of: fn(&Hub) -> &Watched<T>, id: Uuid, room: Share) -> Watch<T> {
        let shown = of(&hub).entries().entry(id).or_insert_with(|| watch::Sender::new(None)).subscribe();
        hub.shared.watchers.inc();
        Watch { hub, of, id, shown, _room: room }
    }

    /// Hands on what this one has read itself.
    pub(crate) fn has_read(&self, state: T) -> Arc<T> {
        let state = Arc::new(state);
        (self.of)(&self.hub).show(self.id, state.clone());
        state
    }

    /// Returns the next state that is another than this one. Nothing is lost when the future is dropped.
    pub(crate) async fn other_than(&mut self, known: Version) -> Arc<T> {
        loop {
            if let Some(state) = &*self.shown.borrow_and_update()
                && differs(state.version(), known)
            {
                return state.clone();
            }
            if self.shown.changed().await.is_err() {
                // The sender stays as long as there is a receiver.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl<T: Versioned> Drop for Watch<T> {
    fn drop(&mut self) {
        self.hub.shared.watchers.dec();
        let mut entries = (self.of)(&self.hub).entries();
        if entries.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            entries.remove(&self.id);
        }
    }
}
