//! Starting and ending attempts in Postgres, many in one commit.
//!
//! While Postgres is away, the calls wait for it: the lease is kept, the result is kept, and no attempt is spent.

use std::sync::Arc;
use std::time::Duration;

use domain::report::Report;
use domain::{Claim, Epoch, Pool};
use queue::Announcer;
use runtime::metrics::Dependency;
use runtime::{GroupCommit, GroupCommitError, Outage, in_full};
use store::{Ending, FinishRequest, Finished, InvalidItem, StartRequest, Started, Store, StoreError, Tenure};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::apart::together_or_apart;
use crate::held::Holding;
use crate::metrics::{FINISH, Metrics, START};

/// The most attempts that one statement starts or ends.
const LARGEST_BATCH: usize = 256;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The record of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    store: Store,
    scorer: String,
    pool: Pool,
    announcer: Announcer,
    outage: Arc<Outage>,
    /// The process is about to end: Postgres is waited for no longer.
    last_call: CancellationToken,
    starts: GroupCommit<StartRequest, Result<Started, StoreError>, StoreError>,
    finishes: GroupCommit<FinishRequest, Result<Result<Finished, InvalidItem>, StoreError>, StoreError>,
}

/// What came of handing something in: an answer, an error of its own, or one for all that went with it.
type Submitted<T> = Result<Result<T, StoreError>, GroupCommitError<StoreError>>;

impl Records {
    pub(crate) fn new(
        store: Store,
        scorer: String,
        (pool, announcer): (Pool, Announcer),
        last_call: CancellationToken,
        metrics: &Metrics,
    ) -> Records {
        let outage = Arc::new(Outage::shown_by("Postgres", metrics.dependencies.away(Dependency::POSTGRES)));
        let starts = GroupCommit::measured("start", LARGEST_BATCH, metrics.commits.of(START), {
            let (store, outage) = (store.clone(), outage.clone());
            move |requests: Vec<StartRequest>| {
                let (store, outage) = (store.clone(), outage.clone());
                async move { noted(&outage, together_or_apart(&requests, |some| store.start(some)).await) }
            }
        });
        let finishes = GroupCommit::measured("finish", LARGEST_BATCH, metrics.commits.of(FINISH), {
            let (store, outage) = (store.clone(), outage.clone());
            move |requests: Vec<FinishRequest>| {
                let (store, outage) = (store.clone(), outage.clone());
                async move { noted(&outage, together_or_apart(&requests, |some| store.finish(some)).await) }
            }
        });
        Records { store, scorer, pool, announcer, outage, last_call, starts, finishes }
    }

    /// Starts the attempt; `expired` is the epoch of the job's last lease when that is known to have run out. `None` when
    /// the claim was lost, or the process had to end, before Postgres answered.
    pub(crate) async fn start(&self, holding: &Holding, expired: Epoch) -> Option<Started> {
        let Claim { job, epoch } = holding.claim;
        let request = StartRequest { job, epoch, expired, scorer: self.scorer.clone() };
        let started = self.patiently(holding, || self.starts.submit(request.clone())).await;
        if let Some(Started::Started { .. } | Started::Exhausted { .. }) = &started {
            self.announcer.announce(&self.pool, job);
        }
        started
    }

    /// Ends the attempt. `None` as for [`Records::start`].
    pub(crate) async fn finish(
        &self,
        holding: &Holding,
        ending: Ending,
    ) -> Option<Result<Finished, InvalidItem>> {
        let Claim { job, epoch } = holding.claim;
        let request = FinishRequest { job, epoch, ending };
        let finished = self.patiently(holding, || self.finishes.submit(request.clone())).await;
        if let Some(Ok(Finished::Recorded { .. })) = &finished {
            self.announcer.announce(&self.pool, job);
        }
        finished
    }

    /// Reads a rubric's spec. The outer `None` as for [`Records::start`], the inner when there is no such rubric.
    pub(crate) async fn rubric_spec(
        &self,
        holding: &Holding,
        name: &str,
        version: &str,
    ) -> Option<Option<String>> {
        self.patiently(holding, || async move {
            let spec = noted(&self.outage, self.store.rubric_spec(name, version).await);
            spec.map(Ok).map_err(GroupCommitError::Flush)
        })
        .await
    }

    /// Whose the job of each claim is. Asks once.
    pub(crate) async fn held(&self, claims: &[Claim]) -> Result<Vec<Tenure>, StoreError> {
        noted(&self.outage, self.store.held(claims).await)
    }

    /// Calls until there is an answer. A call under way is never abandoned, since its effect would stay unknown. The
    /// pauses end when the claim is lost or the process ends.
    async fn patiently<T, Fut>(&self, holding: &Holding, call: impl Fn() -> Fut) -> Option<T>
    where
        Fut: Future<Output = Submitted<T>>,
    {
        let (mut pause, mut complained) = (FIRST_PAUSE, false);
        loop {
            match call().await {
                Ok(Ok(answer)) => return Some(answer),
                // Only of this job, so it is no outage that the others would speak of.
                Ok(Err(error)) if !complained => {
                    error!(job = %holding.claim.job, error = in_full(&error), "Postgres chokes on this job: trying again");
                    complained = true;
                }
                Ok(Err(_)) | Err(_) => {}
            }
            tokio::select! {
                biased;
                () = holding.lost() => return None,
                () = self.last_call.cancelled() => return None,
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }
}

fn noted<T>(postgres: &Outage, result: Result<T, StoreError>) -> Result<T, StoreError> {
    postgres.note(&result);
    result
}

/// The ending of an attempt that yielded a report.
pub(crate) fn done(report: Report) -> Ending {
    let result = report.result().to_string();
    Ending::Done { score: report.score, feedback: report.feedback, result }
}
