//! The rules of the queue: what each of its scripts on Redis answers, and what it leaves behind.
//!
//! The scripts do for many jobs at once, and over several keys, what is said here in the plainest way: one job after
//! the other, the time given. The queue's tests compare both after every step of random histories, on a real Redis, and
//! the model of a job's life is checked exhaustively over these functions; so what holds there holds for the scripts.

mod claims;
mod clock;
mod enqueue;
mod rebuild;
mod requests;

use std::collections::BTreeMap;

pub use clock::Moment;
pub use requests::{Adopt, Adoption, Claimed, Enqueue, Release, Renewal};

use crate::{Claim, Epoch, JobId, Lane, Rank};

/// Everything that Redis keeps of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueueState {
    /// Where each job is that is on the queue.
    pub places: BTreeMap<JobId, Place>,
    /// The newest epoch that was handed out, or that none is to be handed out below.
    pub last_epoch: Option<Epoch>,
    /// The lane from which a job was last handed out: the next turn is another's.
    pub served: Option<Lane>,
    /// When somebody was last heard, in milliseconds of the Redis clock.
    pub heard_ms: Option<i64>,
    /// Whether a marker lies there for one waiting claimer.
    pub marker: bool,
    /// Whose history the queue was built on. None before the first rebuild, and after Redis was emptied.
    pub generation: Option<Turn>,
    /// The rebuilds that have begun and are not complete, by their tokens, with the turn in which they began.
    pub rebuilds: BTreeMap<u128, Turn>,
}

/// Where a job is on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// It may be claimed.
    Ready {
        /// Its place among the ready ones.
        rank: Rank,
        /// The epoch of its last lease, when that is known to have run out.
        expired: Option<Epoch>,
    },
    /// It may be claimed later.
    Delayed {
        /// Its place among the ready ones, when it is due.
        rank: Rank,
        /// When that is, in milliseconds of the Redis clock.
        due_ms: i64,
    },
    /// A scorer holds it.
    Leased {
        /// Its place among the ready ones, should it return there.
        rank: Rank,
        /// The epoch of the claim.
        epoch: Epoch,
        /// When the lease runs out, in milliseconds of the Redis clock.
        deadline_ms: i64,
    },
}

impl Place {
    /// The job's place among the ready ones, now or when it returns there.
    pub fn rank(self) -> Rank {
        let (Place::Ready { rank, .. } | Place::Delayed { rank, .. } | Place::Leased { rank, .. }) = self;
        rank
    }

    fn set_rank(&mut self, new: Rank) {
        let (Place::Ready { rank, .. } | Place::Delayed { rank, .. } | Place::Leased { rank, .. }) = self;
        *rank = new;
    }

    /// When a delay or a lease ends, in milliseconds of the Redis clock.
    fn ends_ms(self) -> Option<i64> {
        match self {
            Place::Ready { .. } => None,
            Place::Delayed { due_ms, .. } => Some(due_ms),
            Place::Leased { deadline_ms, .. } => Some(deadline_ms),
        }
    }
}

/// In which turn of a Redis server as a primary something was written. A turn ends with every start and every failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Turn {
    /// The present one.
    Present,
    /// An earlier one, so that what was done since may be missing.
    Earlier,
}

impl QueueState {
    /// The epoch under which the job is leased.
    pub fn leased_epoch(&self, job: JobId) -> Option<Epoch> {
        match self.places.get(&job) {
            Some(Place::Leased { epoch, .. }) => Some(*epoch),
            _ => None,
        }
    }

    /// The first epoch that a claim hands out at this time of the Redis clock, in microseconds. It rises with the clock,
    /// so also after Redis was emptied, and while the clock is behind it rises all the same.
    pub fn first_epoch(&self, now_us: i64) -> Epoch {
        Epoch(now_us.max(self.last_epoch.unwrap_or(Epoch::NONE).0 + 1))
    }

    fn holds(&self, claim: Claim) -> bool {
        self.leased_epoch(claim.job) == Some(claim.epoch)
    }

    /// No epoch at or below the floor is handed out from now on.
    fn raise_epoch(&mut self, floor: Epoch) {
        if floor > self.last_epoch.unwrap_or(Epoch::NONE) {
            self.last_epoch = Some(floor);
        }
    }

    /// Leaves a marker when there is something to claim.
    fn wake(&mut self) {
        self.marker |= self.places.values().any(|place| matches!(place, Place::Ready { .. }));
    }
}
