//! Trying everything, and saying what came of it.

use std::collections::BTreeMap;

use stateright::{Checker, HasDiscoveries, Model};

use crate::life::{Action, Life};

/// As many as there are cores where this is checked; more would not make it faster.
const THREADS: usize = 2;

/// What came of trying everything.
#[derive(Clone, Debug)]
pub struct Checked {
    /// How many different states there are.
    pub states: usize,
    /// The most steps that were taken from the first state to one not met before.
    pub depth: usize,
    /// What is not as it should be, each with a way there.
    pub failures: Vec<String>,
    /// What can happen elsewhere and did not here.
    pub never: Vec<&'static str>,
}

/// Takes every step from every state, until there is no new one.
pub fn check(life: Life) -> Checked {
    let checker = life.checker().threads(THREADS).spawn_bfs().join();
    let (mut failures, mut never) = (Vec::new(), Vec::new());
    // Otherwise it ended early, which it has no reason to.
    if !checker.is_done() {
        failures.push("not everything was tried".to_owned());
    }
    let mut discoveries = checker.discoveries();
    for property in life.properties() {
        match (property.expectation.discovery_is_failure(), discoveries.remove(property.name)) {
            (true, Some(path)) => failures.push(told(property.name, path.into_actions())),
            (false, None) => never.push(property.name),
            (true, None) | (false, Some(_)) => {}
        }
    }
    Checked { states: checker.unique_state_count(), depth: checker.max_depth(), failures, never }
}

/// What must never be and is, soon after the first of it was met: each with a short way there. For rules that are meant
/// to be broken.
pub fn counterexamples(life: Life) -> BTreeMap<&'static str, Vec<Action>> {
    let checker = life.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries().into_iter().map(|(name, path)| (name, path.into_actions()));
    found.filter(|(name, _)| life.property(name).expectation.discovery_is_failure()).collect()
}

fn told(name: &str, actions: Vec<Action>) -> String {
    let steps: Vec<String> = actions.iter().map(|action| format!("\n        {action:?}")).collect();
    format!("it does not hold that {name}:{}", steps.concat())
}
