//! One process of Assay itself: a gateway, an operator or a scorer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::launch::Launch;
use crate::link::Links;
use crate::process::Signal;
use crate::readiness;
use crate::server::Server;
use crate::wait::{Seen, until};

/// A gateway, an operator or a scorer, as a real process that tests may kill, pause, stop and start again.
#[derive(Debug)]
pub struct Service {
    server: Server,
    ready_port: u16,
    metrics_port: u16,
    links: Option<Links>,
}

impl Service {
    /// A service that has not been started; `/readyz` is on the first port, `/metrics` on the second. What its launch
    /// says leads to its servers by the links, if there are any.
    pub(crate) fn new(launch: Launch, ready_port: u16, metrics_port: u16, links: Option<Links>) -> Self {
        Self { server: Server::new(launch), ready_port, metrics_port, links }
    }

    /// Its links to the servers, in a stack with [`StackBuilder::links`](crate::StackBuilder::links).
    pub fn links(&self) -> Result<&Links> {
        self.links.as_ref().with_context(|| format!("{} has no links", self.name()))
    }

    /// Starts it, or adopts it where it was left running, and waits until it is ready.
    pub async fn start(&self) -> Result<()> {
        self.spawn().await?;
        self.ready().await
    }

    /// Starts it without waiting until it is ready (which it may never be while a server is away).
    pub async fn spawn(&self) -> Result<()> {
        self.server.start().await.map(drop)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) -> Result<()> {
        let process = self.server.process().with_context(|| format!("{} was never started", self.name()))?;
        let answers = async || readiness::http_ok(self.ready_port, "/readyz").await;
        readiness::until(&process, Duration::from_secs(60), answers).await
    }

    /// Waits until it answers that it is not ready.
    pub async fn until_unready(&self) -> Result<()> {
        until(format!("{} is not ready", self.name()), Duration::from_secs(10), async || {
            let (status, _) = readiness::http_get(self.ready_port, "/readyz").await?;
            Ok(Seen::when(status != 200, || format!("/readyz answers {status}")))
        })
        .await
    }

    /// Its name: `scorer`, or `scorer-2` where there are several.
    pub fn name(&self) -> &str {
        self.server.name()
    }

    /// Pid of the running process.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// The process behind it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Where it serves requests (a gateway) or its health (the others).
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ready_port)
    }

    /// What `/metrics` says now.
    pub async fn metrics(&self) -> Result<String> {
        match readiness::http_get(self.metrics_port, "/metrics").await? {
            (200, text) => Ok(text),
            (status, _) => bail!("/metrics of {} answers {status}", self.name()),
        }
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        self.server.log()
    }

    /// Ends it as a crash would.
    pub async fn kill9(&self) -> Result<()> {
        self.server.kill9().await
    }

    /// Sends SIGTERM and waits for a graceful end; an error when it has to be killed.
    pub async fn terminate(&self, limit: Duration) -> Result<()> {
        self.server.terminate(limit).await
    }

    /// Sends SIGTERM and does not wait.
    pub fn begin_to_terminate(&self) -> Result<()> {
        let process = self.server.process().with_context(|| format!("{} was never started", self.name()))?;
        process.signal(Signal::Term)
    }

    /// Freezes it.
    pub async fn pause(&self) -> Result<()> {
        self.server.pause().await
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.server.resume()
    }
}

/// The folder with the programs `gateway`, `operator` and `scorer`: `ASSAY_BIN_DIR`, else the one that this
/// program, or the test program it is, was built into.
///
/// # Errors
/// When they are not there.
pub fn program_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ASSAY_BIN_DIR").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    let own = std::env::current_exe().context("find our own program")?;
    own.ancestors()
        .skip(1)
        .take(3)
        .find(|folder| folder.join("gateway").is_file())
        .map(Path::to_owned)
        .context("the programs are not built: run `cargo build --workspace --bins`, or set ASSAY_BIN_DIR")
}
