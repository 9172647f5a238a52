//! Ways into the queue and out of it that do not depend on a claim.

use super::{Enqueue, Moment, Place, QueueState};
use crate::{Claim, JobId};

impl QueueState {
    /// Puts jobs on the queue as their rows describe them, and returns how many were not on it. Of those that were, only
    /// the rank is changed; but a lease older than the row gives way, since Redis has lost the claims since.
    pub fn enqueue(&mut self, at: Moment, items: &[Enqueue]) -> u64 {
        let mut placed = 0;
        for item in items {
            let outdated =
                |place: &&mut Place| matches!(place, Place::Leased { epoch, .. } if *epoch < item.epoch);
            match self.places.get_mut(&item.job).filter(|place| !outdated(place)) {
                Some(place) => place.set_rank(item.rank),
                None => {
                    placed += 1;
                    if item.leased {
                        self.lease(at, Claim { job: item.job, epoch: item.epoch }, item.rank);
                    } else {
                        self.wait(at, item.job, item.rank, item.delay);
                    }
                }
            }
            self.raise_epoch(item.epoch);
        }
        if !items.is_empty() {
            self.wake();
        }
        placed
    }

    /// Takes jobs off the queue, whoever holds them, and returns how many were on it.
    pub fn cancel(&mut self, jobs: &[JobId]) -> u64 {
        let before = self.places.len();
        for job in jobs {
            self.places.remove(job);
        }
        (before - self.places.len()) as u64
    }

    /// Takes waiting jobs off the queue, and returns how many were waiting. Leased ones stay.
    pub fn withdraw(&mut self, jobs: &[JobId]) -> u64 {
        let waiting = jobs.iter().filter(|job| self.leased_epoch(**job).is_none()).copied();
        self.cancel(&waiting.collect::<Vec<_>>())
    }
}
