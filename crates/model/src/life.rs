//! The model: every order in which everybody can take their steps.

use domain::queue_rules::Place;
use domain::{Claim, JobId};
use stateright::{Model, Property};

use crate::bounds::{Bounds, FaultKind};
use crate::faults::Fault;
use crate::operator::{self, Keeper, Sweep};
use crate::properties;
use crate::rules::Rules;
use crate::scorer;
use crate::state::{State, jobs};

/// The life of a few jobs.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// How much there is of everything.
    pub bounds: Bounds,
    /// Whose rules are followed.
    pub rules: Rules,
}

/// One step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A scorer goes on with its attempt.
    Scorer(usize, scorer::Step),
    /// A scorer's renewal goes on.
    Renewal(usize),
    /// A scorer looks whether its job was cancelled.
    LookForCancellation(usize),
    /// An operator goes on.
    Operator(usize, operator::Step),
    /// A lease that nobody keeps, or a delay, ends.
    TimePasses(JobId),
    /// The replica that lagged takes over.
    FailOver,
    /// Whoever cancelled the job tells the queue.
    TakeOffQueue(JobId),
    /// A person resumes the job.
    Resume(JobId),
    /// Something goes wrong.
    Fault(Fault),
}

impl Model for Life {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        // Whatever is done then, no row changes any more, which is looked at without trying everything that leads to it.
        if state.have_all_ended() {
            return;
        }
        for (which, scorer) in state.scorers.iter().enumerate() {
            actions.extend(scorer.steps().iter().map(|step| Action::Scorer(which, *step)));
            actions.push(Action::Renewal(which));
            actions.push(Action::LookForCancellation(which));
        }
        for which in 0..state.operators.len() {
            actions.extend(self.steps_of_operator(state, which).map(|step| Action::Operator(which, step)));
        }
        for (job, place) in state.with_time_left() {
            match place {
                Place::Leased { epoch, .. } if state.is_held(Claim { job, epoch }) => {}
                _ => actions.push(Action::TimePasses(job)),
            }
        }
        actions.extend(state.replica.is_some().then_some(Action::FailOver));
        for (job, row) in jobs(state.rows.len()).zip(&state.rows) {
            actions.extend(row.to_be_taken_off.then_some(Action::TakeOffQueue(job)));
            actions.extend(row.job.suspended.then_some(Action::Resume(job)));
        }
        if state.faults_left > 0 {
            actions.extend(state.faults(self.bounds.kinds).into_iter().map(Action::Fault));
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Scorer(which, step) => next.scorer_does(&self.rules, which, step),
            Action::Renewal(which) => next.renew(&self.rules, which),
            Action::LookForCancellation(which) => next.look_for_cancellation(which),
            Action::Operator(which, step) => next.operator_does(&self.rules, which, step),
            Action::TimePasses(job) => next.run_out(job),
            Action::FailOver => next.fail_over(),
            Action::TakeOffQueue(job) => {
                next.queue.cancel(&[job]);
                next.row_mut(job).to_be_taken_off = false;
            }
            Action::Resume(job) => next.resume(job),
            Action::Fault(fault) => next.suffer(&self.rules, fault),
        }
        next.make_canonical(self.clock_may_be_behind(&next));
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = properties::always();
        properties.extend(properties::sometimes());
        properties
    }
}

impl Life {
    fn steps_of_operator(&self, state: &State, which: usize) -> impl Iterator<Item = operator::Step> {
        let operator = &state.operators[which];
        let begins = self.bounds.audits || !state.queue.is_current();
        let keeper = match operator.keeper {
            Keeper::Idle => [Some(operator::Step::Tick), begins.then_some(operator::Step::Begin)],
            _ => [Some(operator::Step::GoOn), None],
        };
        let sweeps = operator.sweep != Sweep::Idle || state.rows.iter().any(|row| row.unqueued);
        keeper.into_iter().flatten().chain(sweeps.then_some(operator::Step::Sweep))
    }

    fn clock_may_be_behind(&self, state: &State) -> bool {
        state.faults_left > 0 && self.bounds.kinds.contains(&FaultKind::ClockBehind)
    }
}
