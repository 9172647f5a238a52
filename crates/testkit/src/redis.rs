//! A Redis server of our own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::account::Account;
use crate::folder::in_path;
use crate::launch::Launch;
use crate::place::Place;
use crate::readiness;
use crate::server::Server;

/// A Redis server on a loopback port that keeps nothing on disk: a restart finds it empty.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    port: u16,
}

impl Redis {
    /// Starts it and waits until it answers.
    pub async fn start(place: &Place) -> Result<Self> {
        Self::start_with(place, "redis", &[]).await
    }

    /// The same under a name of its own, with settings as on the command line: `--maxmemory`, `1mb`.
    pub async fn start_with(place: &Place, name: &str, settings: &[&str]) -> Result<Self> {
        let port = place.port(name)?;
        // A server that keeps nothing still reads what another has left under the usual name, say from a replication.
        let file = format!("assay-{}.rdb", uuid::Uuid::new_v4().simple());
        let launch = place
            .launch(name, program()?)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no"])
            .args(["--save", "", "--appendonly", "no", "--dir", "/tmp", "--dbfilename", &file])
            .args(["--rdb-del-sync-files", "yes"])
            .args(settings);
        Self::launched(launch, port).await
    }

    /// Starts what is described, which is to listen on the port, and waits until it answers.
    pub(crate) async fn launched(launch: Launch, port: u16) -> Result<Self> {
        let launch = launch.account(account()?);
        let redis = Self { server: Server::new(launch), port };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process behind it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Pid of the running server.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Starts it on the same port, empty, after it was stopped or killed.
    pub async fn start_again(&self) -> Result<()> {
        let process = self.server.start().await?;
        readiness::until(&process, Duration::from_secs(20), async || self.command("PING").await.map(drop))
            .await
    }

    /// Stops it.
    pub async fn stop(&self) -> Result<()> {
        self.server.terminate(Duration::from_secs(10)).await
    }

    /// Stops it and starts it again, empty, on the same port.
    pub async fn restart(&self) -> Result<()> {
        self.stop().await?;
        self.start_again().await
    }

    /// Ends it as a crash would.
    pub async fn kill9(&self) -> Result<()> {
        self.server.kill9().await
    }

    /// Freezes it.
    pub async fn pause(&self) -> Result<()> {
        self.server.pause().await
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.server.resume()
    }

    /// Empties it.
    pub async fn flush_all(&self) -> Result<()> {
        self.command("FLUSHALL").await.map(drop)
    }

    /// What it says of its part in replication.
    pub async fn info(&self) -> Result<String> {
        let limit = Duration::from_secs(1);
        let info = timeout(limit, self.ask("INFO replication")).await.context("Redis does not answer")?;
        Ok(info?.concat().replace('\r', ""))
    }

    /// Sends one command, as one would type it, and returns the answer, which must be one line, as the protocol has it:
    /// `+OK`, `:12`. An answer that starts with `-` is an error.
    pub async fn command(&self, command: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.context("connect")?;
        stream.write_all(format!("{command}\r\n").as_bytes()).await.context("send a command")?;
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).await.context("read the answer")?;
        let answer = String::from_utf8_lossy(&answer[..length]).trim().to_owned();
        if answer.is_empty() || answer.starts_with('-') {
            bail!("Redis answers {command} with {answer:?}");
        }
        Ok(answer)
    }

    /// Sends one command, as one would type it, and returns all values of the answer, lists and lists in lists one after
    /// the other. An error is one.
    pub async fn ask(&self, command: &str) -> Result<Vec<String>> {
        let mut stream =
            BufReader::new(TcpStream::connect(("127.0.0.1", self.port)).await.context("connect")?);
        stream.write_all(format!("{command}\r\n").as_bytes()).await.context("send a command")?;
        values(&mut stream).await.with_context(|| format!("ask Redis {command}"))
    }
}

/// Redis itself.
pub(crate) fn program() -> Result<PathBuf> {
    in_path("redis-server")
        .or_else(|| in_path("valkey-server"))
        .context("Redis is not installed: run `make setup`, or install your system's package redis-server")
}

/// The account it runs as.
pub(crate) fn account() -> Result<Option<Account>> {
    Account::for_servers(&["redis"])
}

/// Reads one answer of version 2 of the protocol.
async fn values(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<Vec<String>> {
    let (mut found, mut expected) = (Vec::new(), 1);
    while expected > 0 {
        expected -= 1;
        let mut line = String::new();
        stream.read_line(&mut line).await.context("read the answer")?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("the connection was closed")?;
        match kind {
            "+" | ":" => found.push(rest.to_owned()),
            "*" => expected += rest.parse::<i64>()?.max(0),
            "$" if rest == "-1" => found.push(String::new()),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                stream.read_exact(&mut bytes).await.context("read the answer")?;
                found.push(String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned());
            }
            _ => bail!("the answer is {line:?}"),
        }
    }
    Ok(found)
}
