//! What a connection is doing, and how long it may go on doing that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a connection may be in each state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of a request, from its first byte on.
    pub(super) header: Duration,
    /// Without a request.
    pub(super) idle: Duration,
    /// With a request that makes no progress at all. Requests have shorter limits of their own; this is for answers
    /// that nobody takes.
    pub(super) stalled: Duration,
}

/// Why a connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A head that does not come to its end.
    Header,
    /// No request.
    Idle,
    /// A request, or its answer, that makes no progress.
    Stalled,
}

/// What a connection is doing, noted by all who have to do with it. Times are milliseconds since it began.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    /// Requests that are not answered to the end, each with when it last made progress.
    requests: Mutex<HashMap<u64, u64>>,
    /// The number of the next request.
    next: AtomicU64,
    /// When a request began, made progress or ended.
    moved_at: AtomicU64,
    /// When the first byte came after that; 0: none has.
    head_at: AtomicU64,
    /// Many requests share the connection, and bytes may come that belong to none.
    is_http2: AtomicBool,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Activity {
        Activity {
            began: now,
            requests: Mutex::default(),
            next: AtomicU64::new(0),
            moved_at: AtomicU64::new(0),
            head_at: AtomicU64::new(0),
            is_http2: AtomicBool::new(false),
        }
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Bytes came.
    pub(super) fn received(&self, now: Instant) {
        if self.head_at.load(Ordering::Relaxed) == 0 && self.requests().is_empty() {
            // A head that begins in the very first millisecond has begun all the same.
            self.head_at.store(self.milliseconds(now).max(1), Ordering::Relaxed);
        }
    }

    /// It speaks HTTP/2.
    pub(super) fn speaks_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moves(&self, now: Instant) -> u64 {
        let now = self.milliseconds(now);
        self.moved_at.store(now, Ordering::Relaxed);
        now
    }

    /// A request has come. Says which it is.
    pub(super) fn begin_request(&self, now: Instant) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.head_at.store(0, Ordering::Relaxed);
        let now = self.moves(now);
        self.requests().insert(number, now);
        number
    }

    /// A request, or its answer, moves.
    pub(super) fn progress(&self, number: u64, now: Instant) {
        let now = self.moves(now);
        self.requests().insert(number, now);
    }

    /// A request is answered, or given up.
    pub(super) fn end_request(&self, number: u64, now: Instant) {
        self.moves(now);
        self.requests().remove(&number);
    }

    /// When the connection has to end if nothing happens, and why.
    pub(super) fn deadline(&self, patience: &Patience) -> (Instant, Overdue) {
        let at = |milliseconds: u64| self.began + Duration::from_millis(milliseconds);
        // Others that move do not help the one that does not.
        if let Some(moved_at) = self.requests().values().min() {
            return (at(*moved_at) + patience.stalled, Overdue::Stalled);
        }
        let idle = (at(self.moved_at.load(Ordering::Relaxed)) + patience.idle, Overdue::Idle);
        match self.head_at.load(Ordering::Relaxed) {
            0 => idle,
            _ if self.is_http2.load(Ordering::Relaxed) => idle,
            head_at => (at(head_at) + patience.header, Overdue::Header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        stalled: Duration::from_secs(300),
    };

    /// A connection and the ways to have time pass for it, in seconds since it began.
    struct Connection(Activity);

    impl Connection {
        fn new() -> Connection {
            Connection(Activity::new(Instant::now()))
        }

        fn at(&self, seconds: u64) -> Instant {
            self.0.began + Duration::from_secs(seconds)
        }

        fn deadline(&self) -> (u64, Overdue) {
            let (at, why) = self.0.deadline(&PATIENCE);
            ((at - self.0.began).as_secs(), why)
        }
    }

    #[test]
    fn a_head_has_its_time_from_its_first_byte_on_however_many_follow() {
        let it = Connection::new();
        assert_eq!(it.deadline(), (75, Overdue::Idle));
        it.0.received(it.at(20));
        it.0.received(it.at(25));
        assert_eq!(it.deadline(), (30, Overdue::Header));
        it.0.begin_request(it.at(26));
        assert_eq!(it.deadline(), (326, Overdue::Stalled));
    }

    #[test]
    fn an_answer_that_moves_goes_on_and_the_idle_time_begins_after_it() {
        let it = Connection::new();
        it.0.received(it.at(0));
        let request = it.0.begin_request(it.at(0));
        for seconds in (100..=1000).step_by(100) {
            it.0.received(it.at(seconds));
            it.0.progress(request, it.at(seconds));
        }
        assert_eq!(it.deadline(), (1300, Overdue::Stalled));
        it.0.end_request(request, it.at(1001));
        assert_eq!(it.deadline(), (1076, Overdue::Idle));
    }

    #[test]
    fn an_answer_that_nobody_takes_is_not_kept_by_others_that_are_taken() {
        let it = Connection::new();
        it.0.speaks_http2();
        it.0.begin_request(it.at(0));
        for seconds in (50..300).step_by(50) {
            let other = it.0.begin_request(it.at(seconds));
            it.0.progress(other, it.at(seconds));
            it.0.end_request(other, it.at(seconds));
        }
        assert_eq!(it.deadline(), (300, Overdue::Stalled));
    }

    #[test]
    fn http_2_keeps_no_connection_open_by_pinging() {
        let it = Connection::new();
        it.0.speaks_http2();
        for seconds in 1..5 {
            it.0.received(it.at(seconds));
        }
        assert_eq!(it.deadline(), (75, Overdue::Idle));
    }
}
