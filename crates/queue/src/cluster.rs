//! What a node of Redis Cluster says of the cluster.

use std::io;

use redis::{ConnectionAddr, ConnectionInfo, FromRedisValue, ParsingError, RedisError, Value};

use crate::address;
use crate::deployment::{View, dial_server};

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    host: String,
    port: u16,
}

impl Node {
    /// The node that has the slot now, by what another one said when it refused a call.
    pub(crate) fn referred_by(error: &RedisError) -> Option<Node> {
        use redis::{ErrorKind, ServerErrorKind};
        if error.kind() != ErrorKind::Server(ServerErrorKind::Moved) {
            return None;
        }
        let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
        // One that does not know its own host leaves it out.
        let port = port.parse().ok().filter(|_| !host.is_empty())?;
        Some(Node { host: host.to_owned(), port })
    }

    /// How to connect to it.
    pub(crate) fn login(&self, like: &ConnectionInfo) -> ConnectionInfo {
        address::at(like, &self.host, self.port)
    }
}

/// The cluster as one node sees it.
#[derive(Debug)]
pub(crate) struct ClusterView {
    /// Who has the slot.
    pub(crate) owner: Node,
    /// All nodes that have slots, and their replicas.
    pub(crate) nodes: Vec<Node>,
    /// Whether the node reaches most of the others and all slots have somebody.
    whole: bool,
    /// Rises with every failover and every slot that moves.
    epoch: u64,
}

impl View for ClusterView {
    fn age(&self) -> impl Ord {
        (self.whole, self.epoch)
    }
}

/// Asks a node who has the slot of the key.
pub(crate) async fn ask(server: ConnectionInfo, key: String) -> Result<ClusterView, RedisError> {
    let asked = match server.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    };
    let mut connection = dial_server(server).await?;
    let mut questions = redis::pipe();
    questions.cmd("CLUSTER").arg("KEYSLOT").arg(key);
    questions.cmd("CLUSTER").arg("INFO");
    questions.cmd("CLUSTER").arg("SLOTS");
    let (slot, info, ranges): (u16, String, Vec<Range>) = questions.query_async(&mut connection).await?;
    let at_host_asked = |node: &Node| match node.host.as_str() {
        // It does not know its own host: then it is where it was reached.
        "" | "?" => Node { host: asked.clone(), port: node.port },
        _ => node.clone(),
    };
    let owner = ranges.iter().find(|range| (range.first..=range.last).contains(&slot));
    let owner = owner.and_then(|range| range.nodes.first()).map(at_host_asked);
    let nodes = ranges.iter().flat_map(|range| &range.nodes).map(at_host_asked).collect();
    let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(ClusterView {
        owner: owner.ok_or_else(|| io::Error::other(format!("nobody has the slot {slot}")))?,
        nodes,
        whole: value("cluster_state") == Some("ok"),
        epoch: value("cluster_current_epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0),
    })
}

/// A line of `CLUSTER SLOTS`: slots, and the nodes that have them, the primary first.
struct Range {
    first: u16,
    last: u16,
    nodes: Vec<Node>,
}

impl FromRedisValue for Range {
    fn from_redis_value(value: Value) -> Result<Range, ParsingError> {
        let mut fields = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || fields.next().unwrap_or(Value::Nil);
        let (first, last) = (u16::from_redis_value(next())?, u16::from_redis_value(next())?);
        let node = |value| {
            // What follows, the node's id and more names, is not needed.
            let mut fields = Vec::<Value>::from_redis_value(value)?.into_iter();
            let mut next = || fields.next().unwrap_or(Value::Nil);
            let host = Option::<String>::from_redis_value(next())?.unwrap_or_default();
            Ok(Node { host, port: u16::from_redis_value(next())? })
        };
        Ok(Range { first, last, nodes: fields.map(node).collect::<Result<_, ParsingError>>()? })
    }
}
