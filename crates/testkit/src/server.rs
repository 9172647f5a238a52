//! A process that can be stopped and started again in the same place, with methods for every way to treat it badly.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::launch::Launch;
use crate::process::{Process, Signal};

/// A server: how it is started, and the process that runs now, if any.
///
/// All methods take `&self`, so that several tasks of a test can share one.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Mutex<Option<Arc<Process>>>,
}

impl Server {
    /// A server that has not been started.
    pub fn new(launch: Launch) -> Self {
        Self { launch, process: Mutex::new(None) }
    }

    /// Starts it, or does nothing when it runs. Whether it is ready is for the caller to find out.
    pub async fn start(&self) -> Result<Arc<Process>> {
        if let Some(process) = self.process().filter(|process| process.is_running()) {
            return Ok(process);
        }
        let process = Arc::new(self.launch.start().await?);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&process));
        Ok(process)
    }

    /// Whether one that was left running before can be adopted instead of being started.
    pub fn was_left_running(&self) -> bool {
        self.launch.adopt().is_some()
    }

    /// The process last started here, which may have ended.
    pub fn process(&self) -> Option<Arc<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.launch.name()
    }

    /// Pid of the running process.
    pub fn pid(&self) -> Option<i32> {
        self.process().filter(|process| process.is_running()).map(|process| process.pid())
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        self.launch.log()
    }

    /// Ends it as a crash would.
    pub async fn kill9(&self) -> Result<()> {
        self.running()?.kill9().await
    }

    /// Asks it to stop and waits; an error when it has to be killed.
    pub async fn terminate(&self, limit: Duration) -> Result<()> {
        self.stop_with(Signal::Term, limit).await
    }

    /// Like [`Server::terminate`], with a signal of choice. Does nothing when it does not run.
    pub async fn stop_with(&self, signal: Signal, limit: Duration) -> Result<()> {
        match self.process() {
            Some(process) => process.stop_with(signal, limit).await,
            None => Ok(()),
        }
    }

    /// Freezes it.
    pub async fn pause(&self) -> Result<()> {
        self.running()?.pause().await
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.running()?.resume()
    }

    fn running(&self) -> Result<Arc<Process>> {
        self.process().with_context(|| format!("{} was never started", self.name()))
    }
}
