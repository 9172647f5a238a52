//! A Redis Cluster of our own.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use tokio::time::timeout;

use crate::folder::TempFolder;
use crate::place::Place;
use crate::ports::free_port;
use crate::redis::{self, Redis};
use crate::wait::{Seen, until};

/// How long a node may go unheard before the others replace it.
const NODE_TIMEOUT: Duration = Duration::from_secs(2);

const PRIMARIES: usize = 3;
const SLOTS: usize = 16_384;

/// Nothing that is waited for here takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a node may take to answer before it counts as away.
const AWAY_AFTER: Duration = Duration::from_millis(500);

/// Three primaries that share the slots, and a replica of each. They keep nothing on disk but who is in the cluster. Ends
/// with this process, and goes when it is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    /// Last, so that it goes after the processes that use it.
    _folder: TempFolder,
}

impl RedisCluster {
    /// Starts it and waits until it is whole.
    pub async fn start() -> Result<RedisCluster> {
        let folder = TempFolder::new()?;
        let place = Place::owned(folder.path());
        let names: Vec<String> = (1..=2 * PRIMARIES).map(|number| format!("redis-{number}")).collect();
        let nodes = try_join_all(names.iter().map(async |name| {
            let data = place.folder(name)?;
            if let Some(account) = redis::account()? {
                account.own_folder(&data)?;
            }
            let bus = free_port()?.to_string();
            let node_timeout = NODE_TIMEOUT.as_millis().to_string();
            let settings = [
                ["--dir", data.to_str().context("a path in UTF-8")?],
                ["--cluster-enabled", "yes"],
                ["--cluster-port", &bus],
                ["--cluster-node-timeout", &node_timeout],
                // However long a replica was cut off before: in a test it is always the one to take over.
                ["--cluster-replica-validity-factor", "0"],
                ["--cluster-allow-replica-migration", "no"],
                ["--repl-diskless-sync-delay", "0"],
            ];
            Redis::start_with(&place, name, &settings.concat()).await
        }))
        .await?;
        let cluster = RedisCluster { nodes, _folder: folder };
        cluster.join().await?;
        Ok(cluster)
    }

