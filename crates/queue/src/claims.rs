//! Claims: jobs leased to a scorer under an epoch.

use std::time::Duration;

use domain::queue_rules::{Adopt, Adoption, Claimed, Release, Renewal};
use domain::{Claim, Epoch, Pool, Rank};
use uuid::Uuid;

use crate::queue::{Arguments, MAX_CLAIMS};
use crate::{Queue, QueueError};

impl Queue {
    /// Leases up to `max` ready jobs (at most [`MAX_CLAIMS`]): one of each lane in turn, the most urgent of it. Jobs whose delay or lease has
    /// run out are ready. Nothing is handed out of a queue that stems from a snapshot or a replica until it is
    /// rebuilt.
    ///
    /// # Errors
    /// When Redis is away. Should the answer be what was lost, the claimed jobs wait until their leases end.
    pub async fn claim(&self, pool: &Pool, max: usize) -> Result<Claimed, QueueError> {
        let max = max.min(MAX_CLAIMS) as u64;
        let script = &self.scripts().claim;
        let (next_event_ms, claims, expired): (i64, Epochs, Epochs) = self
            .run(script, pool, |arguments| {
                arguments.number(max);
                arguments.number(Rank::LANE);
            })
            .await?;
        Ok(Claimed {
            claims: claims.iter().filter_map(read_claim).collect(),
            expired: expired.iter().filter_map(read_claim).map(|claim| (claim.job, claim.epoch)).collect(),
            next_event: u64::try_from(next_event_ms).ok().map(Duration::from_millis),
        })
    }

    /// Does what a claim does besides claiming: lets the lease clock run, and makes ready and announces what is due
    /// or expired. Operators call it at least every [`Queue::longest_rest`]. Returns when next something is due.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn tick(&self, pool: &Pool) -> Result<Option<Duration>, QueueError> {
        Ok(self.claim(pool, 0).await?.next_event)
    }

    /// Begins the leases of the claims anew. The answers are in the order of the claims.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn renew(&self, pool: &Pool, claims: &[Claim]) -> Result<Vec<Renewal>, QueueError> {
        let answers: Vec<Vec<i64>> =
            self.run_for_items(&self.scripts().renew, pool, claims, write_claim).await?;
        let renewals = answers.concat().into_iter().map(|answer| match answer {
            0 => Renewal::Renewed,
            1 => Renewal::Superseded,
            _ => Renewal::Missing,
        });
        Ok(renewals.collect())
    }

    /// Leases jobs under claims that Redis has lost but Postgres confirms, unless somebody has claimed them since.
    /// The answers are in the order of the claims.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn adopt(&self, pool: &Pool, claims: &[Adopt]) -> Result<Vec<Adoption>, QueueError> {
        let script = &self.scripts().adopt;
        let answers: Vec<Vec<i64>> = self
            .run_for_items(script, pool, claims, |item, arguments| {
                write_claim(&item.claim, arguments);
                arguments.number(item.rank.0);
            })
            .await?;
        let adoptions = answers.concat().into_iter().map(|answer| match answer {
            0 => Adoption::Adopted,
            _ => Adoption::Superseded,
        });
        Ok(adoptions.collect())
    }

    /// Puts claimed jobs back among the ready or the delayed ones, at their old place. A claim that is no longer
    /// leased changes nothing. Returns how many were.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn release(&self, pool: &Pool, claims: &[Release]) -> Result<u64, QueueError> {
        let script = &self.scripts().release;
        let released = self.run_for_items(script, pool, claims, |item, arguments| {
            write_claim(&item.claim, arguments);
            arguments.delay(item.delay);
            arguments.number(item.floor.0);
        });
        Ok(released.await?.iter().sum())
    }

    /// Takes claimed jobs off the queue: they have ended. A claim that is no longer leased changes nothing. Returns
    /// how many were.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn finish(&self, pool: &Pool, claims: &[Claim]) -> Result<u64, QueueError> {
        let finished = self.run_for_items(&self.scripts().finish, pool, claims, write_claim);
        Ok(finished.await?.iter().sum())
    }
}

/// Jobs and epochs as the scripts answer them.
type Epochs = Vec<(String, i64)>;

fn write_claim(claim: &Claim, arguments: &mut Arguments<'_, '_>) {
    arguments.job(claim.job);
    arguments.number(claim.epoch.0);
}

/// A member that is no job id was not put there by this crate. The jobs claimed beside it must not suffer from it.
fn read_claim((member, epoch): &(String, i64)) -> Option<Claim> {
    match Uuid::try_parse(member) {
        Ok(job) => Some(Claim { job, epoch: Epoch(*epoch) }),
        Err(_) => {
            tracing::error!(member, "the queue has a member that is no job id; remove it by hand");
            None
        }
    }
}
