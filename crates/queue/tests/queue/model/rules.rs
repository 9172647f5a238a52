//! The queue's rules once more, in the plainest way: one job after the other, `now` given.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use domain::{Claim, Epoch, JobId, Rank};
use queue::{Adopt, Adoption, Claimed, Enqueue, Release, Renewal};

use super::state::State;
use crate::fixture::{LEASE_MS, OUTAGE_MS};

impl State {
    /// Whoever speaks to the queue lets the lease clock run.
    fn hear(&mut self, now: i64) {
        let gap = now - self.heard.unwrap_or(now);
        if !(0..=OUTAGE_MS).contains(&gap) {
            self.leases.values_mut().for_each(|deadline| *deadline = (*deadline + gap).min(now + LEASE_MS));
        }
        if gap < 0 {
            self.delayed.values_mut().for_each(|due| *due += gap);
        }
        self.heard = Some(now);
    }

    pub(crate) fn enqueue(&mut self, now: i64, items: &[Enqueue]) -> u64 {
        let mut placed = 0;
        for item in items {
            let job = item.job;
            if self.epochs.get(&job).is_some_and(|epoch| *epoch < item.epoch.0) {
                self.remove(job);
            }
            let known = self.ready.contains_key(&job)
                || self.delayed.contains_key(&job)
                || self.leases.contains_key(&job);
            if !known {
                placed += 1;
                if item.leased {
                    self.lease(now, job, item.epoch.0, rank(item.rank));
                } else {
                    self.wait(now, job, rank(item.rank), item.delay.as_millis() as i64);
                }
            } else if let Some(place) = self.ready.get_mut(&job) {
                *place = rank(item.rank);
            } else {
                self.ranks.insert(job, rank(item.rank));
            }
            self.raise_epoch(item.epoch);
            self.wake();
        }
        placed
    }

    /// What is claimed. `first_epoch` is what the real queue began with, checked elsewhere.
    pub(crate) fn claim(&mut self, now: i64, max: usize, first_epoch: i64, stale: bool) -> Claimed {
        self.hear(now);
        let due = self.delayed.iter().chain(&self.leases).filter(|(_, at)| **at <= now);
        for job in due.map(|(job, _)| *job).collect::<Vec<_>>() {
            let (rank, ran_out) = (self.ranks[&job], self.epochs.get(&job).copied());
            self.remove(job);
            self.ready.insert(job, rank);
            self.expired.extend(ran_out.map(|epoch| (job, epoch)));
        }
        let (mut claims, mut expired) = (Vec::new(), HashMap::new());
        if !stale {
            let mut order: Vec<(i64, JobId)> = self.ready.iter().map(|(job, rank)| (*rank, *job)).collect();
            order.sort();
            for ((rank, job), epoch) in order.into_iter().take(max).zip(first_epoch..) {
                expired.extend(self.expired.get(&job).map(|epoch| (job, Epoch(*epoch))));
                self.remove(job);
                self.lease(now, job, epoch, rank);
                self.epoch = Some(epoch);
                claims.push(Claim { job, epoch: Epoch(epoch) });
            }
            self.wake();
        }
        let next_event = self.delayed.values().chain(self.leases.values()).min();
        let next_event = next_event.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or(0)));
        Claimed { claims, expired, next_event }
    }

    pub(crate) fn renew(&mut self, now: i64, claims: &[Claim]) -> Vec<Renewal> {
        self.hear_unless(claims.is_empty(), now);
        let renew = |claim: &Claim| match self.epochs.get(&claim.job) {
            Some(epoch) if *epoch == claim.epoch.0 => {
                self.leases.insert(claim.job, now + LEASE_MS);
                Renewal::Renewed
            }
            Some(epoch) if *epoch > claim.epoch.0 => Renewal::Superseded,
            _ => Renewal::Missing,
        };
        claims.iter().map(renew).collect()
    }

    pub(crate) fn adopt(&mut self, now: i64, items: &[Adopt]) -> Vec<Adoption> {
        self.hear_unless(items.is_empty(), now);
        let adopt = |item: &Adopt| {
            let Claim { job, epoch } = item.claim;
            if self.epochs.get(&job).is_some_and(|leased| *leased > epoch.0) {
                return Adoption::Superseded;
            }
            self.remove(job);
            self.lease(now, job, epoch.0, rank(item.rank));
            self.raise_epoch(epoch);
            Adoption::Adopted
        };
        items.iter().map(adopt).collect()
    }

    pub(crate) fn release(&mut self, now: i64, items: &[Release]) -> u64 {
        self.hear_unless(items.is_empty(), now);
        let mut released = 0;
        for item in items {
            if self.holds(item.claim) {
                let rank = self.ranks[&item.claim.job];
                self.remove(item.claim.job);
                self.wait(now, item.claim.job, rank, item.delay.as_millis() as i64);
                released += 1;
            }
            self.raise_epoch(item.floor);
            self.wake();
        }
        released
    }

    pub(crate) fn finish(&mut self, now: i64, claims: &[Claim]) -> u64 {
        self.hear_unless(claims.is_empty(), now);
        let held: Vec<&Claim> = claims.iter().filter(|claim| self.holds(**claim)).collect();
        let jobs: BTreeSet<JobId> = held.iter().map(|claim| claim.job).collect();
        jobs.iter().for_each(|job| self.remove(*job));
        jobs.len() as u64
    }

    pub(crate) fn cancel(&mut self, jobs: &[JobId]) -> u64 {
        let before = self.size();
        jobs.iter().for_each(|job| self.remove(*job));
        before - self.size()
    }

    pub(crate) fn withdraw(&mut self, jobs: &[JobId]) -> u64 {
        let before = self.size();
        for job in jobs {
            if !self.leases.contains_key(job) {
                self.remove(*job);
            }
        }
        before - self.size()
    }

    /// An empty list never reaches Redis.
    fn hear_unless(&mut self, empty: bool, now: i64) {
        if !empty {
            self.hear(now);
        }
    }

    fn holds(&self, claim: Claim) -> bool {
        self.epochs.get(&claim.job) == Some(&claim.epoch.0)
    }

    fn size(&self) -> u64 {
        (self.ready.len() + self.delayed.len() + self.leases.len()) as u64
    }

    fn lease(&mut self, now: i64, job: JobId, epoch: i64, rank: i64) {
        self.leases.insert(job, now + LEASE_MS);
        self.epochs.insert(job, epoch);
        self.ranks.insert(job, rank);
    }

    fn wait(&mut self, now: i64, job: JobId, rank: i64, delay_ms: i64) {
        if delay_ms > 0 {
            self.delayed.insert(job, now + delay_ms);
            self.ranks.insert(job, rank);
        } else {
            self.ready.insert(job, rank);
        }
    }

    fn remove(&mut self, job: JobId) {
        let State { ready, delayed, leases, ranks, epochs, expired, .. } = self;
        for numbers in [ready, delayed, leases, ranks, epochs, expired] {
            numbers.remove(&job);
        }
    }

    fn raise_epoch(&mut self, floor: Epoch) {
        if floor.0 > self.epoch.unwrap_or(0) {
            self.epoch = Some(floor.0);
        }
    }

    fn wake(&mut self) {
        if !self.ready.is_empty() {
            self.markers = 1;
        }
    }
}

fn rank(rank: Rank) -> i64 {
    i64::try_from(rank.0).expect("a rank fits")
}
