//! Scoring in child processes, which can be limited and killed.

mod death;
mod process;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use runtime::Outage;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::engine::{Assignment, Engine, Outcome};
use crate::protocol::{LONGEST_TASK, Task, frame};
use crate::scoring::ScoringError;
use process::{Launch, Process};

/// How long a child is kept that has nothing to do. One is kept for ever.
const KEPT_IDLE: Duration = Duration::from_secs(60);

/// How long a slot stays taken whose child could not be had: a scorer in trouble must not take jobs at full speed from
/// those that are well. Shorter than any timeout of an attempt.
const REST_AFTER_TROUBLE: Duration = Duration::from_millis(500);

/// How often idle children are looked at when nothing else happens.
const TEND_EVERY: Duration = Duration::from_secs(10);

/// Scores each submission in a process of its own for that time. One that is no longer wanted is killed, and one that
/// dies fails its submission alone.
///
/// Processes are used again. As long as fewer are at work than may be, one more stands ready, so that a lone job does
/// not wait for its start.
#[derive(Clone, Debug)]
pub struct Children {
    pool: Arc<Pool>,
    _keeper: Arc<AbortOnDropHandle<()>>,
}

#[derive(Debug)]
struct Pool {
    launch: Launch,
    /// How many are at work at most.
    most: usize,
    busy: AtomicUsize,
    /// Those that were used last come last.
    idle: Mutex<Vec<Idle>>,
    /// Tells the keeper that a child was taken, or is gone.
    changed: Notify,
    starting: Outage,
}

#[derive(Debug)]
struct Idle {
    process: Process,
    since: Instant,
}

/// One child is at work as long as this is there.
struct Busy<'a>(&'a Pool);

impl Children {
    /// Children of at most `memory_mib` of address space each, of which `most` are at work at once. `program` is one
    /// that becomes a [`Child`](crate::Child) when its arguments say so. Must be called within a runtime.
    pub fn new(program: impl Into<PathBuf>, memory_mib: u64, most: usize) -> Children {
        let pool = Arc::new(Pool {
            launch: Launch { program: program.into(), memory_mib },
            most,
            busy: AtomicUsize::new(0),
            idle: Mutex::default(),
            changed: Notify::new(),
            starting: Outage::of("starting a process to score in"),
        });
        let keeper = AbortOnDropHandle::new(tokio::spawn(keep(pool.clone())));
        Children { pool, _keeper: Arc::new(keeper) }
    }
}

impl Engine for Children {
    fn score(&self, assignment: Assignment) -> BoxFuture<'static, Outcome> {
        let pool = self.pool.clone();
        // The assignment goes last: when its slot is free, so is the child, or it is killed.
        async move {
            let outcome = pool.score(&assignment).await;
            if matches!(outcome, Err(ScoringError::Released { .. })) {
                sleep(REST_AFTER_TROUBLE).await;
            }
            outcome
        }
        .boxed()
    }
}

/// Has a child ready, and not too many, for as long as the pool is used.
async fn keep(pool: Arc<Pool>) {
    loop {
        pool.tend();
        tokio::select! {
            () = pool.changed.notified() => {}
            () = sleep(TEND_EVERY) => {}
        }
    }
}

impl Pool {
    async fn score(&self, assignment: &Assignment) -> Outcome {
        let task = Task {
            rubric: assignment.rubric.spec().into(),
            content: assignment.content.as_str().into(),
            limits: assignment.limits.clone(),
        };
        let task = frame(&task).map_err(|error| ScoringError::defect(error.to_string()))?;
        if task.len() > LONGEST_TASK {
            return Err(ScoringError::invalid_content(format!(
                "{} bytes are more than can be scored",
                task.len()
            )));
        }
        let _busy = Busy::at(self);
        let mut process = self.take()?;
        match process.ask(&task).await {
            Ok(answer) => {
                if !answer.retires {
                    self.lock().push(Idle { process, since: Instant::now() });
                }
                answer.outcome
            }
            Err(error) => {
                let failure = process.end(error).await;
                warn!(job = %assignment.job, error = %failure, "a child process died");
                Err(failure)
            }
        }
    }

    /// A child that has nothing to do.
    fn take(&self) -> Result<Process, ScoringError> {
        let mut idle = self.lock();
        while let Some(Idle { mut process, .. }) = idle.pop() {
            // Whatever killed it was none of this submission's doing.
            if !process.has_ended() {
                return Ok(process);
            }
        }
        drop(idle);
        self.start()
    }

    fn start(&self) -> Result<Process, ScoringError> {
        let started = Process::start(&self.launch);
        self.starting.note(&started);
        started.map_err(|error| ScoringError::Released {
            message: format!("its scorer could not start a process for it: {error}"),
        })
    }

    fn tend(&self) {
        let mut idle = self.lock();
        idle.retain_mut(|idle| !idle.process.has_ended());
        let outworn = idle.iter().take_while(|idle| idle.since.elapsed() > KEPT_IDLE).count();
        let dispensable = idle.len().saturating_sub(1);
        idle.drain(..outworn.min(dispensable));
        // Where none can be started, whoever needs one says so.
        if idle.is_empty()
            && self.busy.load(Ordering::Relaxed) < self.most
            && let Ok(process) = self.start()
        {
            idle.push(Idle { process, since: Instant::now() });
        }
    }

    // The list is whole after each single operation, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy<'_> {
    fn at(pool: &Pool) -> Busy<'_> {
        pool.busy.fetch_add(1, Ordering::Relaxed);
        pool.changed.notify_one();
        Busy(pool)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}
