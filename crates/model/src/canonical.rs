//! What makes states the same that differ in nothing that matters.

use domain::queue_rules::{Place, QueueState};
use domain::{Claim, Epoch};

use crate::operator::{Keeper, Operator, Sweep};
use crate::renewal::Renewing;
use crate::scorer::{Holding, LeaseEnd, Phase, Scorer, Work};
use crate::state::{NOW, Row, State, index, jobs};

impl State {
    /// Forgets what nobody can ask about any more, numbers the epochs anew, in their order, with a gap below each for
    /// what a clock that is behind may hand out, and puts the scorers in an order. A queue's newest epoch matters only to
    /// a claim while the clock is behind.
    pub(crate) fn make_canonical(&mut self, clock_may_be_behind: bool) {
        self.forget();
        if !clock_may_be_behind {
            self.scorers.iter_mut().for_each(Scorer::forget_floor);
        }
        for queue in [Some(&mut self.queue), self.replica.as_mut()].into_iter().flatten() {
            // Markers only hasten what claimers do anyway, and time stands still.
            queue.marker = false;
            queue.heard_ms = Some(NOW.now_ms);
            // All jobs are in one lane.
            queue.served = None;
            if !clock_may_be_behind {
                queue.last_epoch = None;
            }
        }
        self.renumber();
        self.scorers.sort_by_key(Scorer::order);
    }

    /// The epoch of an ended attempt matters as long as a scorer may look for its record; afterwards an attempt that does
    /// not count is forgotten. That a lease ran out matters when it is the running attempt's, or of a claim that may still
    /// be started.
    fn forget(&mut self) {
        let State { rows, queue, scorers, .. } = self;
        let held: Vec<(Claim, bool)> =
            scorers.iter().filter_map(|scorer| Some((scorer.held()?, scorer.has_started()))).collect();
        let may_run =
            |claim: Claim, row: &Row| row.job.epoch == claim.epoch || held.contains(&(claim, false));
        for (job, row) in jobs(rows.len()).zip(rows.iter_mut()) {
            row.attempts.retain_mut(|attempt| {
                let claim = Claim { job, epoch: attempt.epoch };
                let asked_about = held.iter().any(|(held, _)| *held == claim);
                if !asked_about {
                    attempt.epoch = Epoch::NONE;
                }
                asked_about || attempt.outcome.spends_attempt()
            });
            let ran_out = std::mem::take(&mut row.ran_out);
            row.ran_out =
                ran_out.into_iter().filter(|epoch| may_run(Claim { job, epoch: *epoch }, row)).collect();
            row.ran_out.sort_unstable();
            if let Some(Place::Ready { expired, .. }) = queue.places.get_mut(&job) {
                *expired = expired.filter(|epoch| *epoch >= row.job.epoch);
            }
        }
        for scorer in scorers {
            if let Work::Holding(Holding { claim, phase: Phase::Starting { expired }, .. }) = &mut scorer.work
                && *expired < rows[index(claim.job)].job.epoch
            {
                *expired = Epoch::NONE;
            }
        }
    }

    fn renumber(&mut self) {
        let mut epochs = Vec::with_capacity(24);
        self.for_each_epoch(&mut |epoch: &mut Epoch| epochs.push(*epoch));
        epochs.sort_unstable();
        epochs.dedup();
        epochs.retain(|epoch| *epoch != Epoch::NONE);
        self.for_each_epoch(&mut |epoch: &mut Epoch| {
            if let Ok(at) = epochs.binary_search(epoch) {
                *epoch = Epoch(2 * (at as i64 + 1));
            }
        });
    }

    /// The newest epoch that anybody knows of.
    pub(crate) fn newest_epoch(&mut self) -> Epoch {
        let mut newest = Epoch::NONE;
        self.for_each_epoch(&mut |epoch: &mut Epoch| newest = newest.max(*epoch));
        newest
    }

    /// Visits every epoch that anybody knows of.
    fn for_each_epoch(&mut self, visit: &mut impl FnMut(&mut Epoch)) {
        for row in &mut self.rows {
            visit(&mut row.job.epoch);
            row.attempts.iter_mut().for_each(|attempt| visit(&mut attempt.epoch));
            row.ran_out.iter_mut().for_each(&mut *visit);
        }
        for queue in [Some(&mut self.queue), self.replica.as_mut()].into_iter().flatten() {
            of_queue(queue, visit);
        }
        for scorer in &mut self.scorers {
            of_scorer(scorer, visit);
        }
        for Operator { keeper, sweep } in &mut self.operators {
            if let Keeper::Putting(_, _, page) | Keeper::PuttingBack(page) = keeper {
                page.iter_mut().for_each(|item| visit(&mut item.epoch));
            }
            if let Sweep::Putting(page) = sweep {
                page.iter_mut().for_each(|item| visit(&mut item.epoch));
            }
        }
    }
}

fn of_queue(queue: &mut QueueState, visit: &mut impl FnMut(&mut Epoch)) {
    queue.last_epoch.iter_mut().for_each(&mut *visit);
    for place in queue.places.values_mut() {
        match place {
            Place::Ready { expired, .. } => expired.iter_mut().for_each(&mut *visit),
            Place::Delayed { .. } => {}
            Place::Leased { epoch, .. } => visit(epoch),
        }
    }
}

fn of_scorer(scorer: &mut Scorer, visit: &mut impl FnMut(&mut Epoch)) {
    match &mut scorer.work {
        Work::Idle => {}
        Work::Holding(holding) => {
            visit(&mut holding.claim.epoch);
            if let Phase::Starting { expired } = &mut holding.phase {
                visit(expired);
            }
        }
        Work::Ending(LeaseEnd::Drop(claim)) => visit(&mut claim.epoch),
        Work::Ending(LeaseEnd::Release(release)) => {
            visit(&mut release.claim.epoch);
            visit(&mut release.floor);
        }
    }
    if let Renewing::Asking(claim) | Renewing::Adopting(claim) = &mut scorer.renewing {
        visit(&mut claim.epoch);
    }
}

impl Scorer {
    fn forget_floor(&mut self) {
        if let Work::Ending(LeaseEnd::Release(release)) = &mut self.work {
            release.floor = Epoch::NONE;
        }
    }

    /// No two claims have the same epoch, so this tells scorers apart as far as need be.
    fn order(&self) -> (Option<Claim>, Renewing) {
        let claim = match &self.work {
            Work::Idle => None,
            Work::Holding(holding) => Some(holding.claim),
            Work::Ending(LeaseEnd::Drop(claim)) => Some(*claim),
            Work::Ending(LeaseEnd::Release(release)) => Some(release.claim),
        };
        (claim, self.renewing)
    }
}
