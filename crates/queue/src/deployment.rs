//! Finding the primary, also after a failover or when slots have moved, and connecting to it.
//!
//! The client's own cluster and sentinel connections decide by themselves whom they believe, how often they try and
//! when they notice a peer that is silently gone. Here all who may know are asked at once, at every connection anew; the newest
//! answer counts, and one that never comes delays the others by [`PATIENCE_WITH_THE_REST`].

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisError};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address::{self, Address};
use crate::cluster::{self, Node};
use crate::sentinel;

/// Limit of one connection, and of finding out where to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the answers of others are waited for when one is there.
const PATIENCE_WITH_THE_REST: Duration = Duration::from_millis(200);

/// Where the queue's primary is to be found: one for all pools, or in a cluster one for each.
#[derive(Debug)]
pub(crate) struct Deployment {
    address: Address,
    /// Of a cluster: the nodes that it was last known to have.
    nodes: Mutex<Vec<Node>>,
}

impl Deployment {
    /// The deployment that a URL names. Nothing is connected yet.
    pub(crate) fn at(url: &str) -> Result<Deployment, RedisError> {
        Ok(Deployment { address: Address::parse(url)?, nodes: Mutex::default() })
    }

    /// Whether keys of different slots may be at different primaries.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.address, Address::Cluster { .. })
    }

    /// A new connection to the primary that has the key, which in a cluster may be known by the word of another. Its
    /// answers the caller must bound in time.
    ///
    /// # Errors
    /// When nobody knows the primary, or it is away, or has been demoted without that being known yet.
    pub(crate) async fn dial(
        &self,
        key: &str,
        referred_to: Option<Node>,
    ) -> Result<MultiplexedConnection, RedisError> {
        dial_primary(self.primary(key, referred_to).await?).await
    }

    /// A new connection to it that hears what is published there, which takes as long as it takes.
    ///
    /// # Errors
    /// When nobody knows the primary, or it is away.
    pub(crate) async fn subscribe(&self, key: &str, channel: &str) -> Result<PubSub, RedisError> {
        let client = Client::open(self.primary(key, None).await?)?;
        let mut connection = client.get_async_pubsub().await?;
        connection.subscribe(channel).await?;
        Ok(connection)
    }

    /// Where the primary is that has the key.
    async fn primary(&self, key: &str, referred_to: Option<Node>) -> Result<ConnectionInfo, RedisError> {
        Ok(match &self.address {
            Address::Single(server) => server.clone(),
            Address::Cluster { seeds } => match referred_to {
                Some(node) => node.login(&seeds[0]),
                None => self.owner(seeds, key).await?,
            },
            Address::Sentinel { sentinels, primary, login } => {
                let questions = sentinels.iter().map(|it| sentinel::ask(it.clone(), primary.clone()));
                let view = newest(questions, "no sentinel names the primary").await?;
                address::at(login, &view.host, view.port)
            }
        })
    }

    /// The node of a cluster that has the slot of the key.
    async fn owner(&self, seeds: &[ConnectionInfo], key: &str) -> Result<ConnectionInfo, RedisError> {
        let known = self.nodes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut servers: Vec<ConnectionInfo> = seeds.to_vec();
        for server in known.iter().map(|node| node.login(&seeds[0])) {
            if servers.iter().all(|other| other.addr() != server.addr()) {
                servers.push(server);
            }
        }
        let questions = servers.into_iter().map(|server| cluster::ask(server, key.to_owned()));
        let view = newest(questions, "no node of the cluster says who has the slot").await?;
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = view.nodes;
        Ok(view.owner.login(&seeds[0]))
    }
}

/// An answer that may be older than another.
pub(crate) trait View: Send + 'static {
    /// Higher is newer.
    fn age(&self) -> impl Ord;
}

/// The newest of the answers that come in time.
async fn newest<V: View>(
    questions: impl Iterator<Item = impl Future<Output = Result<V, RedisError>> + Send + 'static>,
    complaint: &str,
) -> Result<V, RedisError> {
    let mut asked: JoinSet<_> = questions.collect();
    let mut deadline = Instant::now() + CONNECT_TIMEOUT;
    let (mut found, mut reason): (Option<V>, _) = (None, format!("no answer within {CONNECT_TIMEOUT:?}"));
    while let Ok(Some(answer)) = timeout_at(deadline, asked.join_next()).await {
        match answer {
            Ok(Ok(view)) => {
                if found.as_ref().is_none_or(|found| found.age() < view.age()) {
                    found = Some(view);
                }
                deadline = deadline.min(Instant::now() + PATIENCE_WITH_THE_REST);
            }
            Ok(Err(error)) => reason = error.to_string(),
            Err(panic) => reason = panic.to_string(),
        }
    }
    // Whatever it is that they answered, it concerns the way to the queue and not the queue.
    found.ok_or_else(|| io::Error::other(format!("{complaint}: {reason}")).into())
}

/// A new connection to a server that must be a primary: a replica answers whatever only reads, and may be behind.
async fn dial_primary(server: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    let dialled = async {
        let mut connection = dial_server(server).await?;
        let mut question = redis::cmd("INFO");
        let info: String = question.arg("replication").query_async(&mut connection).await?;
        if info.lines().any(|line| line.trim_end() == "role:master") {
            Ok(connection)
        } else {
            Err(io::Error::other("this Redis is a replica").into())
        }
    };
    let silent = || Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into());
    timeout(CONNECT_TIMEOUT, dialled).await.unwrap_or_else(|_| silent())
}

/// A new connection, which takes as long as it takes. Names are looked up anew.
pub(crate) async fn dial_server(server: ConnectionInfo) -> Result<MultiplexedConnection, RedisError> {
    // Without it, small requests that follow one another would wait for acknowledgements.
    let tcp = TcpSettings::default().set_nodelay(true);
    let client = Client::open(server.set_tcp_settings(tcp))?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}
