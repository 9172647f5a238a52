//! Which engine scores what.

use std::path::PathBuf;

use futures::future::BoxFuture;

use crate::engine::{Assignment, Engine, Outcome};
use crate::{Children, Settings, Threads};

/// Scores light work on threads, where it is cheap, and everything else in child processes, where it does no harm.
#[derive(Clone, Debug)]
pub struct Sorting {
    threads: Threads,
    children: Children,
}

impl Sorting {
    /// As the settings say. `program` and the runtime are as for [`Children::new`].
    pub fn new(program: impl Into<PathBuf>, settings: &Settings) -> Sorting {
        let children = Children::new(program, settings.child_memory_mib, settings.concurrency);
        Sorting { threads: Threads::new(), children }
    }
}

impl Engine for Sorting {
    fn score(&self, assignment: Assignment) -> BoxFuture<'static, Outcome> {
        if Threads::suit(&assignment) {
            self.threads.score(assignment)
        } else {
            self.children.score(assignment)
        }
    }
}
