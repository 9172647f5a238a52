//! Claims: jobs leased to a scorer under an epoch.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::requests::milliseconds;
use super::{Adopt, Adoption, Claimed, Moment, Place, QueueState, Release, Renewal, Turn};
use crate::{Claim, Epoch, JobId, Rank};

impl QueueState {
    /// Leases up to `max` ready jobs, one of each lane in turn, the most urgent of it, under epochs from `first_epoch` on (see
    /// [`QueueState::first_epoch`]). Jobs whose delay or lease has run out are ready. Nothing is handed out of a queue
    /// that stems from an earlier turn.
    pub fn claim(&mut self, at: Moment, max: usize, first_epoch: Epoch) -> Claimed {
        self.hear(at);
        for place in self.places.values_mut() {
            if place.ends_ms().is_some_and(|ends_ms| ends_ms <= at.now_ms) {
                let expired = match *place {
                    Place::Leased { epoch, .. } => Some(epoch),
                    _ => None,
                };
                *place = Place::Ready { rank: place.rank(), expired };
            }
        }
        let (mut claims, mut expired) = (Vec::new(), HashMap::new());
        if self.generation != Some(Turn::Earlier) {
            for epoch in (first_epoch.0..).map(Epoch).take(max) {
                let Some((rank, job, ran_out)) = self.next_in_turn() else { break };
                self.served = Some(rank.lane());
                expired.extend(ran_out.map(|epoch| (job, epoch)));
                self.lease(at, Claim { job, epoch }, rank);
                self.last_epoch = Some(epoch);
                claims.push(Claim { job, epoch });
            }
            self.wake();
        }
        let next_ms = self.places.values().filter_map(|place| place.ends_ms()).min();
        let until = |ends_ms| Duration::from_millis(u64::try_from(ends_ms - at.now_ms).unwrap_or(0));
        Claimed { claims, expired, next_event: next_ms.map(until) }
    }

    /// Begins the leases of the claims anew, also of one that has run out and that nobody has looked at since.
    pub fn renew(&mut self, at: Moment, claims: &[Claim]) -> Vec<Renewal> {
        self.hear_of(claims, at);
        let renew = |claim: &Claim| match self.places.get_mut(&claim.job) {
            Some(Place::Leased { epoch, deadline_ms, .. }) if *epoch == claim.epoch => {
                *deadline_ms = at.deadline_ms();
                Renewal::Renewed
            }
            Some(Place::Leased { epoch, .. }) if *epoch > claim.epoch => Renewal::Superseded,
            _ => Renewal::Missing,
        };
        claims.iter().map(renew).collect()
    }

    /// Leases jobs under claims that Postgres confirms, unless somebody has claimed them since.
    pub fn adopt(&mut self, at: Moment, items: &[Adopt]) -> Vec<Adoption> {
        self.hear_of(items, at);
        let adopt = |item: &Adopt| {
            if self.leased_epoch(item.claim.job).is_some_and(|leased| leased > item.claim.epoch) {
                return Adoption::Superseded;
            }
            self.lease(at, item.claim, item.rank);
            self.raise_epoch(item.claim.epoch);
            Adoption::Adopted
        };
        items.iter().map(adopt).collect()
    }

    /// Puts claimed jobs back at their old place, and returns how many were leased under their claim.
    pub fn release(&mut self, at: Moment, items: &[Release]) -> u64 {
        self.hear_of(items, at);
        let mut released = 0;
        for item in items {
            if self.holds(item.claim) {
                let rank = self.places[&item.claim.job].rank();
                self.wait(at, item.claim.job, rank, item.delay);
                released += 1;
            }
            self.raise_epoch(item.floor);
        }
        if !items.is_empty() {
            self.wake();
        }
        released
    }

    /// Takes claimed jobs off the queue, and returns how many were leased under their claim.
    pub fn finish(&mut self, at: Moment, claims: &[Claim]) -> u64 {
        self.hear_of(claims, at);
        let held = claims.iter().filter(|claim| self.holds(**claim)).map(|claim| claim.job);
        let held: BTreeSet<JobId> = held.collect();
        self.places.retain(|job, _| !held.contains(job));
        held.len() as u64
    }

    /// The most urgent job of the lane whose turn it is: the next one behind the lane that was served last, and behind the
    /// last lane the first.
    fn next_in_turn(&self) -> Option<(Rank, JobId, Option<Epoch>)> {
        let ready = self.ready();
        let next = ready.iter().find(|(rank, ..)| Some(rank.lane()) > self.served);
        next.or(ready.first()).copied()
    }

    /// The ready jobs, lane by lane and the most urgent first, each with the epoch of its lease that ran out.
    fn ready(&self) -> Vec<(Rank, JobId, Option<Epoch>)> {
        let ready = self.places.iter().filter_map(|(job, place)| match place {
            Place::Ready { rank, expired } => Some((*rank, *job, *expired)),
            _ => None,
        });
        let mut ready: Vec<_> = ready.collect();
        ready.sort();
        ready
    }

    pub(super) fn lease(&mut self, at: Moment, Claim { job, epoch }: Claim, rank: Rank) {
        self.places.insert(job, Place::Leased { rank, epoch, deadline_ms: at.deadline_ms() });
    }

    pub(super) fn wait(&mut self, at: Moment, job: JobId, rank: Rank, delay: Duration) {
        let place = match milliseconds(delay) {
            0 => Place::Ready { rank, expired: None },
            delay_ms => Place::Delayed { rank, due_ms: at.now_ms + delay_ms },
        };
        self.places.insert(job, place);
    }
}
