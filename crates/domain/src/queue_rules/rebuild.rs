//! Losing the queue, and building it anew.

use super::{QueueState, Turn};

impl QueueState {
    /// Whether the queue was rebuilt completely in the present turn, and not lost since.
    pub fn is_current(&self) -> bool {
        self.generation == Some(Turn::Present)
    }

    /// Another server goes on with this data, or the same one after a restart.
    pub fn begin_turn(&mut self) {
        for turn in self.generation.iter_mut().chain(self.rebuilds.values_mut()) {
            *turn = Turn::Earlier;
        }
    }

    /// A rebuild begins, under a token of its own. What stems from an earlier turn is dropped first, all but the newest
    /// epoch.
    pub fn begin_rebuild(&mut self, token: u128) {
        if self.generation == Some(Turn::Earlier) {
            self.places.clear();
            self.rebuilds.clear();
            self.generation = None;
        }
        self.rebuilds.insert(token, Turn::Present);
    }

    /// A rebuild ends after every active job was enqueued. Returns whether the queue is current now: not when it was
    /// lost since the rebuild began.
    pub fn complete_rebuild(&mut self, token: u128) -> bool {
        if self.rebuilds.get(&token) == Some(&Turn::Present) {
            self.generation = Some(Turn::Present);
            self.rebuilds.clear();
        }
        self.is_current()
    }
}
