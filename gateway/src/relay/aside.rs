//! What the API server refused, put aside for a while so that it does not stop the others.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long after its time came something is remembered: whatever still waits is tried long before that.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Jobs and batches that were refused, each with the time until which it is left alone.
#[derive(Debug, Default)]
pub(super) struct Aside(HashMap<Uuid, Refused>);

#[derive(Debug)]
struct Refused {
    until: Instant,
    pause: Duration,
}

impl Aside {
    /// It was refused: leaves it alone for a while, longer each time.
    pub(super) fn put(&mut self, id: Uuid, now: Instant) {
        let pause = self.0.get(&id).map_or(FIRST_PAUSE, |refused| (refused.pause * 2).min(LONGEST_PAUSE));
        self.0.insert(id, Refused { until: now + pause, pause });
    }

    /// Whether it is to be left alone now.
    pub(super) fn holds(&self, id: Uuid, now: Instant) -> bool {
        self.0.get(&id).is_some_and(|refused| refused.until > now)
    }

    /// How many there are: so many more must be read to find something else.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what has not been refused for long: it was taken, or has ended.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.0.retain(|_, refused| refused.until + REMEMBERED > now);
    }

    /// Forgets all: what refused them has changed.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_again_is_left_alone_for_longer() {
        let (mut aside, id, now) = (Aside::default(), Uuid::from_u128(1), Instant::now());
        aside.put(id, now);
        assert!(aside.holds(id, now) && !aside.holds(id, now + FIRST_PAUSE));
        aside.put(id, now);
        assert!(aside.holds(id, now + FIRST_PAUSE) && !aside.holds(id, now + 2 * FIRST_PAUSE));
        for _ in 0..10 {
            aside.put(id, now);
        }
        assert!(!aside.holds(id, now + LONGEST_PAUSE));
    }

    #[test]
    fn what_was_taken_long_ago_is_forgotten() {
        let (mut aside, id, now) = (Aside::default(), Uuid::from_u128(1), Instant::now());
        aside.put(id, now);
        aside.tidy(now + FIRST_PAUSE);
        assert_eq!(aside.len(), 1);
        aside.tidy(now + FIRST_PAUSE + REMEMBERED);
        assert_eq!(aside.len(), 0);
    }
}
