//! Noticing that Redis lost the queue, and building it anew.

use domain::Pool;
use uuid::Uuid;

use crate::{Queue, QueueError};

/// A rebuild that has begun. When it is dropped unfinished, the queue stays not current, and another one does it.
#[derive(Debug)]
#[must_use = "a rebuild that is not completed leaves the queue not current"]
pub struct Rebuild {
    token: String,
}

impl Queue {
    /// Deletes everything that Redis keeps of the pool, whatever it is. For a queue that its scripts cannot work with
    /// any more: they fail with [`QueueError::Defect`] on what somebody else has written to its keys.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn discard(&self, pool: &Pool) -> Result<(), QueueError> {
        self.run(&self.scripts().discard, pool, |_| {}).await
    }

    /// Whether the pool's queue was rebuilt completely and not lost since. Not so for a pool that was never rebuilt,
    /// after Redis was emptied, and after a restart or a failover, which may have brought back an older state.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn is_current(&self, pool: &Pool) -> Result<bool, QueueError> {
        self.run(&self.scripts().is_current, pool, |_| {}).await
    }

    /// To be called before Postgres is read for a rebuild. What stems from an earlier run of the
    /// server, or from before it was replaced for a while, is dropped.
    /// Several operators may rebuild at once.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn begin_rebuild(&self, pool: &Pool) -> Result<Rebuild, QueueError> {
        let token = Uuid::new_v4().simple().to_string();
        let () = self.run(&self.scripts().begin_rebuild, pool, |arguments| arguments.text(&token)).await?;
        Ok(Rebuild { token })
    }

    /// To be called after every active job of the pool was enqueued. Returns whether the queue is current now: not
    /// when it was lost again meanwhile, and has to be rebuilt once more.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn complete_rebuild(&self, pool: &Pool, rebuild: &Rebuild) -> Result<bool, QueueError> {
        self.run(&self.scripts().complete_rebuild, pool, |arguments| arguments.text(&rebuild.token)).await
    }
}
