//! One flush for all who wait.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Turns many small writes into few large ones without a timer.
///
/// Callers hand in an item each and await its own result. One flusher takes all that is waiting, up to a bound, the
/// moment its previous flush ends. Idle, an item is flushed at once and alone; under load the batches grow by
/// themselves and the cost of one item falls. The idea is that of a database's group commit (D. DeWitt et al.,
/// *Implementation Techniques for Main Memory Database Systems*, 1984).
///
/// An item whose caller has gone is flushed all the same: what was accepted is not taken back.
pub struct GroupCommit<T, R, E> {
    items: mpsc::Sender<Waiting<T, R, E>>,
}

struct Waiting<T, R, E> {
    item: T,
    since: Instant,
    result: oneshot::Sender<Result<R, GroupCommitError<E>>>,
}

impl<T, R, E> Clone for GroupCommit<T, R, E> {
    fn clone(&self) -> Self {
        GroupCommit { items: self.items.clone() }
    }
}

impl<T, R, E> fmt::Debug for GroupCommit<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit").finish_non_exhaustive()
    }
}

/// What is measured of a group commit.
#[derive(Clone, Debug)]
pub struct CommitMetrics {
    /// How many items went into one flush.
    pub sizes: Histogram,
    /// How long each item waited until its flush began, in seconds.
    pub waits: Histogram,
}

impl CommitMetrics {
    fn observe(&self, waits: impl ExactSizeIterator<Item = f64>) {
        self.sizes.observe(u32::try_from(waits.len()).unwrap_or(u32::MAX).into());
        waits.for_each(|seconds| self.waits.observe(seconds));
    }
}

/// Why an item has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupCommitError<E> {
    /// The flush that held the item failed; whether the item was written is for the flush's own error to say.
    #[error(transparent)]
    Flush(E),
    /// The flush panicked, or answered with another number of results than it was given items: a defect.
    #[error("the group commit {0:?} is defective: it did not answer for its items")]
    Defect(&'static str),
    /// The process is ending and takes no more items.
    #[error("the group commit has stopped")]
    Stopped,
}

