//! What a scorer holds of a job.

use crate::{Epoch, JobId};

/// One job leased to whoever claimed it, until the lease runs out or a newer claim supersedes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// The claim's fencing token.
    pub epoch: Epoch,
}
