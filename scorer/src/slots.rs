//! How many jobs are worked on at once.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of this scorer.
///
/// A job occupies a slot from its claim until it is scored. While its result is on the way to Postgres, the slot
/// already serves the next job, so that neither waits for the other. At most as many results as there are slots are
/// on their way: with Postgres away, the scorer soon holds all it may and claims no more.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    room: Arc<Semaphore>,
    occupied: Gauge,
}

/// Permission to work on one more job.
#[derive(Debug)]
pub(crate) struct Permit {
    /// Until the job is scored.
    pub(crate) slot: Slot,
    /// Until its result is recorded.
    pub(crate) room: OwnedSemaphorePermit,
}

/// Room for one job that is being scored.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    occupied: Gauge,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.occupied.dec();
    }
}

impl Slots {
    pub(crate) fn new(count: usize, occupied: Gauge) -> Slots {
        Slots { free: Arc::new(Semaphore::new(count)), room: Arc::new(Semaphore::new(2 * count)), occupied }
    }

    /// Waits until there is room for a job, and takes all that there is.
    pub(crate) async fn all_free(&self) -> Vec<Permit> {
        let mut permits = Vec::new();
        // They are never closed; were they, there would be nothing to claim for.
        let Ok(slot) = self.free.clone().acquire_owned().await else { return permits };
        let Ok(room) = self.room.clone().acquire_owned().await else { return permits };
        permits.push(self.permit(slot, room));
        while let (Ok(slot), Ok(room)) =
            (self.free.clone().try_acquire_owned(), self.room.clone().try_acquire_owned())
        {
            permits.push(self.permit(slot, room));
        }
        permits
    }

    fn permit(&self, permit: OwnedSemaphorePermit, room: OwnedSemaphorePermit) -> Permit {
        self.occupied.inc();
        Permit { slot: Slot { _permit: permit, occupied: self.occupied.clone() }, room }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slot_is_free_again_while_the_result_is_recorded_and_only_so_many_are() {
        let gauge = Gauge::default();
        let slots = Slots::new(2, gauge.clone());
        let mut recording = Vec::new();
        for _ in 0..2 {
            let permits = slots.all_free().await;
            assert_eq!((permits.len(), gauge.get()), (2, 2));
            recording.extend(permits.into_iter().map(|permit| permit.room));
        }
        assert!(futures::poll!(Box::pin(slots.all_free())).is_pending());
        recording.pop();
        assert_eq!(slots.all_free().await.len(), 1);
        assert_eq!(gauge.get(), 0);
    }
}
