//! One line of log for an outage of a server, whichever part of the scorer meets it first.

use std::error::Error;
use std::sync::{Mutex, PoisonError};

use runtime::Outage;
use tracing::{error, warn};

/// Speaks of a server's outages, once each.
#[derive(Debug)]
pub(crate) struct OutageLog {
    server: &'static str,
    consequence: &'static str,
    outage: Mutex<Outage>,
}

impl OutageLog {
    pub(crate) fn of_postgres() -> Self {
        let consequence = "leases and results are kept until it answers";
        OutageLog { server: "Postgres", consequence, outage: Mutex::default() }
    }

    pub(crate) fn of_redis() -> Self {
        let consequence = "running jobs go on and are recorded; nothing is claimed until it answers";
        OutageLog { server: "Redis", consequence, outage: Mutex::default() }
    }

    /// Notes the outcome of a call and hands it on. `passes` tells an error that passes from a defect.
    pub(crate) fn noted<T, E: Error + 'static>(
        &self,
        result: Result<T, E>,
        passes: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => outage.over(),
            Err(error) if outage.begins() => {
                let (server, consequence) = (self.server, self.consequence);
                let defect = !passes(error);
                let error = error as &dyn Error;
                if defect {
                    error!(error, server, consequence, "the server and this program do not fit together");
                } else {
                    warn!(error, server, consequence, "the server is away");
                }
            }
            Err(_) => {}
        }
        result
    }
}
