//! Accepting single jobs: all that wait share one commit.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use runtime::trace::{self, KeyValue, SpanKind};
use runtime::{GroupCommit, Outage, in_full};
use store::{Accepted, BatchResult, InvalidItem, NewJob, Scope, Store, StoreError};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::repeat::repeat;

/// The most jobs in one commit.
const LARGEST_BATCH: usize = 512;

type Commit = GroupCommit<NewJob, Result<Accepted, InvalidItem>, StoreError>;

/// Puts single jobs on the record.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor {
    /// For those who see no more than a part: their commits are confined to what they see together.
    confined: Commit,
    /// For those who see everything. Among the others, one of them would lift the confinement for all.
    unconfined: Commit,
    deadline: Duration,
}

impl Acceptor {
    /// Starts the flushers. `recorded` is told of every commit that brought new jobs.
    pub(crate) fn start(
        store: Store,
        deadline: Duration,
        recorded: Arc<Notify>,
        postgres: Arc<Outage>,
        metrics: Metrics,
    ) -> Acceptor {
        let start = || {
            let (store, recorded, postgres) = (store.clone(), recorded.clone(), postgres.clone());
            GroupCommit::measured(
                "accept",
                LARGEST_BATCH,
                metrics.accepts.clone(),
                move |jobs: Vec<NewJob>| commit(store.clone(), jobs, recorded.clone(), postgres.clone()),
            )
        };
        Acceptor { confined: start(), unconfined: start(), deadline }
    }

    /// Puts a job on the record. A job whose request ran out of time may be recorded all the same; asked again, the
    /// client is told of it.
    pub(crate) async fn accept(&self, job: NewJob) -> Result<Accepted, Problem> {
        let commit = if job.scope == Scope::All { &self.unconfined } else { &self.confined };
        let Ok(answer) = timeout(self.deadline, commit.submit(job)).await else {
            return Err(Problem::unavailable());
        };
        answer?.map_err(|invalid| Problem::new(Code::InvalidData, invalid.message))
    }
}

async fn commit(
    store: Store,
    jobs: Vec<NewJob>,
    recorded: Arc<Notify>,
    postgres: Arc<Outage>,
) -> BatchResult<Accepted> {
    let began = SystemTime::now();
    // A commit whose answer was lost may have happened. The ids are the same when it is repeated, which finds that out.
    let answers = match repeat(|| store.accept(&jobs)).await {
        Ok(answers) => answers,
        Err(error) => {
            if error.is_unavailable() {
                postgres.begin(&in_full(&error));
            }
            return Err(error);
        }
    };
    postgres.end();
    show(&jobs, began);
    if answers.iter().any(|answer| matches!(answer, Ok(Accepted::Created { .. }))) {
        recorded.notify_one();
    }
    Ok(answers)
}

/// The commit as it is seen in the trace of each of its jobs.
fn show(jobs: &[NewJob], began: SystemTime) {
    if !trace::is_on() {
        return;
    }
    let (ended, size) = (SystemTime::now(), i64::try_from(jobs.len()).unwrap_or(i64::MAX));
    for job in jobs {
        let attributes =
            [KeyValue::new("assay.job.id", job.id.to_string()), KeyValue::new("assay.batch.size", size)];
        trace::hop("commit", SpanKind::Client, job.traceparent.as_deref(), began..ended, &attributes);
    }
}
