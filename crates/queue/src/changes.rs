//! Telling others at once that jobs have changed on the record.
//!
//! What is said is a hint: it is lost when Redis is away, when nobody listens, and when somebody listens at a server that
//! is no longer the primary. Whoever waits for a job therefore looks at the record now and then as well.

use std::time::Duration;

use domain::{JobId, Pool};
use futures::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::{Queue, QueueError, keys};

/// Everybody listens to all pools: which jobs are waited for is known to the listener alone.
const CHANNEL: &str = "assay:changes";

/// When nothing was heard for so long, the listener says something itself, to find out whether it would be.
const SILENCE: Duration = Duration::from_secs(5);

/// How long its own word may take.
const ECHO_WITHIN: Duration = Duration::from_secs(2);

/// Limit of connecting, and the pause after it failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(500);

/// The most jobs that are named at once.
const MOST_JOBS: usize = 500;

/// How many jobs may wait to be named. What is beyond that is not: Redis is away or slow.
const BACKLOG: usize = 10_000;

/// Jobs of a pool that have changed on the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Their pool.
    pub pool: Pool,
    /// The jobs.
    pub jobs: Vec<JobId>,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Jobs have changed.
    Change(Change),
    /// It listens from now on. What was said before, or since it last listened, was missed.
    Began,
}

impl Queue {
    /// Tells all listeners that jobs of a pool have changed. To be called once that is committed.
    ///
    /// # Errors
    /// When Redis is away. Nobody is told then, and nobody need be.
    pub async fn announce(&self, pool: &Pool, jobs: &[JobId]) -> Result<(), QueueError> {
        for jobs in jobs.chunks(MOST_JOBS) {
            self.say(pool, jobs).await?;
        }
        Ok(())
    }

    /// A connection of its own on which to hear what is announced, of all pools. One of them is named for the way there.
    pub fn listener(&self, pool: Pool) -> Listener {
        Listener { queue: self.clone(), pool, connection: None, failed: false }
    }

    async fn say(&self, pool: &Pool, jobs: &[JobId]) -> Result<(), QueueError> {
        let message = written(pool, jobs);
        let _listeners: i64 =
            self.run(&self.scripts().announce, pool, |arguments| arguments.text(&message)).await?;
        Ok(())
    }
}

/// Hears what is announced.
pub struct Listener {
    queue: Queue,
    pool: Pool,
    /// The half that speaks is kept, lest the connection be closed.
    connection: Option<(PubSubSink, PubSubStream)>,
    failed: bool,
}

impl Listener {
    /// What is heard next. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When it cannot listen. The next call tries again, after a pause.
    pub async fn next(&mut self) -> Result<Heard, QueueError> {
        loop {
            let Some((_, messages)) = &mut self.connection else {
                if std::mem::take(&mut self.failed) {
                    sleep(PAUSE).await;
                }
                self.failed = true;
                self.connection = Some(self.connect().await?);
                self.failed = false;
                return Ok(Heard::Began);
            };
            let message = match timeout(SILENCE, messages.next()).await {
                Ok(message) => message,
                // Does it still listen where everybody speaks?
                Err(_silence) => match self.queue.say(&self.pool, &[]).await {
                    Ok(()) => timeout(ECHO_WITHIN, messages.next()).await.unwrap_or(None),
                    Err(_away) => None,
                },
            };
            match message.and_then(|message| message.get_payload::<String>().ok()) {
                None => self.connection = None,
                Some(text) => match read(&text) {
                    Some(change) if !change.jobs.is_empty() => return Ok(Heard::Change(change)),
                    _ => {}
                },
            }
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), QueueError> {
        let key = keys::wake(&self.pool);
        let connecting = self.queue.deployment().subscribe(&key, CHANNEL);
        let silent = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time").into();
        let connection = timeout(CONNECT_TIMEOUT * 2, connecting).await.unwrap_or_else(|_| Err(silent()));
        Ok(connection.map_err(QueueError::Unavailable)?.split())
    }
}

/// Announces changes without keeping anybody waiting, many in one call.
#[derive(Clone, Debug)]
pub struct Announcer {
    changed: mpsc::Sender<(Pool, JobId)>,
}

impl Announcer {
    /// Starts the task that speaks to Redis. It ends when nobody has the announcer any more.
    pub fn start(queue: Queue) -> Announcer {
        let (changed, mut said) = mpsc::channel(BACKLOG);
        tokio::spawn(async move {
            let mut changes: Vec<(Pool, JobId)> = Vec::new();
            while said.recv_many(&mut changes, MOST_JOBS).await > 0 {
                changes.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
                for of_pool in changes.chunk_by(|(one, _), (other, _)| one == other) {
                    let jobs: Vec<JobId> = of_pool.iter().map(|(_, job)| *job).collect();
                    if let Err(error) = queue.announce(&of_pool[0].0, &jobs).await {
                        debug!(%error, "nobody is told of changes");
                    }
                }
                changes.clear();
            }
        });
        Announcer { changed }
    }

    /// Announces a change that is committed.
    pub fn announce(&self, pool: &Pool, job: JobId) {
        // Full: those who wait will see for themselves.
        self.changed.try_send((pool.clone(), job)).ok();
    }
}

/// `POOL ID,ID`
fn written(pool: &Pool, jobs: &[JobId]) -> String {
    let jobs: Vec<String> = jobs.iter().map(|job| job.simple().to_string()).collect();
    format!("{pool} {}", jobs.join(","))
}

/// Leaves out what it does not understand: others may be of another version.
fn read(text: &str) -> Option<Change> {
    let (pool, jobs) = text.split_once(' ')?;
    let jobs = jobs.split(',').filter_map(|job| job.parse().ok()).collect();
    Some(Change { pool: pool.parse().ok()?, jobs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_back_from_its_text() {
        let change =
            Change { pool: "gpu".parse().expect("a pool"), jobs: vec![JobId::now_v7(), JobId::now_v7()] };
        assert_eq!(read(&written(&change.pool, &change.jobs)), Some(change.clone()));
        assert_eq!(read(&written(&change.pool, &[])), Some(Change { jobs: Vec::new(), ..change }));
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        assert_eq!(read(""), None);
        assert_eq!(read("UPPER 1"), None);
        assert_eq!(read("gpu x,y").map(|change| change.jobs), Some(Vec::new()));
    }
}
