//! An orderly stop.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Tells every part of a process that it is to stop.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Requested by the first SIGTERM or SIGINT. A second one ends the process at once, for a person who will not
    /// wait.
    ///
    /// # Errors
    /// When the process cannot listen for signals.
    pub fn on_signals() -> anyhow::Result<Self> {
        let shutdown = Shutdown::default();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let token = shutdown.token.clone();
        tokio::spawn(async move {
            for round in 0.. {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if round > 0 {
                    info!(signal = name, "stopping at once");
                    std::process::exit(130);
                }
                info!(signal = name, "stopping");
                token.cancel();
            }
        });
        Ok(shutdown)
    }

    /// Asks for the stop, as a signal would.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether the stop has been asked for.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns once the stop has been asked for.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work` until it ends or the stop is asked for; `None` in that case.
    pub async fn unless_requested<F: Future>(&self, work: F) -> Option<F::Output> {
        self.token.run_until_cancelled(work).await
    }
}
