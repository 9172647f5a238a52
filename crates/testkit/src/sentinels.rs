//! A Redis primary and a replica of our own, under the eyes of sentinels.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::try_join_all;

use crate::folder::TempFolder;
use crate::place::Place;
use crate::redis::{self, Redis};
use crate::wait::{Seen, until};

/// How long the primary may go unheard before it is replaced.
const DOWN_AFTER: Duration = Duration::from_secs(1);

const SENTINELS: usize = 3;

/// Nothing that is waited for here takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Under what name they watch the primary.
const NAME: &str = "assay";

/// Two Redis servers, of which one is the primary, and three sentinels. Ends with this process, and goes when it is
/// dropped.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
    /// Last, so that it goes after the processes that use it.
    _folder: TempFolder,
}

impl Sentinels {
    /// Starts them and waits until they know each other.
    pub async fn start() -> Result<Sentinels> {
        let folder = TempFolder::new()?;
        let place = Place::owned(folder.path());
        let first = Redis::start_with(&place, "redis-1", &["--repl-diskless-sync-delay", "0"]).await?;
        let primary = format!("127.0.0.1 {}", first.port());
        let second = Redis::start_with(&place, "redis-2", &["--replicaof", &primary]).await?;
        until("the replica follows", PATIENCE, async || {
            let info = second.info().await?;
            Ok(Seen::when(info.contains("master_link_status:up"), || info))
        })
        .await?;
        let sentinels = try_join_all((1..=SENTINELS).map(|number| start(&place, number, &primary))).await?;
        let sentinels = Sentinels { servers: vec![first, second], sentinels, _folder: folder };
        sentinels.until_agreed().await?;
        Ok(sentinels)
    }

    /// The URL that names the sentinels.
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Both Redis servers. The first is the primary at the start.
    pub fn servers(&self) -> &[Redis] {
        &self.servers
    }

    /// The sentinels themselves.
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// Waits until a server is the primary by its own word and that of every sentinel.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn until_primary(&self, server: &Redis) -> Result<()> {
        let port = server.port().to_string();
        until(format!("{} is the primary", server.server().name()), PATIENCE, async || {
            for sentinel in &self.sentinels {
                let address = sentinel.ask(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}")).await?;
                if address.last() != Some(&port) {
                    return Ok(Seen::NotYet(format!("{address:?}")));
                }
            }
            let info = server.info().await?;
            Ok(Seen::when(info.contains("role:master"), || info))
        })
        .await
    }

    /// Waits until every sentinel sees a replica that follows the primary and could replace it.
    ///
    /// # Errors
    /// When that does not happen.
    pub async fn until_followed(&self) -> Result<()> {
        until("a replica follows", PATIENCE, async || {
            for sentinel in &self.sentinels {
                let replicas = sentinel.ask(&format!("SENTINEL REPLICAS {NAME}")).await?;
                let usable = |fields: &[String]| fields == ["flags", "slave"];
                let linked = |fields: &[String]| fields == ["master-link-status", "ok"];
                if !replicas.windows(2).any(usable) || !replicas.windows(2).any(linked) {
                    return Ok(Seen::NotYet(format!("{replicas:?}")));
                }
            }
            Ok(Seen::Yes(()))
        })
        .await
    }

    /// Each sentinel must know the others and the replica before it can replace anybody.
    async fn until_agreed(&self) -> Result<()> {
        until("the sentinels know each other and the replica", PATIENCE, async || {
            for sentinel in &self.sentinels {
                let state = sentinel.ask(&format!("SENTINEL MASTER {NAME}")).await?;
                let value = |name: &str| {
                    let at = state.iter().position(|field| field == name)?;
                    state.get(at + 1)?.parse::<usize>().ok()
                };
                if value("num-other-sentinels") != Some(SENTINELS - 1) || value("num-slaves") != Some(1) {
                    return Ok(Seen::NotYet(format!("{state:?}")));
                }
            }
            Ok(Seen::Yes(()))
        })
        .await
    }
}

/// A sentinel keeps what it learns in the file of its settings.
async fn start(place: &Place, number: usize, primary: &str) -> Result<Redis> {
    let name = format!("sentinel-{number}");
    let (port, folder) = (place.port(&name)?, place.folder(&name)?);
    let file = folder.join("sentinel.conf");
    let settings = [
        "bind 127.0.0.1".to_owned(),
        format!("port {port}"),
        format!("dir {}", folder.display()),
        format!("sentinel monitor {NAME} {primary} 2"),
        format!("sentinel down-after-milliseconds {NAME} {}", DOWN_AFTER.as_millis()),
        format!("sentinel failover-timeout {NAME} 5000"),
    ];
    fs::write(&file, settings.join("\n")).with_context(|| format!("write {}", file.display()))?;
    if let Some(account) = redis::account()? {
        account.own_folder(&folder)?;
        std::os::unix::fs::chown(&file, Some(account.uid), Some(account.gid)).context("give away a file")?;
    }
    Redis::launched(place.launch(&name, redis::program()?).arg(&file).arg("--sentinel"), port).await
}
