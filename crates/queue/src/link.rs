//! The connection to a primary.
//!
//! The client's own connection manager keeps a connection whose peer no longer answers, or that a failover left at
//! a replica, and tries long to make a new one. Callers of the queue do their own retries and want to know soon.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisError, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Node;
use crate::deployment::Deployment;

/// Limit of one call, connecting included.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// How many references one call follows. In a cluster at rest one is enough.
const MOST_REFERENCES: usize = 3;

/// One connection shared by all calls for the keys of a slot, made when it is first needed and again after it failed.
#[derive(Debug)]
pub(crate) struct Link {
    deployment: Arc<Deployment>,
    key: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Numbered>,
    last_number: u64,
    last_failure: Option<(Instant, RedisError)>,
    /// Where a node of the cluster said that the slot has gone: it knows better than those that could be asked.
    referred_to: Option<Node>,
}

/// The number tells a connection that failed from the one that has since replaced it.
#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    /// To the primary that has the key, which matters in a cluster only.
    pub(crate) fn new(deployment: Arc<Deployment>, key: String) -> Link {
        Link { deployment, key, state: Mutex::default() }
    }

    /// Runs a script. A connection that turns out to have been closed, as by a restart of Redis since the last
    /// call, is replaced once, and a slot that has moved is followed, so that only a real outage is an error.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let (mut replaced, mut references) = (false, 0);
        loop {
            match self.attempt(script, deadline).await {
                Err(error) if error.is_connection_dropped() && !replaced => replaced = true,
                Err(error) if Node::referred_by(&error).is_some() && references < MOST_REFERENCES => {
                    references += 1;
                }
                result => return result,
            }
        }
    }

    async fn attempt<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        deadline: Instant,
    ) -> Result<T, RedisError> {
        let Ok(connected) = timeout_at(deadline, self.connection()).await else {
            return Err(no_answer());
        };
        let Numbered { number, mut connection } = connected?;
        let answer = timeout_at(deadline, script.invoke_async(&mut connection)).await;
        let result = answer.unwrap_or_else(|_| Err(no_answer()));
        if let Err(error) = &result
            && !is_answer_of_a_serving_primary(error)
        {
            self.forget(number, Node::referred_by(error)).await;
        }
        result
    }

    /// One attempt to connect serves everybody who waits for it, also when it fails: otherwise a hundred callers
    /// would knock one after the other at a server that is away, each for as long as that takes.
    async fn connection(&self) -> Result<Numbered, RedisError> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(current) = &state.current {
            return Ok(current.clone());
        }
        if let Some((failed_at, error)) = &state.last_failure
            && *failed_at >= asked_at
        {
            return Err(error.clone());
        }
        let referred_to = state.referred_to.take();
        match self.deployment.dial(&self.key, referred_to).await {
            Ok(connection) => {
                state.last_number += 1;
                let current = Numbered { number: state.last_number, connection };
                state.current = Some(current.clone());
                Ok(current)
            }
            Err(error) => {
                state.last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn forget(&self, number: u64, referred_to: Option<Node>) {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|current| current.number == number) {
            state.current = None;
            state.referred_to = referred_to;
        }
    }
}

/// Whether the connection is good although the call failed. Not when after a failover the same address leads to a
/// replica, when the slot is elsewhere, or when the node is cut off from its cluster: others may know of a better one.
fn is_answer_of_a_serving_primary(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};
    match error.kind() {
        ErrorKind::Server(kind) => !matches!(
            kind,
            ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::Moved
                | ServerErrorKind::ClusterDown
        ),
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => true,
        _ => false,
    }
}

fn no_answer() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CALL_TIMEOUT:?}")).into()
}