    /// Its URL, which names the nodes that were the primaries at the start.
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.nodes[..PRIMARIES].iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}/", hosts.join(","))
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The primary that has the key's slot: waits until just one node says that of itself, since one that comes back
    /// takes itself for the primary that it was, until it hears of its successor.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn primary_of(&self, key: &str) -> Result<&Redis> {
        until(format!("{key} has one primary"), PATIENCE, async || {
            let mut owners = Vec::new();
            for node in &self.nodes {
                if self.owns(node, key).await {
                    owners.push(node);
                }
            }
            match owners[..] {
                [node] => Ok(Seen::Yes(node)),
                _ => Ok(Seen::NotYet(format!("{} nodes say that they are", owners.len()))),
            }
        })
        .await
    }

    /// A replica of this primary.
    ///
    /// # Errors
    /// When there is none.
    pub async fn replica_of(&self, primary: &Redis) -> Result<&Redis> {
        let wanted = format!("master_port:{}", primary.port());
        for node in &self.nodes {
            if node.info().await.is_ok_and(|info| info.lines().any(|line| line == wanted)) {
                return Ok(node);
            }
        }
        anyhow::bail!("{} has no replica", primary.server().name())
    }

    /// Waits until a node other than this one is the primary of the key, as all that answer see it.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn until_replaced(&self, primary: &Redis, key: &str) -> Result<&Redis> {
        until(format!("{} is replaced", primary.server().name()), PATIENCE, async || {
            for node in self.nodes.iter().filter(|node| node.port() != primary.port()) {
                if self.owns(node, key).await {
                    return Ok(Seen::Yes(node));
                }
            }
            Ok(Seen::NotYet("nobody else has the slot".to_owned()))
        })
        .await
    }

    /// Has a replica of this primary take over the key in good order.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn hand_over(&self, primary: &Redis, key: &str) -> Result<&Redis> {
        let replica = self.replica_of(primary).await?;
        until(format!("a replica of {} takes over", primary.server().name()), PATIENCE, async || {
            // When the two have not agreed within five seconds, Redis gives up, and wants to be asked again.
            replica.ask("CLUSTER FAILOVER").await?;
            match timeout(Duration::from_secs(6), self.until_replaced(primary, key)).await {
                Ok(successor) => Ok(Seen::Yes(successor?)),
                Err(_) => Ok(Seen::NotYet("Redis has given up".to_owned())),
            }
        })
        .await
    }

    /// Waits until every node says that all slots have somebody, and every replica follows its primary.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn until_whole(&self) -> Result<()> {
        until("the cluster is whole", PATIENCE, async || {
            for node in &self.nodes {
                let name = node.server().name();
                let Ok(Ok(state)) = timeout(AWAY_AFTER, node.ask("CLUSTER INFO")).await else {
                    return Ok(Seen::NotYet(format!("{name} does not answer")));
                };
                let Ok(info) = node.info().await else {
                    return Ok(Seen::NotYet(format!("{name} does not answer")));
                };
                if !state.concat().contains("cluster_state:ok") || info.contains("master_link_status:down") {
                    return Ok(Seen::NotYet(format!("{name} says {state:?} {info}")));
                }
            }
            Ok(Seen::Yes(()))
        })
        .await
    }

    /// Has another primary take over the key's slot with everything in it, as a resharding does. `between` runs when
    /// the slot has begun to move and nothing of it has arrived yet.
    ///
    /// # Errors
    /// When a node refuses.
    pub async fn move_slot(&self, key: &str, between: impl AsyncFnOnce() -> Result<()>) -> Result<&Redis> {
        let from = self.primary_of(key).await?;
        let slot = self.slot(key).await?;
        let mut to = None;
        for node in &self.nodes {
            if node.port() != from.port() && node.info().await?.contains("role:master") {
                to = Some(node);
            }
        }
        let to = to.context("there is no other primary")?;
        let (from_id, to_id) = (id(from).await?, id(to).await?);
        to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}")).await?;
        from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}")).await?;
        between().await?;
        loop {
            let keys = from.ask(&format!("CLUSTER GETKEYSINSLOT {slot} 100")).await?;
            if keys.is_empty() {
                break;
            }
            let command = format!("MIGRATE 127.0.0.1 {} \"\" 0 5000 KEYS {}", to.port(), keys.join(" "));
            from.ask(&command).await?;
        }
        // The new owner first, lest the slot be nobody's in between.
        to.ask(&format!("CLUSTER SETSLOT {slot} NODE {to_id}")).await?;
        from.ask(&format!("CLUSTER SETSLOT {slot} NODE {to_id}")).await?;
        Ok(to)
    }

    async fn owns(&self, node: &Redis, key: &str) -> bool {
        let look = async {
            let slot = node.ask(&format!("CLUSTER KEYSLOT {key}")).await?.concat().parse()?;
            let seen = node.ask("CLUSTER NODES").await?.concat();
            let own = seen.lines().find(|line| line.contains("myself")).context("a node knows itself")?;
            let fields: Vec<&str> = own.split(' ').collect();
            let ranges = fields.get(8..).unwrap_or_default();
            anyhow::Ok(own.contains("master") && ranges.iter().any(|range| covers(range, slot)))
        };
        matches!(timeout(AWAY_AFTER, look).await, Ok(Ok(true)))
    }

    async fn slot(&self, key: &str) -> Result<u16> {
        Ok(self.nodes[0].ask(&format!("CLUSTER KEYSLOT {key}")).await?.concat().parse()?)
    }

    /// Makes a cluster of nodes that do not know each other.
    async fn join(&self) -> Result<()> {
        let first = &self.nodes[0];
        let mut ids = HashMap::new();
        for (number, node) in self.nodes.iter().enumerate() {
            ids.insert(number, id(node).await?);
            node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1)).await?;
            let bus = node.ask("CONFIG GET cluster-port").await?;
            let bus = bus.last().context("a port")?;
            first.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port())).await?;
        }
        for (number, node) in self.nodes[..PRIMARIES].iter().enumerate() {
            let (from, to) = (number * SLOTS / PRIMARIES, (number + 1) * SLOTS / PRIMARIES - 1);
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {from} {to}")).await?;
        }
        let everybody = format!("cluster_known_nodes:{}", self.nodes.len());
        until("all nodes know each other", PATIENCE, async || {
            for node in &self.nodes {
                let state = node.ask("CLUSTER INFO").await?.concat();
                // A node that was met by another's word is a stranger until it has answered.
                let strangers = node.ask("CLUSTER NODES").await?.concat().contains("handshake");
                if strangers || !state.contains(&everybody) {
                    return Ok(Seen::NotYet(state));
                }
            }
            Ok(Seen::Yes(()))
        })
        .await?;
        for (number, node) in self.nodes[PRIMARIES..].iter().enumerate() {
            let answer = node.ask(&format!("CLUSTER REPLICATE {}", ids[&number])).await?;
            ensure!(answer == ["OK"], "{answer:?}");
        }
        self.until_whole().await
    }
}

async fn id(node: &Redis) -> Result<String> {
    Ok(node.ask("CLUSTER MYID").await?.concat())
}

/// Whether `5-10` or `7` covers a slot. What a slot that moves looks like, in brackets, covers none.
fn covers(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&slot),
        _ => false,
    }
}
