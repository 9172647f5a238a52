//! A stretch of network to a server that a test can spoil.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// All arrives.
    Fair,
    /// All arrives, so much later, and the later the more there is.
    Slow(Duration),
    /// The server hears, and its answers get lost.
    Mute,
    /// All arrives until a client sends these words; the answer to them is the first that gets lost.
    MuteFrom(&'static str),
    /// All arrives until a client sends Postgres parameters for a statement that was prepared before; the answer to
    /// them is the first that gets lost. A pool's test of its connection sends none.
    MuteFromParameters,
    /// Nothing arrives, without a word to either side, until the weather changes.
    Stalled,
    /// Connections break, and new ones too.
    Cut,
}

/// How Postgres's message with the parameters of a statement begins.
/// <https://www.postgresql.org/docs/current/protocol-message-formats.html>
const BIND: u8 = b'B';

/// A loopback port that leads to another one, through the weather.
#[derive(Debug)]
pub struct Link {
    port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    weather: Weather,
    /// How often the link was cut, for connections that would otherwise miss a short cut.
    cuts: usize,
    /// Where new connections lead to.
    port: u16,
    /// How often it was led elsewhere.
    turns: usize,
}

impl Link {
    /// A link to a loopback port.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn to(port: u16, weather: Weather) -> Result<Link> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let state = Arc::new(watch::Sender::new(State { weather, cuts: 0, port, turns: 0 }));
        let link = Link { port: listener.local_addr()?.port(), state: state.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move {
                    // A connection that breaks is what this is about.
                    let _ = carry(client, state).await;
                });
            }
        });
        Ok(link)
    }

    /// A link to the loopback server that a URL names, and the same URL through the link.
    ///
    /// # Errors
    /// When the URL names no port, or the link cannot listen.
    pub async fn to_url(url: &str, weather: Weather) -> Result<(Link, String)> {
        let (scheme, rest) = url.split_once("://").context("a URL with a scheme")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority.rsplit_once(':').context("a URL with a port")?;
        let link = Link::to(port.parse().context("a port")?, weather).await?;
        let through = format!("{scheme}://{host}:{}/{path}", link.port);
        Ok((link, through))
    }

    /// A link to the API server of a kubeconfig, and the same kubeconfig through the link, written to `through`. The
    /// server's certificate is for the address, whatever the port.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the link cannot listen.
    pub async fn to_kubeconfig(direct: &Path, through: &Path) -> Result<Link> {
        let text = fs::read_to_string(direct).with_context(|| format!("read {}", direct.display()))?;
        let server = text.lines().find_map(|line| line.trim().strip_prefix("server: "));
        let server = server.context("a server")?;
        let (link, linked) = Link::to_url(&format!("{server}/"), Weather::Fair).await?;
        let text = text.replace(server, linked.trim_end_matches('/'));
        fs::write(through, text).with_context(|| format!("write {}", through.display()))?;
        Ok(link)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather, also for connections that are open.
    pub fn set(&self, weather: Weather) {
        self.state.send_modify(|state| {
            state.weather = weather;
            state.cuts += usize::from(weather == Weather::Cut);
        });
    }

    /// Leads new connections to another loopback port, as a name does that resolves to another address. Those that are
    /// open hear nothing any more, as when the machine at the old address is gone.
    pub fn lead_to(&self, port: u16) {
        self.state.send_modify(|state| {
            state.port = port;
            state.turns += 1;
        });
    }

    /// Has all open connections hear nothing any more. New ones are not affected.
    pub fn lose_connections(&self) {
        let port = self.state.borrow().port;
        self.lead_to(port);
    }
}

/// Where a process finds its servers.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    pub(crate) kubeconfig: PathBuf,
}

/// The links of one process to its servers.
#[derive(Debug)]
pub struct Links {
    /// To Postgres.
    pub postgres: Link,
    /// To Redis.
    pub redis: Link,
    /// To the API server.
    pub kubernetes: Link,
}

impl Links {
    /// Links to these servers, and the way by them. The kubeconfig that leads over them is written to `kubeconfig`.
    pub(crate) async fn to(direct: &Routes, kubeconfig: PathBuf) -> Result<(Links, Routes)> {
        let (postgres, database_url) = Link::to_url(&direct.database_url, Weather::Fair).await?;
        let (redis, redis_url) = Link::to_url(&direct.redis_url, Weather::Fair).await?;
        let kubernetes = Link::to_kubeconfig(&direct.kubeconfig, &kubeconfig).await?;
        Ok((Links { postgres, redis, kubernetes }, Routes { database_url, redis_url, kubeconfig }))
    }

    /// Changes the weather on all of them.
    pub fn set(&self, weather: Weather) {
        self.postgres.set(weather);
        self.redis.set(weather);
        self.kubernetes.set(weather);
    }
}

async fn carry(client: TcpStream, state: Arc<watch::Sender<State>>) -> Result<()> {
    let State { weather, cuts, port, turns } = *state.borrow();
    if weather == Weather::Cut {
        return Ok(());
    }
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (requests, answers) = (state.subscribe(), state.subscribe());
    let mut cut = state.subscribe();
    tokio::select! {
        _ = cut.wait_for(|state| state.cuts > cuts) => Ok(()),
        carried = async {
            tokio::try_join!(
                copy(from_client, to_server, requests, turns, |words| hush(&state, words)),
                copy(from_server, to_client, answers, turns, |_| !matches!(state.borrow().weather, Weather::Mute)),
            )
        } => carried.map(drop),
    }
}

/// Lets a client's words through, and loses the answers from now on if they are the ones that were waited for.
fn hush(state: &watch::Sender<State>, words: &[u8]) -> bool {
    state.send_if_modified(|state| {
        let awaited = match state.weather {
            Weather::MuteFrom(awaited) => contains(words, awaited.as_bytes()),
            Weather::MuteFromParameters => words.first() == Some(&BIND),
            _ => false,
        };
        if awaited {
            state.weather = Weather::Mute;
        }
        awaited
    });
    true
}

fn contains(words: &[u8], awaited: &[u8]) -> bool {
    words.windows(awaited.len()).any(|window| window == awaited)
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    turns: usize,
    passes: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let carried = |state: &State| state.weather != Weather::Stalled && state.turns == turns;
        let weather = state.wait_for(carried).await?.weather;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        if let Weather::Slow(delay) = weather {
            sleep(delay).await;
        }
        if passes(&buffer[..length]) {
            to.write_all(&buffer[..length]).await?;
        }
    }
}
