//! Scoring light work on threads of this process.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::submission::Content;
use futures::FutureExt;
use futures::future::BoxFuture;
use runtime::GroupCommit;
use tokio::task::spawn_blocking;

use crate::engine::{Assignment, Engine, Outcome, panicked};
use crate::scoring;

/// Text up to this length, with nothing to parse, counts as light work.
const MOST_LIGHT_BYTES: usize = 16 * 1024;

/// How many light assignments go to a thread together. Those at the end wait for the others, which is why both bounds
/// are small.
const MOST_LIGHT_TOGETHER: usize = 64;

/// Scores light work: a rubric that parses nothing, and little text. A thread cannot be stopped from outside, but
/// such work is linear in its length and soon over.
///
/// It takes less time than the way to a thread and back, so what is at hand of it goes together. It also
/// comes back together, and so reaches Postgres in one commit.
#[derive(Clone, Debug)]
pub struct Threads {
    light: GroupCommit<Assignment, Outcome, Infallible>,
}

impl Threads {
    /// Whether this is light work.
    pub(crate) fn suit(assignment: &Assignment) -> bool {
        !assignment.rubric.needs_source() && assignment.content.len() <= MOST_LIGHT_BYTES
    }

    /// Must be called within a runtime.
    pub fn new() -> Threads {
        let light =
            GroupCommit::spawn("score", MOST_LIGHT_TOGETHER, |assignments: Vec<Assignment>| async move {
                let many = assignments.len();
                let scoring = spawn_blocking(move || {
                    let outcomes: Vec<Outcome> = assignments.iter().map(score_or_fail).collect();
                    (outcomes, assignments)
                });
                // The slots become free here and not on the thread, where the first would wake the claimer before the
                // others are free, and it would claim for them one at a time.
                let (outcomes, _freed) =
                    scoring.await.unwrap_or_else(|_| (vec![Err(panicked()); many], Vec::new()));
                Ok(outcomes)
            });
        Threads { light }
    }
}

impl Default for Threads {
    fn default() -> Self {
        Threads::new()
    }
}

impl Engine for Threads {
    fn score(&self, assignment: Assignment) -> BoxFuture<'static, Outcome> {
        let light = self.light.clone();
        // Besides a panic, only the end of the process keeps a thread from answering.
        async move { light.submit(assignment).await.unwrap_or_else(|_| Err(panicked())) }.boxed()
    }
}

/// A panic is the failure of this submission alone.
fn score_or_fail(assignment: &Assignment) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| score(assignment))).unwrap_or_else(|_| Err(panicked()))
}

fn score(assignment: &Assignment) -> Outcome {
    let content = Content::from_slice(assignment.content.as_bytes())?;
    scoring::score(&content, &assignment.rubric, &assignment.limits)
}
