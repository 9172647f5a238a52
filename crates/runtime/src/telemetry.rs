//! Structured logs.

use std::io::IsTerminal;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How a service speaks of itself.
#[derive(Args, Clone, Debug)]
pub struct Telemetry {
    /// What to log, as tracing directives: `info`, `debug`, `info,sqlx=warn` ...
    #[arg(long = "log", env = "ASSAY_LOG", default_value = "info")]
    filter: String,
    /// How to log it.
    #[arg(long, env = "ASSAY_LOG_FORMAT", default_value = "auto")]
    log_format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// One JSON object a line.
    Json,
    /// One readable line.
    Human,
}

impl Telemetry {
    /// Starts logging to standard error.
    ///
    /// # Errors
    /// When the filter cannot be read, or logging was started before.
    pub fn start(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.filter)
            .with_context(|| format!("{:?} is no log filter", self.filter))?;
        let human = match self.log_format {
            LogFormat::Auto => std::io::stderr().is_terminal(),
            LogFormat::Json => false,
            LogFormat::Human => true,
        };
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        if human { subscriber.try_init() } else { subscriber.json().flatten_event(true).try_init() }
            .map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
    }
}
