//! Walking over the jobs that wait.

use domain::{JobId, Pool};
use uuid::Uuid;

use crate::{Queue, QueueError};

/// Where a walk over the waiting jobs stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingCursor {
    set: Set,
    position: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Delayed,
    Ready,
}

impl WaitingCursor {
    /// The beginning.
    pub const START: WaitingCursor = WaitingCursor { set: Set::Delayed, position: 0 };

    /// What comes after a page that ended at this position of Redis, where 0 is the end of the set.
    fn followed_by(self, position: u64) -> Option<WaitingCursor> {
        match (self.set, position) {
            (set, 1..) => Some(WaitingCursor { set, position }),
            // After the delayed ones, so that one that becomes due meanwhile is still met.
            (Set::Delayed, 0) => Some(WaitingCursor { set: Set::Ready, position }),
            (Set::Ready, 0) => None,
        }
    }
}

impl Queue {
    /// Some of the jobs that wait, delayed or ready, and where to go on, which is nowhere at the end. Over the whole
    /// walk, every job that waits all along is met, and some may be met twice. A page may be empty.
    ///
    /// # Errors
    /// When Redis is away.
    pub async fn waiting(
        &self,
        pool: &Pool,
        cursor: WaitingCursor,
    ) -> Result<(Vec<JobId>, Option<WaitingCursor>), QueueError> {
        let script = &self.scripts().waiting;
        let (position, members): (u64, Vec<String>) = self
            .run(script, pool, |arguments| {
                arguments.text(match cursor.set {
                    Set::Delayed => "delayed",
                    Set::Ready => "ready",
                });
                arguments.number(cursor.position);
            })
            .await?;
        // What is no job id was not put there by this crate; the claim that meets it says so.
        let jobs = members.iter().filter_map(|member| Uuid::try_parse(member).ok()).collect();
        Ok((jobs, cursor.followed_by(position)))
    }
}
