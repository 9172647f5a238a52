//! What happens to a queue from outside, done to Redis by hand.

use domain::JobId;

use super::Run;
use super::state::State;

impl Run {
    /// The lease or the delay of the job ends.
    pub(super) async fn run_out(&mut self, job: JobId) {
        for (key, numbers) in [("leases", &mut self.state.leases), ("delayed", &mut self.state.delayed)] {
            if let Some(at_ms) = numbers.get_mut(&job) {
                *at_ms = 1;
                self.test.reschedule(key, job, 1).await;
            }
        }
    }

    /// Moves what Redis remembers of time, and what it plans, instead of its clock.
    pub(super) async fn pretend_that_time_differs(&mut self, ms: i64, delays_too: bool) {
        let Some(heard) = &mut self.state.heard else {
            return;
        };
        *heard += ms;
        self.test.set("heard", *heard).await;
        for (job, deadline) in &mut self.state.leases {
            *deadline += ms;
            self.test.reschedule("leases", *job, *deadline).await;
        }
        for (job, due) in self.state.delayed.iter_mut().filter(|_| delays_too) {
            *due += ms;
            self.test.reschedule("delayed", *job, *due).await;
        }
    }

    pub(super) async fn flush(&mut self) {
        self.test.flush().await;
        self.state = State::default();
    }

    /// Another server has taken over with the same data.
    pub(super) async fn fail_over(&mut self) {
        if self.state.generation.is_some() {
            self.test.set("generation", "another").await;
            self.state.generation = Some("another".to_owned());
        }
    }

    /// The process is another one now, as its replication id says, unless the snapshot is of a time without generation.
    pub(super) async fn restart_from_snapshot(&mut self) {
        let Some(mut snapshot) = self.snapshot.clone() else { return };
        if snapshot.generation.is_some() {
            snapshot.generation = Some("another".to_owned());
            snapshot.rebuilds = 0;
            self.test.flush().await;
            snapshot.write(&mut self.test).await;
            self.state = snapshot;
        }
    }
}
