//! The lease clock, which stands still while nobody can reach Redis.

use super::{Place, QueueState};

/// When a call is made, by the clock of the Redis server, and what its caller knows of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time, in milliseconds.
    pub now_ms: i64,
    /// How long a lease lasts, in milliseconds.
    pub lease_ms: i64,
    /// Silence longer than this, in milliseconds, means that nobody could reach Redis.
    pub outage_ms: i64,
}

impl Moment {
    /// When a lease that begins now runs out.
    pub(super) fn deadline_ms(self) -> i64 {
        self.now_ms + self.lease_ms
    }
}

impl QueueState {
    /// Whoever claims, renews or gives up a lease lets the lease clock run. After an outage every lease gets the time
    /// back that nobody could renew in; when the clock went back, what is planned goes back with it.
    pub(super) fn hear(&mut self, at: Moment) {
        let gap = at.now_ms - self.heard_ms.unwrap_or(at.now_ms);
        for place in self.places.values_mut() {
            match place {
                Place::Leased { deadline_ms, .. } if gap < 0 || gap > at.outage_ms => {
                    *deadline_ms = (*deadline_ms + gap).min(at.deadline_ms());
                }
                Place::Delayed { due_ms, .. } if gap < 0 => *due_ms += gap,
                _ => {}
            }
        }
        self.heard_ms = Some(at.now_ms);
    }

    /// A call for no items never reaches Redis.
    pub(super) fn hear_of<I>(&mut self, items: &[I], at: Moment) {
        if !items.is_empty() {
            self.hear(at);
        }
    }
}
