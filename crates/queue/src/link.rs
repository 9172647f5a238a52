//! The connection to Redis.
//!
//! The client's own connection manager keeps a connection whose peer no longer answers, or that a failover left at
//! a replica, and tries long to make a new one. Callers of the queue do their own retries and want to know soon.

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, RedisError, ScriptInvocation,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// Limit of one call, connecting included.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// A client for the URL. Nothing is connected yet.
pub(crate) fn client(url: &str) -> Result<Client, RedisError> {
    // Without it, small requests that follow one another would wait for acknowledgements.
    let tcp = TcpSettings::default().set_nodelay(true);
    Client::open(url.into_connection_info()?.set_tcp_settings(tcp))
}

/// A new connection whose answers the caller must bound in time.
pub(crate) async fn dial(client: &Client) -> Result<MultiplexedConnection, RedisError> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// One connection shared by all calls, made when it is first needed and again after it failed.
#[derive(Debug)]
pub(crate) struct Link {
    client: Client,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Numbered>,
    last_number: u64,
    last_failure: Option<(Instant, RedisError)>,
}

/// The number tells a connection that failed from the one that has since replaced it.
#[derive(Clone, Debug)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    pub(crate) fn new(client: Client) -> Link {
        Link { client, state: Mutex::default() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs a script. A connection that turns out to have been closed, as by a restart of Redis since the last
    /// call, is replaced once, so that only a real outage is an error.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, RedisError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        match self.attempt(script, deadline).await {
            Err(error) if error.is_connection_dropped() => self.attempt(script, deadline).await,
            result => result,
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
        if result.as_ref().is_err_and(|error| !is_answer_of_a_serving_primary(error)) {
            self.forget(number).await;
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
        match dial(&self.client).await {
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

    async fn forget(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.current.as_ref().is_some_and(|current| current.number == number) {
            state.current = None;
        }
    }
}

/// Whether the connection is good although the call failed. A replica's refusal to write is not: after a failover
/// the same address leads to another server.
fn is_answer_of_a_serving_primary(error: &RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind};
    match error.kind() {
        ErrorKind::Server(kind) => !matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown),
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => true,
        _ => false,
    }
}

fn no_answer() -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CALL_TIMEOUT:?}")).into()
}
