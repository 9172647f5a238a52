//! What becomes of a state when nothing goes wrong any more.

use domain::queue_rules::Place;
use domain::transition::Verdict;
use domain::{Claim, JobId};

use crate::operator::{self, Keeper, Operator, Sweep};
use crate::renewal::Renewing;
use crate::rules::Rules;
use crate::scorer::{Scorer, Step, Work};
use crate::state::{State, jobs};

/// Who is still there when faults cease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// Everybody: who was paused wakes up, and all attempts succeed.
    All,
    /// Nobody: others take their places, and all attempts fail in a way that may pass.
    None,
}

impl State {
    /// The state in which all jobs have ended, when nothing goes wrong any more. None when they do not within as many
    /// rounds as there are attempts, and a few: in a round everybody does all that there is to do, then the leases and
    /// delays end that nobody keeps.
    pub fn without_faults(&self, rules: &Rules, survivors: Survivors) -> Option<State> {
        let mut state = self.clone();
        state.fail_over();
        let verdict = match survivors {
            Survivors::All => Verdict::Done,
            Survivors::None => {
                state.scorers.fill(Scorer::default());
                state.operators.fill(Operator::default());
                Verdict::Retryable
            }
        };
        let held_back: Vec<JobId> =
            jobs(state.rows.len()).filter(|job| state.row(*job).job.suspended).collect();
        held_back.into_iter().for_each(|job| state.resume(job));
        let rounds = 5 + state.rows.iter().map(|row| row.job.max_attempts).sum::<u32>();
        for _ in 0..rounds {
            if state.have_all_ended() {
                return Some(state);
            }
            state.let_scorers_work(rules, verdict);
            state.let_operators_work(rules);
            state.let_time_pass();
        }
        state.have_all_ended().then_some(state)
    }

    /// Whether there is nothing left to do.
    pub fn have_all_ended(&self) -> bool {
        self.rows.iter().all(|row| row.job.status.is_terminal())
    }

    fn let_operators_work(&mut self, rules: &Rules) {
        for which in 0..self.operators.len() {
            self.let_operator_end(rules, which);
            self.operator_does(rules, which, operator::Step::Tick);
            if rules.audit || !self.queue.is_current() {
                self.operator_does(rules, which, operator::Step::Begin);
            }
            self.operator_does(rules, which, operator::Step::Sweep);
            self.let_operator_end(rules, which);
        }
    }

    fn let_operator_end(&mut self, rules: &Rules, which: usize) {
        while self.operators[which].keeper != Keeper::Idle {
            self.operator_does(rules, which, operator::Step::GoOn);
        }
        while self.operators[which].sweep != Sweep::Idle {
            self.operator_does(rules, which, operator::Step::Sweep);
        }
    }

    fn let_scorers_work(&mut self, rules: &Rules, verdict: Verdict) {
        for which in 0..self.scorers.len() {
            self.look_for_cancellation(which);
            self.renew(rules, which);
            while self.scorers[which].renewing != Renewing::Idle {
                self.renew(rules, which);
            }
        }
        for which in 0..self.scorers.len() {
            self.let_scorer_end(rules, which, verdict);
            // A job each: what is left is for the next round.
            self.scorer_does(rules, which, Step::Claim);
            self.let_scorer_end(rules, which, verdict);
        }
    }

    fn let_scorer_end(&mut self, rules: &Rules, which: usize, verdict: Verdict) {
        while self.scorers[which].work != Work::Idle {
            let step = match self.scorers[which].steps()[0] {
                Step::Score(_) => Step::Score(verdict),
                step => step,
            };
            self.scorer_does(rules, which, step);
        }
    }

    fn let_time_pass(&mut self) {
        let unkept = |(job, place): (JobId, Place)| match place {
            Place::Leased { epoch, .. } => (!self.is_held(Claim { job, epoch })).then_some(job),
            _ => Some(job),
        };
        let ended: Vec<JobId> = self.with_time_left().filter_map(unkept).collect();
        ended.into_iter().for_each(|job| self.run_out(job));
    }
}
