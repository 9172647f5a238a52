//! Waiting for work.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::deployment::Deployment;

/// How much later than asked for an answer may come before the connection counts as dead.
const GRACE: Duration = Duration::from_secs(1);

/// Waits for the marker that is left when there is something to claim. It has a connection of its own, because a
/// waiting connection serves nothing else.
///
/// A marker reaches one waiter. It is a hint: it may come when another claimer was faster, and may get lost, so a
/// claimer looks at least every [`Queue::longest_rest`](crate::Queue::longest_rest).
#[derive(Debug)]
pub struct Waiter {
    deployment: Arc<Deployment>,
    wake: String,
    connection: Option<MultiplexedConnection>,
}

impl Waiter {
    pub(crate) fn new(deployment: Arc<Deployment>, wake: String) -> Waiter {
        Waiter { deployment, wake, connection: None }
    }

    /// Waits until there may be something to claim, which is true, or until `at_most` has passed, which is false.
    /// While Redis is away it waits as long, so that a loop around it does not spin.
    ///
    /// When the future is dropped, the connection is closed, lest a marker go to somebody who no longer waits.
    pub async fn wait(&mut self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        match timeout_at(deadline + GRACE, self.next_marker(deadline)).await {
            Ok(Ok(marker)) => marker,
            Ok(Err(error)) => {
                tracing::debug!(%error, "waiting for work without Redis");
                sleep_until(deadline).await;
                false
            }
            Err(_) => false,
        }
    }

    async fn next_marker(&mut self, deadline: Instant) -> Result<bool, RedisError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.deployment.dial(&self.wake, None).await?,
        };
        // Zero would mean for ever.
        let at_most = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut command = redis::cmd("BLPOP");
        command.arg(&self.wake).arg(format!("{:.3}", at_most.as_secs_f64()));
        let popped: Option<(String, String)> = command.query_async(&mut connection).await?;
        self.connection = Some(connection);
        Ok(popped.is_some())
    }
}
