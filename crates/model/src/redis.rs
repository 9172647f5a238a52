//! Redis: its clock, and what it loses.

use domain::queue_rules::{Claimed, Place, QueueState, Turn};
use domain::{Claim, Epoch};

use crate::rules::Rules;
use crate::state::{NOW, State};

impl State {
    /// Hands out up to `max` jobs. With its clock behind, that is the clock's time as an epoch.
    pub(crate) fn claim(&mut self, rules: &Rules, max: usize, clock_behind: Option<Epoch>) -> Claimed {
        let due = self.queue.places.iter().filter_map(|(job, place)| match *place {
            Place::Leased { epoch, deadline_ms, .. } if deadline_ms <= NOW.now_ms => {
                Some(Claim { job: *job, epoch })
            }
            _ => None,
        });
        for claim in due.collect::<Vec<_>>() {
            let row = self.row_mut(claim.job);
            if claim.epoch >= row.job.epoch && !row.ran_out.contains(&claim.epoch) {
                row.ran_out.push(claim.epoch);
            }
        }
        // In health it is later than every claim there was.
        let clock = clock_behind.map_or_else(|| self.newest_epoch().0 + 2, |epoch| epoch.0);
        let first_epoch = self.queue.first_epoch(clock);
        (rules.claim)(&mut self.queue, NOW, max, first_epoch)
    }

    /// All that Redis knew is gone.
    pub(crate) fn empty_redis(&mut self) {
        self.queue = QueueState { heard_ms: Some(NOW.now_ms), ..QueueState::default() };
        self.replica = None;
    }

    /// From now on the replica gets nothing any more of what is written.
    pub(crate) fn let_replica_lag(&mut self) {
        self.replica = Some(self.queue.clone());
    }

    /// The replica takes over.
    pub(crate) fn fail_over(&mut self) {
        if let Some(replica) = self.replica.take() {
            self.queue = replica;
            self.queue.begin_turn();
        }
    }

    /// Whether nothing is handed out until somebody rebuilds.
    pub fn is_stale(&self) -> bool {
        self.queue.generation == Some(Turn::Earlier)
    }
}
