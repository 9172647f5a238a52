//! Leaving alone for a while what did not answer, so that not everybody waits for it in vain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The state of what answers.
const WELL: u64 = 0;

/// Whether something that others can do without is worth a question.
#[derive(Debug)]
pub struct Breaker {
    pause: Duration,
    began: Instant,
    /// [`WELL`], or when it may be asked again, in milliseconds since it began.
    ask_at: AtomicU64,
}

impl Breaker {
    /// It answers, as far as anybody knows. After a failure it is left alone for so long.
    pub fn new(pause: Duration) -> Breaker {
        Breaker { pause, began: Instant::now(), ask_at: AtomicU64::new(WELL) }
    }

    /// Whether it is worth a question: it answered the last one, or it is time for one to find out. That one is whoever is
    /// told so; the others go on without until it has [answered](Breaker::answered).
    pub fn may_be_asked(&self) -> bool {
        match self.ask_at.load(Ordering::Relaxed) {
            WELL => true,
            at if self.now() < at => false,
            at => {
                let claimed = self.ask_at.compare_exchange(
                    at,
                    self.after_pause(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                claimed.is_ok()
            }
        }
    }

    /// It answered.
    pub fn answered(&self) {
        self.ask_at.store(WELL, Ordering::Relaxed);
    }

    /// It did not.
    pub fn failed(&self) {
        self.ask_at.store(self.after_pause(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn after_pause(&self) -> u64 {
        // However short the pause: not the number that means something else.
        (self.now() + u64::try_from(self.pause.as_millis()).unwrap_or(u64::MAX)).max(WELL + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_left_alone_and_then_asked_by_one_until_it_answers() {
        let breaker = Breaker::new(Duration::from_secs(3600));
        assert!(breaker.may_be_asked() && breaker.may_be_asked());
        breaker.failed();
        assert!(!breaker.may_be_asked());
        breaker.ask_at.store(1, Ordering::Relaxed);
        while breaker.now() < 1 {}
        assert!(breaker.may_be_asked(), "the pause is over");
        assert!(!breaker.may_be_asked(), "one finds out");
        breaker.answered();
        assert!(breaker.may_be_asked() && breaker.may_be_asked());
    }
}
