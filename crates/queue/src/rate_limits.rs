//! Rates that hold for all who share a Redis. They have nothing to do with queues but where they are kept.

use std::sync::Arc;

use domain::{Rate, fnv1a};

use crate::QueueError;
use crate::deployment::Deployment;
use crate::link::Link;

/// In a cluster, keys are dealt out to so many slots, each with a connection of its own: a connection for each slot that
/// there is would be too many, and one slot would be one server's work.
const SLOTS: usize = 16;

/// Not `allow-oom`: in a Redis that is full, queues need what is left.
const SCRIPT: &str = concat!("#!lua\n", include_str!("scripts/rate_limit.lua"));

/// Who did how much lately, on Redis. Entries go by themselves once they say nothing any more.
#[derive(Debug)]
pub struct RateLimits {
    links: Vec<Link>,
    script: redis::Script,
}

/// What Redis answered. Times are microseconds since 1970 by its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateAnswer {
    /// How many of those that were wanted may be done.
    pub granted: u32,
    /// The theoretical arrival time after that.
    pub tat_us: u64,
    /// The time.
    pub now_us: u64,
}

impl RateLimits {
    /// On the Redis that a URL names, as for [`Queue::connect`](crate::Queue::connect).
    ///
    /// # Errors
    /// [`QueueError::InvalidUrl`].
    pub fn connect(url: &str) -> Result<RateLimits, QueueError> {
        let deployment = Arc::new(Deployment::at(url).map_err(QueueError::InvalidUrl)?);
        let slots = if deployment.is_cluster() { SLOTS } else { 1 };
        let links = (0..slots).map(|slot| Link::new(deployment.clone(), tag(slot))).collect();
        Ok(RateLimits { links, script: redis::Script::new(SCRIPT) })
    }

    /// How many servers there may be that do not fail together.
    pub fn servers(&self) -> usize {
        self.links.len()
    }

    /// Which of them keeps the limits of whoever has this name.
    pub fn server_of(&self, name: &str) -> usize {
        slot(name) % self.links.len()
    }

    /// Takes as many of those that are wanted as the rate leaves to whoever has this name. Ends within five seconds.
    ///
    /// # Errors
    /// When Redis is away or full. Whether something was taken is then not known.
    pub async fn take(&self, name: &str, rate: &Rate, wanted: u32) -> Result<RateAnswer, QueueError> {
        let mut invocation = self.script.prepare_invoke();
        invocation.key(format!("{}:{name}", tag(slot(name))));
        invocation.arg(rate.interval_us()).arg(rate.quota()).arg(wanted);
        let answer = self.links[self.server_of(name)].run::<(u32, u64, u64)>(&invocation).await;
        let (granted, tat_us, now_us) = answer.map_err(|error| QueueError::of_script("rate_limit", error))?;
        Ok(RateAnswer { granted, tat_us, now_us })
    }
}

/// What stands in braces decides the slot.
fn tag(slot: usize) -> String {
    format!("{{assay:rate:{slot}}}")
}

/// The same in every process, and so that names spread.
fn slot(name: &str) -> usize {
    let hash = fnv1a(name.as_bytes());
    // Names that differ in their last characters alone differ in few bits until these are mixed (MurmurHash3's finalizer).
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    usize::try_from((mixed >> 32) % (SLOTS as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_spread_over_all_slots() {
        let mut counts = [0; SLOTS];
        for number in 0..1600 {
            counts[slot(&format!("address-reads:10.0.{}.{}", number / 256, number % 256))] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }
}
