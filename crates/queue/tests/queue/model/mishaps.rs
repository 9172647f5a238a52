//! What happens to a queue from outside, done to Redis by hand.

use domain::JobId;
use domain::queue_rules::{Place, QueueState};

use super::Run;
use super::state;

impl Run {
    /// The lease or the delay of the job ends.
    pub(super) async fn run_out(&mut self, job: JobId) {
        match self.state.places.get_mut(&job) {
            Some(Place::Leased { deadline_ms, .. }) => {
                *deadline_ms = 1;
                self.test.reschedule("leases", job, 1).await;
            }
            Some(Place::Delayed { due_ms, .. }) => {
                *due_ms = 1;
                self.test.reschedule("delayed", job, 1).await;
            }
            Some(Place::Ready { .. }) | None => {}
        }
    }

    /// Moves what Redis remembers of time, and what it plans, instead of its clock.
    pub(super) async fn pretend_that_time_differs(&mut self, ms: i64, delays_too: bool) {
        let Some(heard_ms) = &mut self.state.heard_ms else {
            return;
        };
        *heard_ms += ms;
        self.test.set("heard", *heard_ms).await;
        for (job, place) in &mut self.state.places {
            match place {
                Place::Leased { deadline_ms, .. } => {
                    *deadline_ms += ms;
                    self.test.reschedule("leases", *job, *deadline_ms).await;
                }
                Place::Delayed { due_ms, .. } if delays_too => {
                    *due_ms += ms;
                    self.test.reschedule("delayed", *job, *due_ms).await;
                }
                _ => {}
            }
        }
    }

    pub(super) async fn flush(&mut self) {
        self.test.flush().await;
        self.state = QueueState::default();
    }

    /// Another server has taken over with the same data.
    pub(super) async fn fail_over(&mut self) {
        if self.state.generation.is_some() {
            self.test.set("generation", "another").await;
        }
        self.state.begin_turn();
    }

    /// The process is another one now, as its replication id says, unless the snapshot is of a time without generation.
    pub(super) async fn restart_from_snapshot(&mut self) {
        let Some(mut snapshot) = self.snapshot.clone() else { return };
        if snapshot.generation.is_some() {
            snapshot.begin_turn();
            self.test.flush().await;
            state::write(&snapshot, &mut self.test).await;
            self.state = snapshot;
        }
    }
}