impl<T, R, E> GroupCommit<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Clone + Send + 'static,
{
    /// Starts the flusher. `flush` answers with one result an item, in the items' order, or with one error for all.
    /// The flusher ends once every handle is dropped and what was handed in is flushed.
    pub fn spawn<F, Fut>(name: &'static str, largest_batch: usize, flush: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, E>> + Send + 'static,
    {
        Self::start(name, largest_batch, None, flush)
    }

    /// Like [`GroupCommit::spawn`], and says how large its batches are and how long items wait.
    pub fn measured<F, Fut>(
        name: &'static str,
        largest_batch: usize,
        metrics: CommitMetrics,
        flush: F,
    ) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, E>> + Send + 'static,
    {
        Self::start(name, largest_batch, Some(metrics), flush)
    }

    fn start<F, Fut>(
        name: &'static str,
        largest_batch: usize,
        metrics: Option<CommitMetrics>,
        flush: F,
    ) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<R>, E>> + Send + 'static,
    {
        let (items, waiting) = mpsc::channel(largest_batch);
        tokio::spawn(flush_until_closed(name, largest_batch, metrics, waiting, flush));
        GroupCommit { items }
    }

    /// Hands in one item and waits for its result.
    ///
    /// # Errors
    /// The error of the flush that held it, for every item of that flush.
    pub async fn submit(&self, item: T) -> Result<R, GroupCommitError<E>> {
        let (result, answer) = oneshot::channel();
        self.items
            .send(Waiting { item, since: Instant::now(), result })
            .await
            .map_err(|_| GroupCommitError::Stopped)?;
        answer.await.map_err(|_| GroupCommitError::Stopped)?
    }
}

async fn flush_until_closed<T, R, E, F, Fut>(
    name: &'static str,
    largest_batch: usize,
    metrics: Option<CommitMetrics>,
    mut waiting: mpsc::Receiver<Waiting<T, R, E>>,
    flush: F,
) where
    E: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<R>, E>>,
{
    let mut batch = Vec::with_capacity(largest_batch);
    while waiting.recv_many(&mut batch, largest_batch).await > 0 {
        if let Some(metrics) = &metrics {
            let now = Instant::now();
            metrics.observe(batch.iter().map(|waiting| (now - waiting.since).as_secs_f64()));
        }
        let (items, callers): (Vec<_>, Vec<_>) = batch.drain(..).map(|w| (w.item, w.result)).unzip();
        let outcome = AssertUnwindSafe(async { flush(items).await }).catch_unwind().await;
        let answers: Vec<Result<R, GroupCommitError<E>>> = match outcome {
            Ok(Ok(results)) if results.len() == callers.len() => results.into_iter().map(Ok).collect(),
            Ok(Err(error)) => callers.iter().map(|_| Err(GroupCommitError::Flush(error.clone()))).collect(),
            Ok(Ok(_)) | Err(_) => callers.iter().map(|_| Err(GroupCommitError::Defect(name))).collect(),
        };
        for (caller, answer) in callers.into_iter().zip(answers) {
            // A caller that has gone needs no answer.
            let _ = caller.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use futures::future::join_all;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_lone_item_is_flushed_at_once() {
        let doubled = GroupCommit::<u32, u32, Infallible>::spawn("double", 8, |items| async move {
            Ok(items.into_iter().map(|n| n * 2).collect())
        });
        assert_eq!(doubled.submit(21).await, Ok(42));
    }

    #[tokio::test]
    async fn what_waits_during_a_flush_goes_into_the_next_one_up_to_the_bound() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let commit = {
            let (sizes, entered, proceed) = (sizes.clone(), entered.clone(), proceed.clone());
            GroupCommit::<u32, u32, Infallible>::spawn("hold", 4, move |items| {
                let (sizes, entered, proceed) = (sizes.clone(), entered.clone(), proceed.clone());
                async move {
                    sizes.lock().expect("no panic while held").push(items.len());
                    entered.notify_one();
                    proceed.notified().await;
                    Ok(items)
                }
            })
        };
        let first = tokio::spawn({
            let commit = commit.clone();
            async move { commit.submit(0).await }
        });
        entered.notified().await;
        let mut rest = Box::pin(join_all((1..=6).map(|n| commit.submit(n))));
        assert!(futures::poll!(&mut rest).is_pending());
        for _ in 0..3 {
            proceed.notify_one();
            tokio::select! { biased; _ = &mut rest => break, () = entered.notified() => {} }
        }
        assert_eq!(first.await.expect("no panic"), Ok(0));
        assert_eq!(*sizes.lock().expect("no panic while held"), [1, 4, 2]);
    }

    #[tokio::test]
    async fn sizes_and_waits_are_measured() {
        let metrics = CommitMetrics { sizes: crate::metrics::of_sizes(), waits: crate::metrics::of_calls() };
        let (entered, proceed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let commit = {
            let (entered, proceed) = (entered.clone(), proceed.clone());
            GroupCommit::<u32, u32, Infallible>::measured("hold", 8, metrics.clone(), move |items| {
                let (entered, proceed) = (entered.clone(), proceed.clone());
                async move {
                    entered.notify_one();
                    proceed.notified().await;
                    Ok(items)
                }
            })
        };
        let mut first = Box::pin(commit.submit(0));
        assert!(futures::poll!(&mut first).is_pending());
        entered.notified().await;
        // These wait for the first, for 10 ms at the least.
        let mut rest = Box::pin(join_all((1..=3).map(|n| commit.submit(n))));
        assert!(futures::poll!(&mut rest).is_pending());
        std::thread::sleep(std::time::Duration::from_millis(10));
        proceed.notify_one();
        entered.notified().await;
        proceed.notify_one();
        assert_eq!(first.await, Ok(0));
        rest.await;
        let mut registry = Registry::default();
        registry.register("sizes", "of batches", metrics.sizes);
        registry.register("waits", "of items", metrics.waits);
        let mut shown = String::new();
        encode(&mut shown, &registry).expect("text");
        let value = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        assert_eq!(
            [value("sizes_count"), value("sizes_sum"), value("waits_count")],
            [2.0, 4.0, 4.0].map(Some)
        );
        assert!(value("waits_sum") >= Some(0.03), "{shown}");
    }

    #[tokio::test]
    async fn an_error_reaches_every_caller_of_its_flush_and_the_next_flush_goes_on() {
        let commit = GroupCommit::<u32, u32, &str>::spawn("odd", 8, |items| async move {
            if items.contains(&13) { Err("unlucky") } else { Ok(items) }
        });
        assert_eq!(commit.submit(13).await, Err(GroupCommitError::Flush("unlucky")));
        assert_eq!(commit.submit(14).await, Ok(14));
    }

    #[tokio::test]
    async fn a_panic_before_the_first_await_does_not_end_the_flusher() {
        let commit = GroupCommit::<u32, u32, Infallible>::spawn("sized", 8, |items| {
            assert!(!items.contains(&1), "one is refused");
            async move { Ok(items) }
        });
        assert_eq!(commit.submit(1).await, Err(GroupCommitError::Defect("sized")));
        assert_eq!(commit.submit(2).await, Ok(2));
    }

    #[tokio::test]
    async fn a_panic_or_a_missing_result_is_a_defect_and_does_not_end_the_flusher() {
        let commit = GroupCommit::<u32, u32, Infallible>::spawn("picky", 8, |items| async move {
            assert!(!items.contains(&1), "one is refused");
            Ok(items.into_iter().filter(|n| *n != 2).collect())
        });
        assert_eq!(commit.submit(1).await, Err(GroupCommitError::Defect("picky")));
        assert_eq!(commit.submit(2).await, Err(GroupCommitError::Defect("picky")));
        assert_eq!(commit.submit(3).await, Ok(3));
    }
}
