//! The handle that services keep.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{JobId, LeaseSettings, Pool};
use redis::{FromRedisValue, ScriptInvocation};
use uuid::fmt::Hyphenated;

use crate::deployment::Deployment;
use crate::error::QueueError;
use crate::keys;
use crate::link::Link;
use crate::scripts::{Script, Scripts};
use crate::waiter::Waiter;

/// The most jobs that one claim hands out.
pub const MAX_CLAIMS: usize = 1000;

/// The most items that one script call handles: it bounds how long Redis serves nobody else, and the number of
/// values that Lua puts on its stack. Longer lists take several calls.
const MAX_ITEMS: usize = 1000;

/// Later than any plan, and still exact as a double together with the time of day.
const LONGEST_DELAY_MS: u64 = 1_000_000_000_000;

/// The queues of all pools on one Redis, be it a server, a primary under the eyes of sentinels, or a cluster. Cheap to
/// clone; clones share one connection, or in a cluster one for each pool.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    deployment: Arc<Deployment>,
    /// By the key for which each looks for its primary: the same for all pools, but in a cluster.
    links: Mutex<HashMap<String, Arc<Link>>>,
    scripts: Scripts,
    lease: LeaseSettings,
}

impl Queue {
    /// A queue at a URL such as `redis://host:6379/`, `redis+cluster://host:6379,host:6379/` or
    /// `redis+sentinel://host:26379,host:26379/PRIMARY`. Redis need not be there yet: a connection is made when first
    /// needed, and again whenever it is lost, to whoever is the primary by then. Each call ends within five seconds,
    /// with an error if need be; trying again is up to the caller.
    ///
    /// # Errors
    /// [`QueueError::InvalidUrl`].
    pub fn connect(url: &str, lease: LeaseSettings) -> Result<Queue, QueueError> {
        let deployment = Arc::new(Deployment::at(url).map_err(QueueError::InvalidUrl)?);
        let shared = Shared { deployment, links: Mutex::default(), scripts: Scripts::new(), lease };
        Ok(Queue { shared: Arc::new(shared) })
    }

    /// The leases that this queue hands out.
    pub fn lease(&self) -> LeaseSettings {
        self.shared.lease
    }

    /// How long an idle claimer may rest between two claims, and an operator between two ticks. Wake markers can get
    /// lost, and the lease clock must hear somebody often enough to tell a dead scorer from an outage of Redis.
    pub fn longest_rest(&self) -> Duration {
        Duration::from_secs(1).min(self.shared.lease.duration() / 6)
    }

    /// A connection of its own on which a claimer can wait for work of a pool.
    pub fn waiter(&self, pool: &Pool) -> Waiter {
        Waiter::new(self.shared.deployment.clone(), keys::wake(pool))
    }

    /// The connection that serves a pool.
    fn link(&self, pool: &Pool) -> Arc<Link> {
        let Shared { deployment, links, .. } = &*self.shared;
        let key = if deployment.is_cluster() { keys::wake(pool) } else { String::new() };
        let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
        let new = |key: &String| Arc::new(Link::new(deployment.clone(), key.clone()));
        links.entry(key).or_insert_with_key(new).clone()
    }

    pub(crate) fn deployment(&self) -> &Deployment {
        &self.shared.deployment
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.shared.scripts
    }

    /// Runs the script for the items, which `write` turns into arguments, and returns one answer for each call that
    /// this takes: none at all for no items.
    pub(crate) async fn run_for_items<I, T: FromRedisValue>(
        &self,
        script: &Script,
        pool: &Pool,
        items: &[I],
        write: impl Fn(&I, &mut Arguments<'_, '_>),
    ) -> Result<Vec<T>, QueueError> {
        let mut answers = Vec::new();
        for items in items.chunks(MAX_ITEMS) {
            let answer =
                self.run(script, pool, |arguments| items.iter().for_each(|item| write(item, arguments)));
            answers.push(answer.await?);
        }
        Ok(answers)
    }

    /// Runs a script that has to do with the scorers of a pool and not with its jobs.
    pub(crate) async fn run_on_scorers<T: FromRedisValue>(
        &self,
        script: &Script,
        pool: &Pool,
        write: impl FnOnce(&mut Arguments<'_, '_>),
    ) -> Result<T, QueueError> {
        self.run_on(keys::scorers(pool), script, pool, write).await
    }

    /// Runs the script once.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        pool: &Pool,
        write: impl FnOnce(&mut Arguments<'_, '_>),
    ) -> Result<T, QueueError> {
        let lease = self.shared.lease;
        self.run_on(keys::all(pool), script, pool, |arguments| {
            arguments.0.arg(milliseconds(lease.duration()));
            arguments.0.arg(milliseconds(outage_after(lease)));
            write(arguments);
        })
        .await
    }

    async fn run_on<T: FromRedisValue>(
        &self,
        keys: impl IntoIterator<Item = String>,
        script: &Script,
        pool: &Pool,
        write: impl FnOnce(&mut Arguments<'_, '_>),
    ) -> Result<T, QueueError> {
        let mut invocation = script.code.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        write(&mut Arguments(&mut invocation));
        let result = self.link(pool).run(&invocation).await;
        result.map_err(|error| QueueError::of_script(script.name, error))
    }
}

/// Arguments of a script, in the form that the scripts expect.
pub(crate) struct Arguments<'a, 'script>(&'a mut ScriptInvocation<'script>);

impl Arguments<'_, '_> {
    pub(crate) fn job(&mut self, job: JobId) {
        self.0.arg(&*job.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]));
    }

    pub(crate) fn number(&mut self, number: impl Into<i128>) {
        self.0.arg(number.into().to_string());
    }

    /// Rounded up: what is delayed is never early.
    pub(crate) fn delay(&mut self, delay: Duration) {
        self.0.arg(milliseconds(delay).min(LONGEST_DELAY_MS));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.0.arg(text);
    }
}

/// Silence longer than this means that nobody could reach Redis. A third of the lease still leaves the scorers time
/// to renew when Redis is back; where renewals are all that is heard (no operator, all scorers full), one that is a
/// little late must not count as an outage.
fn outage_after(lease: LeaseSettings) -> Duration {
    (lease.duration() / 3).max(lease.renew_every() * 5 / 4)
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_that_is_a_little_late_is_no_outage() {
        let lease = LeaseSettings::renewed_by_thirds(Duration::from_secs(30)).expect("a lease");
        assert_eq!(outage_after(lease), Duration::from_millis(12_500));
    }

    #[test]
    fn a_delay_below_a_millisecond_is_a_delay() {
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
